"""Answers that the protocol gives by itself, before the application sees the request."""

from __future__ import annotations

from collections.abc import Iterable

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from fscore_server.http import request_id
from fscore_server.problems import MEDIA_TYPE, RETRY_AFTER, Header, Problem

_next_id = request_id.generator()

MALFORMED = Problem("malformed_request", "This is not a valid HTTP 1.1 request.")
NO_PROXY = Problem("malformed_request", "This server is not a proxy.")


def header_late(seconds: float) -> Problem:
    """Return the problem for a header that is not complete after `seconds`."""
    return Problem("request_timeout", f"The request's header was not complete after {seconds:g} s.")


def header_too_large(limit: int) -> Problem:
    """Return the problem for a header, or trailers, of more than `limit` bytes."""
    return Problem(
        "header_too_large", f"A request's header may have {limit} bytes, and so may its trailers."
    )


def too_many_connections(limit: int) -> Problem:
    """Return the problem for a connection beyond the limit."""
    return Problem("overloaded", f"{limit} connections are open already.", headers=[RETRY_AFTER])


def rendered(problem: Problem, fields: Iterable[Header]) -> bytes:
    """Return the connection's last response, which begins with these header fields."""
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
