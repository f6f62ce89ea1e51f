"""Request ids that are made here, where the caller has none that is fit to be logged."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

HEADER = b"x-request-id"


def generator() -> Callable[[], bytes]:
    """A source of ids that no other source repeats: 64 random bits, then a counter.

    One call of the system's random source per worker instead of one per request. A process that
    forks must make a source of its own.
    """
    prefix = secrets.token_hex(8)
    numbers = itertools.count(1)

    def next_id() -> bytes:
        return f"{prefix}-{next(numbers):x}".encode()

    return next_id
