"""Hands what a connection receives to the hot route or the parser, in the order of arrival."""

from __future__ import annotations

import asyncio
from time import perf_counter

from fscore.serving import HotConnection
from fscore_server.http.exchange import Begun
from fscore_server.http.hot import HotRoutes
from fscore_server.telemetry.asked import Asked


class Handover:
    """One connection's hot route, if it has one, and the data that passes from it to the parser."""

    __slots__ = ("_behind", "_reads", "begun")

    def __init__(self) -> None:
        # Answers plain reads before the parser sees them.
        self._reads: HotConnection | None = None
        # Data that arrived after a request that the hot route is answering.
        self._behind = b""
        # Set if the hot route began the request that the parser is fed next.
        self.begun: Begun | None = None

    def connect(
        self, hot: HotRoutes, protocol: asyncio.Protocol, transport: asyncio.Transport
    ) -> HotConnection:
        """Return the connection's hot route, which must get all received data."""
        self._reads = hot.reads.connect(protocol, transport)
        return self._reads

    def parser_rests(self, rests: bool) -> None:
        """Set whether all requests of the parser are answered, so that the hot route may take the
        next one."""
        if self._reads is not None:
            self._reads.free = rests

    def stalled(self, stalled: bool) -> None:
        """Set whether the caller does not read its answers; the hot route then takes no request."""
        if self._reads is not None:
            self._reads.stalled = stalled

    def watch(self) -> None:
        """Let the hot route call the protocol's `begun` when it takes the next request."""
        if self._reads is not None:
            self._reads.watch()

    def quiet_since(self, now: float) -> float:
        """Return when the hot route last answered; `now` if it is answering a request."""
        if self._reads is None:
            return 0.0
        # The hot route's clock is the loop's, only finer.
        return now if self._reads.busy else self._reads.answered_at

    def end(self) -> bool:
        """Make the hot route's pending answer, if any, the last; return whether there is one."""
        if self._reads is None or not self._reads.busy:
            return False
        self._reads.end()
        return True

    def lost(self) -> None:
        """Tell the hot route that the connection is lost."""
        if self._reads is not None:
            self._reads.lost()

    # Data that arrives after a request that the hot route is answering.

    def keep(self, data: bytes) -> None:
        """Keep the data until the answer is written."""
        self._behind += data

    @property
    def has_behind(self) -> bool:
        """Whether any such data is kept."""
        return bool(self._behind)

    def take_behind(self) -> bytes:
        """Return all such data, and keep it no longer."""
        behind, self._behind = self._behind, b""
        return behind

    # A request that the hot route began and the application answers.

    def release(self) -> None:
        """Tell the hot route that the parser gets the request now."""
        assert self._reads is not None
        self._reads.released()

    def take_begun(self) -> Begun | None:
        """Return how far the hot route got with the request being parsed, and forget it."""
        begun, self.begun = self.begun, None
        return begun


def begun_before(
    identity: bytes, seconds: float, error: Exception | None, asked: Asked
) -> tuple[float | None, Begun]:
    """Return a request that began `seconds` ago, and the pause after which the parser gets it.

    `error` is the failure of the first attempt, if there was one. If it says after which pause to
    try again, the pause is that and the application makes the second attempt. Otherwise the pause
    is None, and the application answers with the error, or reads if there is none.
    """
    started = perf_counter() - seconds
    pause: float | None = getattr(error, "_retry_after", None)
    if pause is None:
        return None, Begun(identity, started, 1, error, asked)
    return pause, Begun(identity, started, 2, None, asked)
