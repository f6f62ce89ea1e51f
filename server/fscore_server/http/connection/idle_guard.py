"""The time limit on idle connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fscore_server.http.connection.handover import Handover


class IdleGuard:
    """Closes a connection that has been idle for `seconds`.

    It looks once per period instead of setting a timer with every request.
    """

    __slots__ = ("_handover", "_loop", "_seconds", "_since", "_timer", "rests")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, handover: Handover) -> None:
        self._loop = loop
        self._seconds = seconds
        self._handover = handover
        self._timer: asyncio.TimerHandle | None = None
        # Whether all requests of the parser are answered; False from a request's first byte on.
        self.rests = True
        # When the last request of the parser was answered.
        self._since = 0.0

    def rest(self, close: Callable[[], object]) -> None:
        """Note that all requests of the parser are complete and answered."""
        self.rests = True
        self._since = self._loop.time()
        if self._timer is None:
            self.watch(close)

    def watch(self, close: Callable[[], object]) -> None:
        """Start looking; `close` is called when the connection has been idle for too long."""
        if self._timer is None:
            self._timer = self._loop.call_later(self._seconds, self._look, close)

    def stop(self) -> None:
        """Stop looking: the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self, close: Callable[[], object]) -> None:
        self._timer = None
        # The hot route reports only the next request that it takes, so ask for that again.
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
