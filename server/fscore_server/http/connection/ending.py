"""How a connection ends, so that its caller gets to read the last response."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

# How long what a caller still sends is read and dropped: closing a socket with unread data resets
# the connection, and the response is lost with it.
_LINGER = 2.0


class Ending:
    """From when on nothing is read any more, and nothing answered."""

    __slots__ = ("_loop", "_timer", "has_last", "lingers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        # The request is there that says it is the last; what comes behind it is not read.
        self.has_last = False
        # Answered for the last time; what still arrives is dropped.
        self.lingers = False

    def close(self, transport: asyncio.Transport, flow: FlowControl, *, unread: bool) -> None:
        """Closes: at once, or after a time to read if the caller may still be sending."""
        if not unread or transport.is_closing():
            transport.close()
            return
        self.lingers = True
        transport.write_eof()
        flow.resume_reading()
        self._timer = self._loop.call_later(_LINGER, transport.close)

    def stop(self) -> None:
        """The connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
