"""uvicorn's httptools protocol with the bounds that it lacks.

They are on the header's time and size, on the rest of a body that the application does not wait
for, on an answer that the caller does not read, and on the number of connections. The protocol
refuses with a problem document.

Each bound is a guard of its own, which this protocol composes. uvicorn handles the requests that
reach the application; the guards add a few comparisons to each.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import httptools
from uvicorn._types import ASGI3Application
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from fscore_server.auth.authentication import PROBES
from fscore_server.http.connection import refusal
from fscore_server.http.connection.admission import Admission
from fscore_server.http.connection.answer_transport import AnswerTransport
from fscore_server.http.connection.ending import Ending
from fscore_server.http.connection.handover import Handover, begun_before
from fscore_server.http.connection.head_guard import HeadGuard
from fscore_server.http.connection.idle_guard import IdleGuard
from fscore_server.http.connection.request_parser import read_on, without_upgrade
from fscore_server.http.connection.stall_guard import StallGuard
from fscore_server.http.exchange import BEGUN, Begun
from fscore_server.http.hot import HotRoutes
from fscore_server.problems import Problem
from fscore_server.telemetry.asked import Asked

_PROBES = PROBES.encode()


@dataclass(frozen=True, slots=True)
class ProtocolLimits:
    """Bounds on one connection, and on their number."""

    header_timeout: float
    header_bytes: int
    write_timeout: float
    connections: int


class BoundedProtocol(HttpToolsProtocol):
    """One HTTP/1.1 connection. `limits`, `hot` and `admission` are set by `bounded`."""

    limits: ProtocolLimits
    admission: Admission[BoundedProtocol]
    # The hot routes, if they are on.
    hot: HotRoutes | None

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        read_on(self.parser)
        limits = self.limits
        self._head = HeadGuard(self.loop, limits.header_timeout, limits.header_bytes)
        self._stalls = StallGuard(self.loop, limits.header_timeout, limits.write_timeout)
        self._handover = Handover()
        self._idle = IdleGuard(self.loop, self.timeout_keep_alive, self._handover)
        self._ending = Ending(self.loop)
        # A connection that is not admitted may send one request, answered if it is a probe.
        self._admitted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._answers = AnswerTransport(transport, self._close)
        super().connection_made(self._answers)  # type: ignore[arg-type]
        self._head.expect(self._header_late)
        self._admitted = self.admission.admit()
        if not self._admitted:
            displaced = self.admission.wait(self)
            if displaced is not None:
                displaced._refuse_connection()
        elif self.hot is not None:
            # Transports look `data_received` up once, so this saves a call for every request.
            reads = self._handover.connect(self.hot, self, transport)
            self.data_received = reads.received  # type: ignore[method-assign]
            transport.set_protocol(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._admitted:
            self.admission.leave()
        else:
            self.admission.heard(self)
        self._handover.lost()
        self._head.stop()
        self._stalls.stop()
        self._idle.stop()
        self._ending.stop()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self.parse(data)

    # What the hot route calls.

    def begun(self) -> None:
        """Handle the first request that the hot route takes after `Handover.watch`."""
        self._head.stop()
        self._idle.watch(self._close)

    def keep(self, data: bytes) -> None:
        """Keep data that arrived after a request until the hot route has answered that."""
        if not self._ending.lingers:
            self._handover.keep(data)
            self.flow.pause_reading()

    def parse(self, data: bytes) -> None:
        """Let the parser read the data, and the application answer it."""
        ending, head, stalls = self._ending, self._head, self._stalls
        if ending.lingers or ending.has_last:
            return
        head.piece = len(data)
        if stalls.in_body:
            head.trailers.before(len(data))
        unread = data
        while unread:
            unread = self._parsed(unread)
        if stalls.in_body:
            head.trailers.after()
            if head.trailers.too_large:
                self._refuse_header()
        elif head.is_open and not head.left_open(self._header_late):
            self._refuse_header()
        # After an empty line, which may precede a request and begins none, the parser still rests.
        self._handover.parser_rests(self._idle.rests)

    def read_on(self) -> None:
        """Read the data that was kept while the hot route answered a request."""
        behind = self._handover.take_behind()
        self.flow.resume_reading()
        self.data_received(behind)

    def ended(self) -> None:
        """Close the connection: its last request is answered."""
        self._close()

    def hand_over(
        self,
        request: bytes,
        identity: bytes,
        seconds: float,
        error: Exception | None,
        asked: Asked,
    ) -> None:
        """Let the application answer a request that the hot route began `seconds` ago.

        `error` is the failure of the first attempt, if there was one; `begun_before` says when the
        application gets the request.
        """
        pause, begun = begun_before(identity, seconds, error, asked)
        if pause is None:
            self._go_on(request, begun)
        else:
            self.loop.call_later(pause, self._go_on, request, begun)

    def _go_on(self, request: bytes, begun: Begun) -> None:
        self._handover.release()
        if self.transport.is_closing() or self._ending.lingers:
            return
        self._handover.begun = begun
        self.parse(request)
        if self._handover.has_behind:
            self.read_on()

    # What the parser and the application call.

    def _parsed(self, data: bytes) -> bytes:
        """Feed the parser; return the data to feed to it next, if any."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            method = self.parser.get_method()
            if method != b"CONNECT":
                self.parser = httptools.HttpRequestParser(self)
                read_on(self.parser)
                return without_upgrade(method, self.url, self.headers) + data[upgrade.args[0] :]
            self._refuse(refusal.NO_PROXY)
        except httptools.HttpParserError:
            if self._stalls.in_body and self._head.trailers.too_large:
                self._refuse_header()
            elif not self._ending.has_last:
                self._refuse(refusal.MALFORMED)
        return b""

    def on_message_begin(self) -> None:
        if self._ending.has_last:
            raise ValueError("after the last request")
        super().on_message_begin()
        if self._handover.begun is not None:
            self.scope[BEGUN] = self._handover.take_begun()  # type: ignore[literal-required]
        self._head.begin()
        self._idle.rests = False

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        if not self._head.complete(self.url, self.headers):
            self._refuse_header()
            raise ValueError("header too large")
        if not self._admitted:
            self.admission.heard(self)
            if not self.url.startswith(_PROBES):
                self._refuse_connection()
                raise ValueError("too many connections")
        self._stalls.in_body = True
        super().on_headers_complete()
        if not self._admitted:
            self.cycle.keep_alive = False
        # The application owns the list now, and further fields are trailers.
        self.headers = self._head.trailers  # type: ignore[assignment]

    def on_body(self, body: bytes) -> None:
        self._head.trailers.restart()
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._stalls.body_ends()
        self._ending.has_last = not self.cycle.keep_alive
        super().on_message_complete()
        if self.cycle.response_complete:
            self._rest()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answers.answered = cycle
        super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._answers.flush()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._stalls.in_body:
            self._stalls.body_owed(self._close)
        elif not self._head.is_open:
            self._rest()

    def _rest(self) -> None:
        """Handle that all requests that have begun are complete and answered."""
        self._idle.rest(self._close)
        self._handover.parser_rests(True)

    # What the transport and the server call.

    def pause_writing(self) -> None:
        super().pause_writing()
        self._handover.stalled(True)
        self._stalls.response_waits(self._answers.wrapped)

    def resume_writing(self) -> None:
        self._stalls.response_moves()
        self._handover.stalled(False)
        super().resume_writing()

    def shutdown(self) -> None:
        if not self._handover.end():
            super().shutdown()

    # How it ends.

    def _header_late(self) -> None:
        if self._admitted:
            self._refuse(refusal.header_late(self.limits.header_timeout))
        else:
            self._refuse_connection()

    def _refuse_header(self) -> None:
        self._refuse(refusal.header_too_large(self.limits.header_bytes))

    def _refuse_connection(self) -> None:
        self._refuse(refusal.too_many_connections(self.admission.most))

    def _refuse(self, problem: Problem) -> None:
        """Answer without the application, which has not seen the request, and close."""
        if self._ending.lingers:
            return
        if self._nothing_being_answered():
            self.transport.write(refusal.rendered(problem, self.server_state.default_headers))
        # Otherwise a response is being sent, and the caller would take a second one for its rest.
        self._end(unread=True)

    def _nothing_being_answered(self) -> bool:
        """Return whether a response may be written now, in place of the newest request's."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            # In a body, the request was answered before its body was complete.
            return not self._stalls.in_body
        if self.pipeline or cycle.response_started:
            return False
        # The body is malformed, so the application must stop waiting for it.
        cycle.disconnected = True
        cycle.message_event.set()
        return True

    def _close(self) -> None:
        """Close the connection; `AnswerTransport.close` calls this."""
        self._end(unread=self._stalls.in_body)

    def _end(self, *, unread: bool) -> None:
        if not self._ending.lingers:
            self._answers.flush()
            self._ending.close(self._answers.wrapped, self.flow, unread=unread)


def bounded(limits: ProtocolLimits, hot: HotRoutes | None = None) -> type[BoundedProtocol]:
    """Return a protocol class with these limits; uvicorn makes the instances itself."""
    admission = Admission[BoundedProtocol](limits.connections)
    members = {"limits": limits, "hot": hot, "admission": admission}
    return type("BoundedProtocol", (BoundedProtocol,), members)
