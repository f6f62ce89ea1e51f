"""Limits on the size of a request's body and on the time that it may take to arrive."""

from __future__ import annotations

import asyncio

from starlette.types import Receive

from fscore.serving import parse_timeout_ms
from fscore_server.problems import Header, Problem


class ClientGone(Exception):
    """The caller closed the connection before its request was complete or answered."""


def header(headers: list[Header], name: bytes) -> bytes | None:
    """Return the first value of a header, or None; `name` is in lower case."""
    for key, value in headers:
        if key == name:
            return value
    return None


async def read_body(
    headers: list[Header], receive: Receive, *, max_bytes: int, seconds: float
) -> bytes:
    """Return the request's whole body, counted while it arrives.

    Raises `request_too_large` at the first byte over the limit, or at once if the announced length
    is over it, and `request_timeout` if the body has not arrived within `seconds`.
    """
    announced = header(headers, b"content-length")
    if announced is not None and _length(announced) > max_bytes:
        raise _too_large(max_bytes)
    try:
        async with asyncio.timeout(seconds):
            return await _receive_all(receive, max_bytes)
    except TimeoutError:
        raise Problem(
            "request_timeout",
            f"The body was not complete after {seconds:g} s; send it faster or in smaller batches.",
            close=True,
        ) from None


async def _receive_all(receive: Receive, max_bytes: int) -> bytes:
    message = await receive()
    if message["type"] == "http.disconnect":
        raise ClientGone
    first: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        if len(first) > max_bytes:
            raise _too_large(max_bytes)
        return first
    body = bytearray(first)
    while message.get("more_body", False):
        if len(body) > max_bytes:
            raise _too_large(max_bytes)
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        body += message.get("body", b"")
    if len(body) > max_bytes:
        raise _too_large(max_bytes)
    return bytes(body)


def request_timeout(headers: list[Header], default: float) -> float:
    """Return the request's deadline in seconds: `default`, or less by `X-Request-Timeout-Ms`.

    Raises `invalid_request` if the header is not a whole number from 1.
    """
    value = header(headers, b"x-request-timeout-ms")
    if value is None:
        return default
    ms = parse_timeout_ms(value)
    if ms is None:
        raise Problem(
            "invalid_request", "The header X-Request-Timeout-Ms takes whole milliseconds from 1."
        )
    return min(default, ms / 1000)


def _length(value: bytes) -> int:
    # The HTTP parser has already refused lengths that are not decimal numbers.
    return int(value) if value.isdigit() else 0


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        "request_too_large",
        f"A body may have {max_bytes} bytes; ask for fewer entities in one request.",
        close=True,
    )
