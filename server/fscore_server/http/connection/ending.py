"""How a connection ends, so that its caller gets to read the last response."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.flow_control import FlowControl

# Closing a socket with unread data resets the connection, and the caller loses the response. So
# the data that a caller still sends is read and dropped for this many seconds.
_LINGER = 2.0


class Ending:
    """Says from when on a connection reads and answers nothing more, and closes it."""

    __slots__ = ("_loop", "_timer", "has_last", "lingers")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None
        # The last request of the connection has arrived; data after it is not read.
        self.has_last = False
        # The last answer is written; data that still arrives is dropped.
        self.lingers = False

    def close(self, transport: asyncio.Transport, flow: FlowControl, *, unread: bool) -> None:
        """Close at once, or read for a time first if the caller may still be sending (`unread`)."""
        if not unread or transport.is_closing():
            transport.close()
            return
        self.lingers = True
        transport.write_eof()
        flow.resume_reading()
        self._timer = self._loop.call_later(_LINGER, transport.close)

    def stop(self) -> None:
        """Stop the timer: the connection is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
