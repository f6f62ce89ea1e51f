"""Errors as RFC 9457 problem documents.

Every answer that is not a success is one of the kinds in `KINDS`. `problem_of` turns any exception
into one; an unforeseen exception becomes `internal_error`, whose detail tells the caller nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.exceptions import HTTPException

from fscore import errors

MEDIA_TYPE = b"application/problem+json"

Header = tuple[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of problem, with the `type`, `title` and `status` of its documents."""

    code: str
    status: int
    title: str

    @property
    def type(self) -> str:
        return f"/docs#{self.code}"


# Problems that are not errors of the library: those of HTTP itself and of this server.
_OWN_KINDS = [
    Kind("malformed_query", 400, "The query string cannot be read"),
    Kind("unauthenticated", 401, "The request has no valid API key"),
    Kind("not_permitted", 403, "The API key does not permit this"),
    Kind("route_not_found", 404, "There is no such route"),
    Kind("method_not_allowed", 405, "The route does not allow this method"),
    Kind("not_acceptable", 406, "The server can produce none of the accepted media types"),
    Kind("request_timeout", 408, "The request did not arrive in time"),
    Kind("unsupported_media_type", 415, "The media type of the body is not supported"),
    Kind("header_too_large", 431, "The request's header is larger than the limit"),
    Kind("internal_error", 500, "The server failed unexpectedly"),
    Kind("registry_absent", 503, "No definitions have been applied"),
]

_TITLES = {
    "feature_service_not_found": "There is no such feature service",
    "feature_view_not_found": "There is no such feature view",
    "feature_not_found": "There is no such feature",
    "entity_not_found": "There is no such entity",
    "ambiguous_feature": "The feature's name fits more than one view",
    "malformed_request": "The request cannot be read",
    "invalid_request": "The request cannot be answered as it is",
    "invalid_argument": "An argument of the read is not valid",
    "invalid_keys": "The entity keys do not fit their join keys",
    "invalid_value": "A value is not of its type",
    "request_too_large": "The request is larger than the limit",
    "overloaded": "The server is overloaded",
    "unavailable": "The store cannot be reached",
    "protocol_error": "The store's answer cannot be read",
    "config_error": "The server's access to the store is misconfigured",
    "authentication_failed": "The store refuses the server's credentials",
    "deadline_exceeded": "The request's deadline passed",
}

KINDS: Mapping[str, Kind] = {
    kind.code: kind
    for kind in sorted(
        [
            *_OWN_KINDS,
            *(Kind(code, errors.ERRORS[code].status, title) for code, title in _TITLES.items()),
        ],
        key=lambda kind: (kind.status, kind.code),
    )
}

# The texts of these errors name users and addresses, so they go to the log only and callers get
# the texts below.
_WITHHELD = {
    "unavailable": "The store cannot be reached at the moment; try again.",
    "protocol_error": "The store's answer cannot be read; the server's log says more.",
    "config_error": "The store refuses the server's commands; the server's log says why.",
    "authentication_failed": "The store refuses the server's credentials; its log says more.",
    "internal_error": "An unforeseen error; the server's log has it under this request's id.",
}

_RETRYABLE = frozenset({"unavailable", "overloaded", "config_error", "authentication_failed"})

_KIND_OF_ROUTING = {404: "route_not_found", 405: "method_not_allowed"}

RETRY_AFTER: Header = (b"retry-after", b"1")

_LONGEST_DETAIL = 1000


class Problem(Exception):
    """An answer other than success, raised anywhere below the boundary."""

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        headers: Sequence[Header] = (),
        members: Mapping[str, Any] | None = None,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.kind = KINDS[code]
        # Details quote the request, and a name in it may have megabytes, so they are cut.
        self.detail = detail if len(detail) <= _LONGEST_DETAIL else f"{detail[:_LONGEST_DETAIL]}…"
        self.headers = tuple(headers)
        self.members = members or {}
        # The rest of the request was not read, so the connection cannot be used again.
        self.close = close

    def document(self, request_id: str, instance: str) -> bytes:
        """Return the problem document as UTF-8 JSON."""
        return orjson.dumps(
            {
                "type": self.kind.type,
                "title": self.kind.title,
                "status": self.kind.status,
                "detail": self.detail,
                "instance": instance,
                "request_id": request_id,
                **self.members,
            }
        )


def problem_of(error: Exception) -> Problem:
    """Return the problem with which the server answers an exception."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, HTTPException):
        return _routing_problem(error)
    if isinstance(error, errors.FscoreError):
        return _problem_of_fault(error)
    return Problem("internal_error", _WITHHELD["internal_error"])


def _problem_of_fault(error: errors.FscoreError) -> Problem:
    code = error.code
    if code not in _TITLES:
        return Problem("internal_error", _WITHHELD["internal_error"])
    offset = getattr(error, "offset", None)
    members = {} if offset is None else {"offset": offset}
    return Problem(
        code,
        _WITHHELD.get(code) or str(error),
        headers=[_retry_after(error)] if code in _RETRYABLE else [],
        members=members,
    )


def _retry_after(error: errors.FscoreError) -> Header:
    """Return the `Retry-After` that the error suggests, in whole seconds; 1 s if it has none."""
    seconds = getattr(error, "retry_after", None)
    return RETRY_AFTER if seconds is None else (b"retry-after", b"%d" % max(1, math.ceil(seconds)))


def _routing_problem(error: HTTPException) -> Problem:
    code = _KIND_OF_ROUTING.get(error.status_code)
    if code is None:
        return Problem("internal_error", _WITHHELD["internal_error"])
    if code == "method_not_allowed":
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        return Problem(
            code,
            f"The methods of this route are {allowed}.",
            headers=[(b"allow", allowed.encode("latin-1"))],
        )
    return Problem(code, "The routes are listed at /openapi.json and, to read, at /docs.")
