"""Request ids: taken from the caller when they are fit to be logged, made here otherwise."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable

HEADER = b"x-request-id"
MAX_LENGTH = 128

# Printable ASCII without the space: nothing in it can break a header, a log line or a shell word.
_PRINTABLE = frozenset(range(0x21, 0x7F))


def accepted(value: bytes) -> bool:
    """Whether a caller's id is short and printable enough to be returned and logged as it is."""
    return 0 < len(value) <= MAX_LENGTH and _PRINTABLE.issuperset(value)


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
