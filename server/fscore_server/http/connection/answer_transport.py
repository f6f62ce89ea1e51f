"""What the application's answers are written to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class AnswerTransport:
    """A transport that closes as its protocol does, and sends a response's head with its body.

    uvicorn writes the two one after the other and uvloop sends at once what it is given: that would
    be two system calls and two packets for every small answer.
    """

    __slots__ = (
        "_headed",
        "_held",
        "answered",
        "close",
        "get_extra_info",
        "is_closing",
        "pause_reading",
        "resume_reading",
        "wrapped",
    )

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.wrapped = transport
        self.close = close
        self.get_extra_info = transport.get_extra_info
        self.is_closing = transport.is_closing
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading
        # The request that is being answered, or was last; others may wait behind it.
        self.answered: RequestResponseCycle | None = None
        self._held = b""
        # The request whose response's head was held back; each has one head.
        self._headed: RequestResponseCycle | None = None

    def write(self, data: bytes) -> None:
        if self._held:
            data = self._held + data
            self._held = b""
        else:
            answered = self.answered
            if answered is not self._headed and answered is not None and answered.response_started:
                self._headed = answered
                self._held = data
                return
        self.wrapped.write(data)

    def flush(self) -> None:
        """Sends a head that no body follows."""
        if self._held:
            self.wrapped.write(self._held)
            self._held = b""
