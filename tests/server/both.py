"""One request to two servers that differ only in whether they have hot routes: one answer."""

from __future__ import annotations

import re

import httpx

from tests.server.server_process import ServerProcess

# What the server makes anew for each request, in headers and in problem documents.
_MADE_ID = re.compile(rb"\b[0-9a-f]{16}-[0-9a-f]+\b")
_DATE = re.compile(rb"(?m)^date: [^\r]+")
_LENGTH = re.compile(rb"(?m)^content-length: (\d+)\r$")


def asking_both(hot: ServerProcess, application: ServerProcess) -> httpx.Client:
    """A client that asks one with hot routes and one without, and compares what they answer."""
    transport = BothPaths(hot, application)
    return httpx.Client(base_url=hot.url, timeout=20, transport=transport)


class BothPaths(httpx.BaseTransport):
    """Sends each request to a server without hot routes, and twice to one with them.

    Of these two the second finds a route that has learned what is asked. All three answers must be
    the same, byte for byte; the caller gets the last.
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
        # The transport's response is read already, and its stream closed.
        return httpx.Response(
            response.status_code, headers=response.headers.raw, content=response.content
        )

    def close(self) -> None:
        self._transport.close()


def comparable(head: bytes, body: bytes) -> bytes:
    """An answer without what differs from one to the next: dates, ids that the server made."""
    body = _MADE_ID.sub(b"made", body)
    head = _DATE.sub(b"date: then", _MADE_ID.sub(b"made", head))
    return _LENGTH.sub(b"content-length: %d\r" % len(body), head) + body


def comparable_stream(stream: bytes) -> bytes:
    """All that a connection received, likewise; lengths that count ids are left out."""
    stream = _DATE.sub(b"date: then", _MADE_ID.sub(b"made", stream))
    return _LENGTH.sub(b"content-length: some\r", stream)
