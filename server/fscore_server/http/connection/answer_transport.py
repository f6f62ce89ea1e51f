"""The transport to which the application writes its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class AnswerTransport:
    """A transport that sends a response's head together with its body, and closes by `close`.

    uvicorn writes head and body one after the other, and uvloop sends every write at once: two
    system calls and two packets for each small answer. So this holds the head back until the body
    is written.
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
        # The request that is being answered, or was answered last; pipelined ones may wait.
        self.answered: RequestResponseCycle | None = None
        self._held = b""
        # The request whose response's head was held back last: each response has one head.
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
        """Send the head of a response without a body."""
        if self._held:
            self.wrapped.write(self._held)
            self._held = b""
