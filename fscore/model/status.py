"""The status of a value."""

from __future__ import annotations

from enum import IntEnum


class Status(IntEnum):
    """The status of one value of a result: whether there is a value, and if not, why."""

    PRESENT = 0
    """The value is stored or was computed, and is of its type."""
    NULL = 1
    """The row was written without this value, or an expression has no result."""
    NOT_FOUND = 2
    """The row was never written, or the entity has no events."""
    EXPIRED = 3
    """The value is older than its TTL."""
    INVALID = 4
    """The stored value is not of the feature's type."""
    UNAVAILABLE = 5
    """The value could not be read in time."""
