"""Bodies that are not sent on, and responses that are not read."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable


class StallGuard:
    """Ends a connection that does not move in one of its directions.

    A body that the application waits for has a timeout of its own there. This one is for what is
    left of a body when its request is answered.
    """

    __slots__ = ("_body", "_body_seconds", "_loop", "_response", "_response_seconds", "in_body")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, body_seconds: float, response_seconds: float
    ) -> None:
        self._loop = loop
        self._body_seconds = body_seconds
        self._response_seconds = response_seconds
        self._body: asyncio.TimerHandle | None = None
        self._response: asyncio.TimerHandle | None = None
        # Between the end of a request's head and the end of its body.
        self.in_body = False

    def body_owed(self, close: Callable[[], object]) -> None:
        """A request is answered: the connection must get past its body to be used again."""
        if self._body is None:
            self._body = self._loop.call_later(self._body_seconds, close)

    def body_ends(self) -> None:
        """A request is there with all of its body."""
        self.in_body = False
        if self._body is not None:
            self._body.cancel()
            self._body = None

    def response_waits(self, transport: asyncio.Transport) -> None:
        """There is more of a response than the caller has read."""
        if self._response is None:
            self._response = self._loop.call_later(self._response_seconds, _reset, transport)

    def response_moves(self) -> None:
        """The caller has read on."""
        if self._response is not None:
            self._response.cancel()
            self._response = None

    def stop(self) -> None:
        """The connection is lost."""
        self.body_ends()
        self.response_moves()


def _reset(transport: asyncio.Transport) -> None:
    # A reset instead of an end: the system would go on offering what it holds of the response.
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
