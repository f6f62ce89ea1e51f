"""The status of a value."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """What became of one value of a result."""

    PRESENT = 0
    """There, and of its type."""
    NULL = 1
    """The view's row was written without it."""
    NOT_FOUND = 2
    """Nobody wrote that row."""
    EXPIRED = 3
    """Older than its view's TTL."""
    INVALID = 4
    """What is stored is not of its type."""
    UNAVAILABLE = 5
    """Could not be read in time."""
