"""Request ids that the server makes if the caller sends none that is fit to be logged."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

HEADER = b"x-request-id"


def generator() -> Callable[[], bytes]:
    """Return a source of unique ids: 64 random bits, then a counter.

    It calls the system's random source once per worker instead of once per request. After a fork
    the child must make a source of its own.
    """
    prefix = secrets.token_hex(8)
    numbers = itertools.count(1)

    def next_id() -> bytes:
        return f"{prefix}-{next(numbers):x}".encode()

    return next_id
