"""Who takes what a connection receives: the hot route or the parser, in the order of arrival."""

from __future__ import annotations

import asyncio
from time import perf_counter

from fscore.serving import HotConnection
from fscore_server.http.exchange import Begun
from fscore_server.http.hot import HotRoutes
from fscore_server.telemetry.asked import Asked


class Handover:
    """One connection's hot route, if it has one, and what goes from there to the parser."""

    __slots__ = ("_behind", "_reads", "begun")

    def __init__(self) -> None:
        # What answers plain reads before the parser sees them.
        self._reads: HotConnection | None = None
        # Received behind a request that is being answered there.
        self._behind = b""
        # The request that the parser is fed next was begun there.
        self.begun: Begun | None = None

    def connect(
        self, hot: HotRoutes, protocol: asyncio.Protocol, transport: asyncio.Transport
    ) -> HotConnection:
        """The hot route, which is to be given everything that is received."""
        self._reads = hot.reads.connect(protocol, transport)
        return self._reads

    def parser_rests(self, rests: bool) -> None:
        """Whether the parser has nothing unanswered, so that the hot route may take what comes."""
        if self._reads is not None:
            self._reads.free = rests

    def stalled(self, stalled: bool) -> None:
        """Whether the caller has yet to read what was written; the hot route then takes nothing."""
        if self._reads is not None:
            self._reads.stalled = stalled

    def watch(self) -> None:
        """Has the protocol's `begun` called when the hot route takes the next request."""
        if self._reads is not None:
            self._reads.watch()

    def quiet_since(self, now: float) -> float:
        """When the hot route last answered: now, if it has an answer to come."""
        if self._reads is None:
            return 0.0
        # Its clock is finer than the loop's, and else the same.
        return now if self._reads.busy else self._reads.answered_at

    def end(self) -> bool:
        """Makes the answer that the hot route has to come the connection's last, if it has one."""
        if self._reads is None or not self._reads.busy:
            return False
        self._reads.end()
        return True

    def lost(self) -> None:
        """The connection is lost."""
        if self._reads is not None:
            self._reads.lost()

    # What comes behind a request that the hot route is answering.

    def keep(self, data: bytes) -> None:
        """Keeps it until the answer is written."""
        self._behind += data

    @property
    def has_behind(self) -> bool:
        """Whether there is any."""
        return bool(self._behind)

    def take_behind(self) -> bytes:
        """All of it; it is kept no longer."""
        behind, self._behind = self._behind, b""
        return behind

    # A request that the hot route has begun, and the application answers.

    def release(self) -> None:
        """The parser gets the request now."""
        assert self._reads is not None
        self._reads.released()

    def take_begun(self) -> Begun | None:
        """What became of the request that the parser is fed; the next one was not begun."""
        begun, self.begun = self.begun, None
        return begun


def begun_before(
    identity: bytes, seconds: float, error: Exception | None, asked: Asked
) -> tuple[float | None, Begun]:
    """A request that was begun so many seconds ago, and after which pause the parser gets it.

    `error` is what became of it; if that says when to try again, this is done.
    """
    started = perf_counter() - seconds
    pause: float | None = getattr(error, "_retry_after", None)
    if pause is None:
        return None, Begun(identity, started, 1, error, asked)
    return pause, Begun(identity, started, 2, None, asked)
