"""Compare the answers of two servers that differ only in whether they have hot routes."""

from __future__ import annotations

import re

import httpx

from tests.client.driver import PATIENCE
from tests.server.server_process import ServerProcess

# An id that the server makes for each request, in headers and in problem documents.
_MADE_ID = re.compile(rb"\b[0-9a-f]{16}-[0-9a-f]+\b")
_DATE = re.compile(rb"(?m)^date: [^\r]+")
_LENGTH = re.compile(rb"(?m)^content-length: (\d+)\r$")


def asking_both(hot: ServerProcess, application: ServerProcess) -> httpx.Client:
    """Return a client that asks a server with hot routes and one without, and compares answers."""
    transport = BothPaths(hot, application)
    return httpx.Client(base_url=hot.url, timeout=PATIENCE, transport=transport)


class BothPaths(httpx.BaseTransport):
    """Sends each request to a server without hot routes, and twice to one with them.

    The first of the two teaches the hot route, the second finds it ready. All three answers must be
    the same, byte for byte; the caller gets the last one.
    """

    def __init__(self, hot: ServerProcess, application: ServerProcess) -> None:
        self._ports = [application.port, hot.port, hot.port]
        self._transport = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        answers = []
        for port in self._ports:
            request.url = request.url.copy_with(port=port)
            response = self._transport.handle_request(request)
            response.read()
            fields = b"".join(b"%s: %s\r\n" % field for field in response.headers.raw)
            head = b"HTTP/1.1 %d\r\n%s\r\n" % (response.status_code, fields)
            answers.append(comparable(head, response.content))
        assert answers[0] == answers[1], "before anything was learned"
        assert answers[0] == answers[2], "by the hot routes"
        # The transport's response is already read, so its stream is closed.
        return httpx.Response(
            response.status_code, headers=response.headers.raw, content=response.content
        )

    def close(self) -> None:
        self._transport.close()


def comparable(head: bytes, body: bytes) -> bytes:
    """Return an answer without the parts that always differ: dates, and ids the server made."""
    body = _MADE_ID.sub(b"made", body)
    head = _DATE.sub(b"date: then", _MADE_ID.sub(b"made", head))
    return _LENGTH.sub(b"content-length: %d\r" % len(body), head) + body


def comparable_stream(stream: bytes) -> bytes:
    """Do the same with all bytes of a connection; lengths that count ids are left out."""
    stream = _DATE.sub(b"date: then", _MADE_ID.sub(b"made", stream))
    return _LENGTH.sub(b"content-length: some\r", stream)
