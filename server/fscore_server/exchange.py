"""One request on its way through the server, and the one way to answer it."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter

from starlette.types import Scope, Send

from fscore_server.problems import MEDIA_TYPE as PROBLEM
from fscore_server.problems import Header, Problem

JSON = b"application/json"
ARROW_STREAM = b"application/vnd.apache.arrow.stream"

_SCOPE_KEY = "fscore.exchange"
_CLOSE: Header = (b"connection", b"close")


class Exchange:
    """What the boundary and the routes share about one request."""

    __slots__ = ("closing", "request_id", "started", "status")

    def __init__(self, request_id: bytes, *, closing: bool) -> None:
        self.request_id = request_id
        self.started = perf_counter()
        # The status sent, 0 while there is none.
        self.status = 0
        # The server is shutting down: answer, and ask the caller to connect elsewhere.
        self.closing = closing

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
