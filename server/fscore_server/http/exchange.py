"""The state of one request on its way through the server, and the one way to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from starlette.types import Scope, Send

from fscore.errors import DeadlineExceeded
from fscore.serving import Caller, Trace
from fscore_server.problems import MEDIA_TYPE as PROBLEM
from fscore_server.problems import Header, Problem
from fscore_server.telemetry.asked import Asked

JSON = b"application/json"
ARROW_STREAM = b"application/vnd.apache.arrow.stream"

_SCOPE_KEY = "fscore.exchange"
# The key of the ASGI scope under which the protocol passes a `Begun`.
BEGUN = "fscore.begun"
_CLOSE: Header = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that the hot route began and the application answers."""

    request_id: bytes
    # By `perf_counter`.
    started: float
    # The number of the next attempt at reading.
    attempt: int
    # The error to answer with, if another attempt is of no use.
    error: Exception | None
    asked: Asked


class Exchange:
    """The state of one request that the boundary and the routes share."""

    __slots__ = (
        "asked",
        "begun",
        "caller",
        "closing",
        "problem",
        "request_id",
        "started",
        "status",
        "trace",
    )

    def __init__(self, request_id: bytes, *, closing: bool, begun: Begun | None = None) -> None:
        self.request_id = request_id
        self.begun = begun
        self.started = perf_counter() if begun is None else begun.started
        # The sender, if requests need an API key.
        self.caller: Caller | None = None
        # The status sent, 0 while there is none.
        self.status = 0
        # Set while the server shuts down: answers then close the connection.
        self.closing = closing
        self.trace: Trace | None = None
        # For the span: what is read, and with which kind of problem it was answered.
        self.asked: Asked | None = None if begun is None else begun.asked
        self.problem: str | None = None

    @property
    def attempt(self) -> int:
        """The number of the next attempt at reading."""
        return 1 if self.begun is None else self.begun.attempt

    def left_of(self, timeout: float) -> float:
        """Return what is left of `timeout` (seconds) after the time spent on the hot path.

        Raises DeadlineExceeded if nothing is left.
        """
        if self.begun is None:
            return timeout
        left = self.started + timeout - perf_counter()
        if left <= 0:
            raise DeadlineExceeded(
                "the deadline passed before the request was sent", timeout=timeout
            )
        return left

    @property
    def key(self) -> str | None:
        """The name of the API key, for logs."""
        return None if self.caller is None else self.caller.name

    def attach(self, scope: Scope) -> None:
        scope[_SCOPE_KEY] = self

    async def reply(
        self,
        send: Send,
        status: int,
        media_type: bytes,
        body: bytes,
        headers: Sequence[Header] = (),
        *,
        close: bool = False,
    ) -> None:
        """Send a whole response; it always has the request id."""
        self.status = status
        fields = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
            (b"x-request-id", self.request_id),
            *headers,
        ]
        if close or self.closing:
            fields.append(_CLOSE)
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    async def reply_problem(self, send: Send, problem: Problem, instance: str) -> None:
        """Send a problem document; `instance` is the request's path."""
        await self.reply(
            send,
            problem.kind.status,
            PROBLEM,
            problem.document(self.request_id.decode("ascii"), instance),
            problem.headers,
            close=problem.close,
        )


def exchange_of(scope: Scope) -> Exchange:
    """Return the exchange that the boundary attached to this scope."""
    exchange: Exchange = scope[_SCOPE_KEY]
    return exchange
