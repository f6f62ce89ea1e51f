"""One request on its way through the server, and the one way to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

from starlette.types import Scope, Send

from fscore.serving import Caller, Trace
from fscore_server.problems import MEDIA_TYPE as PROBLEM
from fscore_server.problems import Header, Problem
from fscore_server.telemetry.asked import Asked

JSON = b"application/json"
ARROW_STREAM = b"application/vnd.apache.arrow.stream"

_SCOPE_KEY = "fscore.exchange"
# Where the protocol leaves a `Begun`.
BEGUN = "fscore.begun"
_CLOSE: Header = (b"connection", b"close")


@dataclass(frozen=True, slots=True)
class Begun:
    """A request that was begun before ASGI and is answered by the application after all."""

    request_id: bytes
    # By `perf_counter`.
    started: float
    # Which attempt at reading comes next.
    attempt: int
    # What it is answered with, where another attempt is of no use.
    error: Exception | None
    asked: Asked


class Exchange:
    """What the boundary and the routes share about one request."""

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
        # Who sends it, where requests need an API key.
        self.caller: Caller | None = None
        # The status sent, 0 while there is none.
        self.status = 0
        # The server is shutting down: answer, and ask the caller to connect elsewhere.
        self.closing = closing
        self.trace: Trace | None = None
        # What its span says: what is read, and what kind of problem it was answered with.
        self.asked: Asked | None = None if begun is None else begun.asked
        self.problem: str | None = None

    @property
    def attempt(self) -> int:
        """Which attempt at reading comes next."""
        return 1 if self.begun is None else self.begun.attempt

    def left_of(self, timeout: float) -> float:
        """What is left of the time that a request has in all."""
        if self.begun is None:
            return timeout
        return max(self.started + timeout - perf_counter(), 0.0)

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
        """Sends a whole response, which always carries the request id."""
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
        """Sends a problem document."""
        await self.reply(
            send,
            problem.kind.status,
            PROBLEM,
            problem.document(self.request_id.decode("ascii"), instance),
            problem.headers,
            close=problem.close,
        )


def exchange_of(scope: Scope) -> Exchange:
    """The exchange that the boundary attached to this scope."""
    exchange: Exchange = scope[_SCOPE_KEY]
    return exchange
