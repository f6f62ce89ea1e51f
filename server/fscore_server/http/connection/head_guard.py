"""Limits on the time and the bytes of a request's head."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fscore_server.http.connection.trailers import Trailers
from fscore_server.problems import Header


class HeadGuard:
    """Bounds the head of one request after another, and the trailers of each.

    `piece` is the size of the data that the parser is fed. The protocol calls `left_open` if a head
    goes on after it. The guard calls `late` when a head takes too long.
    """

    __slots__ = ("_bytes", "_limit", "_loop", "_seconds", "_timer", "is_open", "piece", "trailers")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, limit: int) -> None:
        self._loop = loop
        self._seconds = seconds
        self._limit = limit
        self._timer: asyncio.TimerHandle | None = None
        # True between a request's first byte and the end of its head.
        self.is_open = False
        # Bytes of the head in earlier pieces.
        self._bytes = 0
        self.piece = 0
        self.trailers = Trailers(limit)

    def expect(self, late: Callable[[], object]) -> None:
        """Start the time limit, at a connection's beginning or when a head is left open."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, late)

    def stop(self) -> None:
        """Stop the time limit: no head is expected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin(self) -> None:
        """Handle a request's first byte."""
        self.is_open = True
        self._bytes = 0

    def left_open(self, late: Callable[[], object]) -> bool:
        """Handle a head that goes on after this piece; return whether it is within its limit yet.

        Further pieces do not restart the time limit.
        """
        self._bytes += self.piece
        self.expect(late)
        return self._bytes <= self._limit

    def complete(self, url: bytes, headers: list[Header]) -> bool:
        """Handle the end of a head; return whether it is within the limit."""
        self.is_open = False
        if self._timer is not None:
            self.stop()
        self.trailers.restart()
        # The piece may also hold a body or earlier requests, so if the sum is over the limit, the
        # head itself is counted.
        if self._bytes + self.piece <= self._limit:
            return True
        return len(url) + sum(len(name) + len(value) for name, value in headers) <= self._limit
