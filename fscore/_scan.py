"""Walking over the keys of a server, at a rate that leaves it to its readers.

An operation without I/O, as in `_registry_store`, that also yields pauses: each is sent the time
when it is over, in seconds of a monotonic clock.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from fscore._registry_store import Command

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pause:
    """So many seconds in which nothing is to be sent."""

    seconds: float


PacedOperation: TypeAlias = Generator[Command | list[Command] | Pause, Any, T]


def share_scanned(cursor: int) -> float:
    """Return the share of the keyspace that a SCAN has passed, by the cursor that it returned.

    A cursor counts with its bits in reverse, the lowest first, whatever the size of the table.
    """
    if cursor == 0:
        return 1.0
    reverse = int(f"{cursor & (1 << 64) - 1:064b}"[::-1], 2)
    return reverse / (1 << 64)
