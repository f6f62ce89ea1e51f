"""The outermost layer of the application, for requests of every route.

One ASGI callable around the router does the work of a stack of middlewares, without wrapping `send`
for each of them: it gives the request an id, authenticates it, bounds how many are in flight,
counts, logs, and turns every exception into a problem document.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING

from starlette.routing import Router
from starlette.types import Receive, Scope, Send

from fscore.serving import Traces, is_request_id
from fscore_server.auth.authentication import Authentication, refused
from fscore_server.http import request_id
from fscore_server.http.exchange import BEGUN, Begun, Exchange
from fscore_server.http.hot import HotRoutes
from fscore_server.http.limits import ClientGone
from fscore_server.problems import RETRY_AFTER, Problem, problem_of
from fscore_server.telemetry.logs import LOGGER, RateLimited, log_access, trace_fields
from fscore_server.telemetry.metrics import CLIENT_GONE, Metrics
from fscore_server.telemetry.tracing import header_values, trace_of

if TYPE_CHECKING:
    from fscore_server.reading.connection import State
    from fscore_server.telemetry.spans import Spans

# Only these are refused under load: an orchestrator whose probe is refused restarts the process.
_SHEDDABLE = "/v1/"


class Boundary:
    """The ASGI application of one worker."""

    def __init__(
        self,
        router: Router,
        state: State,
        metrics: Metrics,
        hot: HotRoutes | None,
        traces: Traces,
        spans: Spans | None,
        authentication: Authentication | None,
    ) -> None:
        self._router = router
        self.state = state
        self.hot = hot
        self._metrics = metrics
        self._traces = traces
        self._spans = spans
        self._authentication = authentication
        self._max_requests = state.settings.max_requests
        self._access_log = state.settings.access_log
        self._next_id = request_id.generator()
        self._error_lines = RateLimited(20, 1.0)

    def drain(self) -> None:
        """Report not ready, and close connections with their next answer, from now on."""
        self.state.draining = True
        if self.hot is not None:
            self.hot.reads.stop()
        if self._spans is not None:
            self._spans.ending()

    def abandon(self) -> None:
        """End at once: do not send the last spans."""
        if self._spans is not None:
            self._spans.abandon()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._not_http(scope, receive, send)
            return
        begun: Begun | None = scope.get(BEGUN)
        identity = self._request_id(scope) if begun is None else begun.request_id
        exchange = Exchange(identity, closing=self.state.draining, begun=begun)
        exchange.trace = trace_of(self._traces, scope)
        exchange.attach(scope)
        # With an application in the scope, Starlette raises its 404 and 405 instead of answering.
        scope["app"] = self
        metrics = self._metrics
        metrics.request_started()
        try:
            if self._authentication is not None:
                self._authenticate(self._authentication, exchange, scope)
            if begun is not None and begun.error is not None:
                raise begun.error
            if metrics.in_flight > self._max_requests and scope["path"].startswith(_SHEDDABLE):
                raise Problem(
                    "overloaded",
                    f"{self._max_requests} requests are being answered already.",
                    headers=[RETRY_AFTER],
                )
            await self._router(scope, receive, send)
        except ClientGone:
            exchange.status = CLIENT_GONE
        except asyncio.CancelledError:
            # The server's grace is over, and nothing waits for this task any more.
            problem = Problem("unavailable", "The server is ending.", close=True)
            await self._answer_error(problem, exchange, scope, send)
        except Exception as error:
            await self._answer_error(error, exchange, scope, send)
        finally:
            seconds = perf_counter() - exchange.started
            metrics.request_finished(scope["method"], scope["path"], exchange.status, seconds)
            if self._access_log:
                log_access(
                    exchange.request_id,
                    scope["method"],
                    scope["path"],
                    exchange.status,
                    seconds,
                    exchange.trace,
                    exchange.key,
                )
            if self._spans is not None and exchange.trace is not None and exchange.trace.sampled:
                self._spans.record(
                    exchange.trace,
                    header_values(scope, b"tracestate"),
                    request_id=exchange.request_id,
                    method=scope["method"],
                    path=scope["path"],
                    status=exchange.status,
                    seconds=seconds,
                    asked=exchange.asked,
                    problem=exchange.problem,
                )

    @staticmethod
    def _authenticate(authentication: Authentication, exchange: Exchange, scope: Scope) -> None:
        exchange.caller = caller = authentication.caller(scope["path"], scope["headers"])
        problem = None if caller is None else refused(caller)
        if problem is not None:
            raise problem

    def _request_id(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == request_id.HEADER and is_request_id(value):
                taken: bytes = value
                return taken
        return self._next_id()

    async def _answer_error(
        self, error: Exception, exchange: Exchange, scope: Scope, send: Send
    ) -> None:
        problem = problem_of(error)
        status = problem.kind.status
        exchange.problem = problem.kind.code
        if status >= 500 and (suppressed := self._error_lines.admit()) is not None:
            LOGGER.error(
                problem.kind.title,
                extra={
                    "fields": {
                        "request_id": exchange.request_id.decode("ascii"),
                        **trace_fields(exchange.trace),
                        "path": scope["path"],
                        "status": status,
                        "cause": f"{type(error).__name__}: {error}",
                        **({} if exchange.key is None else {"key": exchange.key}),
                        **({"suppressed": suppressed} if suppressed else {}),
                    }
                },
                # An error of the store needs no traceback; an unforeseen one of this server does.
                exc_info=error if problem.kind.code == "internal_error" else None,
            )
        if exchange.status == 0:
            await exchange.reply_problem(send, problem, scope["raw_path"].decode("ascii"))

    async def _not_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1000})
            return
        await self._router(scope, receive, send)
