"""Which connections of a worker are admitted, and which are answered for the sake of probes."""

from __future__ import annotations

from typing import Generic, TypeVar

# Connections beyond the limit that wait for their request's header at a time. The newest stay: to
# keep a probe out, somebody has to open this many between its connection and its header.
_RESERVE = 64

C = TypeVar("C")


class Admission(Generic[C]):
    """Counts the connections of a worker.

    Those beyond the limit are not closed at once. Each may ask one thing, which is answered if it
    is a probe's.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._admitted = 0
        # In the order in which they came.
        self._waiting: dict[C, None] = {}

    def admit(self) -> bool:
        """Admits a connection, if there are not too many."""
        if self._admitted >= self.most:
            return False
        self._admitted += 1
        return True

    def leave(self) -> None:
        """A connection has ended that was admitted."""
        self._admitted -= 1

    def wait(self, connection: C) -> C | None:
        """Has a connection wait for its header that was not admitted; the one to refuse for it."""
        self._waiting[connection] = None
        if len(self._waiting) <= _RESERVE:
            return None
        oldest = next(iter(self._waiting))
        del self._waiting[oldest]
        return oldest

    def heard(self, connection: C) -> None:
        """A connection that was not admitted has its header, or has ended."""
        self._waiting.pop(connection, None)
