"""How long a request's head may take, and how many bytes it may have."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fscore_server.http.connection.trailers import Trailers
from fscore_server.problems import Header


class HeadGuard:
    """Bounds the head of one request after another, and the trailers of each.

    `piece` is the size of what the parser is fed; a head that it leaves open is reported. `late` is
    called when a head takes too long.
    """

    __slots__ = ("_bytes", "_limit", "_loop", "_seconds", "_timer", "is_open", "piece", "trailers")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, limit: int) -> None:
        self._loop = loop
        self._seconds = seconds
        self._limit = limit
        self._timer: asyncio.TimerHandle | None = None
        # Between a request's first byte and the end of its head.
        self.is_open = False
        # How much of it came in pieces before this one.
        self._bytes = 0
        self.piece = 0
        self.trailers = Trailers(limit)

    def expect(self, late: Callable[[], object]) -> None:
        """A head is expected from now on, as at a connection's beginning."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, late)

    def stop(self) -> None:
        """No head is expected."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def begin(self) -> None:
        """The parser has found a request's first byte."""
        self.is_open = True
        self._bytes = 0

    def left_open(self, late: Callable[[], object]) -> bool:
        """The parser needs another piece for the head; whether it is within the limit so far.

        The time runs on when that piece comes, until the head is complete.
        """
        self._bytes += self.piece
        self.expect(late)
        return self._bytes <= self._limit

    def complete(self, url: bytes, headers: list[Header]) -> bool:
        """The parser has found the end of a head; whether that is within the limit."""
        self.is_open = False
        if self._timer is not None:
            self.stop()
        self.trailers.restart()
        # The piece may hold a body too, or earlier requests: counted only when over.
        if self._bytes + self.piece <= self._limit:
            return True
        return len(url) + sum(len(name) + len(value) for name, value in headers) <= self._limit
