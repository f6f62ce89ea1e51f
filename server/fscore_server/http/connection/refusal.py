"""What is answered without the application, which has not seen the request."""

from __future__ import annotations

from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from fscore_server.http import request_id
from fscore_server.problems import MEDIA_TYPE, RETRY_AFTER, Header, Problem

_next_id = request_id.generator()

MALFORMED = Problem("malformed_request", "What was sent is no request of HTTP 1.1.")
NO_PROXY = Problem("malformed_request", "This server is no proxy.")


def header_late(seconds: float) -> Problem:
    """A header that takes too long."""
    return Problem("request_timeout", f"The request's header was not complete after {seconds:g} s.")


def header_too_large(limit: int) -> Problem:
    """A header, or trailers, of too many bytes."""
    return Problem(
        "header_too_large", f"A request's header may have {limit} bytes, and so may its trailers."
    )


def too_many_connections(limit: int) -> Problem:
    """A connection for which there is no room."""
    return Problem("overloaded", f"{limit} connections are open already.", headers=[RETRY_AFTER])


def rendered(problem: Problem, fields: Iterable[Header]) -> bytes:
    """The connection's last response, which begins with these header fields."""
    identity = _next_id()
    body = problem.document(identity.decode("ascii"), "/")
    fields = [
        *fields,
        (b"content-type", MEDIA_TYPE),
        (b"content-length", b"%d" % len(body)),
        (request_id.HEADER, identity),
        *problem.headers,
        (b"connection", b"close"),
    ]
    head = b"".join(b"%s: %s\r\n" % field for field in fields)
    return STATUS_LINE[problem.kind.status] + head + b"\r\n" + body
