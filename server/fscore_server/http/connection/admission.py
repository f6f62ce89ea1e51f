"""The limit on a worker's connections, beyond which only probes are answered."""

from __future__ import annotations

from typing import Generic, TypeVar

# Greatest number of connections beyond the limit that wait for their request's header. A new one
# displaces the oldest, so an attacker must open this many between a probe's connection and its
# header to keep it out.
_RESERVE = 64

C = TypeVar("C")


class Admission(Generic[C]):
    """Counts the connections of a worker.

    A connection beyond the limit is not closed at once. It may send one request, which is answered
    if it is a probe.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._admitted = 0
        # Oldest first.
        self._waiting: dict[C, None] = {}

    def admit(self) -> bool:
        """Admit a connection, unless the limit is reached; return whether it is admitted."""
        if self._admitted >= self.most:
            return False
        self._admitted += 1
        return True

    def leave(self) -> None:
        """Handle the end of an admitted connection."""
        self._admitted -= 1

    def wait(self, connection: C) -> C | None:
        """Let a connection beyond the limit wait for its header.

        Returns the connection that it displaces and that must be refused, if any.
        """
        self._waiting[connection] = None
        if len(self._waiting) <= _RESERVE:
            return None
        oldest = next(iter(self._waiting))
        del self._waiting[oldest]
        return oldest

    def heard(self, connection: C) -> None:
        """Handle the header, or the end, of a connection beyond the limit."""
        self._waiting.pop(connection, None)
