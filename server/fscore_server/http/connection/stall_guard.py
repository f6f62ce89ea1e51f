"""Time limits on bodies that the caller stops sending and responses that it does not read."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable


class StallGuard:
    """Ends a connection that stalls in one of its directions.

    The application has a timeout of its own for a body that it waits for. This guard is for the
    rest of a body after its request was answered.
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
        # True between the end of a request's head and the end of its body.
        self.in_body = False

    def body_owed(self, close: Callable[[], object]) -> None:
        """Start the time limit on the rest of a body whose request is answered already.

        The connection can only be used again after that body.
        """
        if self._body is None:
            self._body = self._loop.call_later(self._body_seconds, close)

    def body_ends(self) -> None:
        """Handle the end of a request's body."""
        self.in_body = False
        if self._body is not None:
            self._body.cancel()
            self._body = None

    def response_waits(self, transport: asyncio.Transport) -> None:
        """Start the time limit on a response that the caller does not read."""
        if self._response is None:
            self._response = self._loop.call_later(self._response_seconds, _reset, transport)

    def response_moves(self) -> None:
        """Stop that time limit: the caller has read on."""
        if self._response is not None:
            self._response.cancel()
            self._response = None

    def stop(self) -> None:
        """Stop both time limits: the connection is lost."""
        self.body_ends()
        self.response_moves()


def _reset(transport: asyncio.Transport) -> None:
    # After a normal close the system would go on sending its buffer, so the connection is reset.
    linger = struct.pack("ii", 1, 0)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()
