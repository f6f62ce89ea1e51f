"""How long a connection is kept on which nothing is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fscore_server.http.connection.handover import Handover


class IdleGuard:
    """Closes a connection that has been idle for a while.

    It looks once per period instead of setting a timer with every request.
    """

    __slots__ = ("_handover", "_loop", "_seconds", "_since", "_timer", "rests")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, handover: Handover) -> None:
        self._loop = loop
        self._seconds = seconds
        self._handover = handover
        self._timer: asyncio.TimerHandle | None = None
        # The parser has nothing unanswered: not from a request's first byte on.
        self.rests = True
        # When its last request was answered.
        self._since = 0.0

    def rest(self, close: Callable[[], object]) -> None:
        """All requests of the parser are there and answered."""
        self.rests = True
        self._since = self._loop.time()
        if self._timer is None:
            self.watch(close)

    def watch(self, close: Callable[[], object]) -> None:
        """Closes when it is time, from now on."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look, close)

    def stop(self) -> None:
        """The connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, close: Callable[[], object]) -> None:
        self._timer = None
        # The hot route says when it takes a request, once.
        self._handover.watch()
        if not self.rests:
            return
        now = self._loop.time()
        since = max(self._since, self._handover.quiet_since(now))
        remaining = since + self._seconds - now
        if remaining <= 0:
            close()
        else:
            self._timer = self._loop.call_later(remaining, self._look, close)
