"""Trailer fields after a chunked body: they are bounded, dropped, and have no meaning."""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.driver import PATIENCE
from tests.redis_server import RedisServer
from tests.server import keys
from tests.server.both import comparable_stream
from tests.server.http.test_hot_routes import BODY, LAST, get, received
from tests.server.keys import FULL
from tests.server.server_process import ServerProcess

LIMIT = 4096
CHUNKED = b"Host: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
POST = b"POST /v1/features HTTP/1.1\r\n" + CHUNKED + b"\r\n"
GET = b"GET /health/live HTTP/1.1\r\n" + CHUNKED + b"\r\n"
WHOLE = b"%x\r\n%s\r\n0\r\n" % (len(BODY), BODY)
"""A body in one chunk, and the last chunk."""


@pytest.fixture(scope="module", params=[True, False], ids=["hot", "application"])
def small(any_store: RedisServer, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server with a low limit of header bytes, with hot routes and without."""
    settings = {"max_header_bytes": LIMIT, "hot_routes": request.param}
    with ServerProcess(any_store.url, **settings) as process:
        yield process


@pytest.mark.parametrize(
    "part",
    [b"a: b\r\n" * 1000, b"a: " + b"b" * 5000, b"a: b\r\n" * 500 + b"a: " + b"b" * 4000],
    ids=["many", "long", "both"],
)
@pytest.mark.parametrize("whole", [True, False], ids=["in one piece", "in two"])
def test_trailers_over_the_limit_are_431_and_closed(
    small: ServerProcess, part: bytes, whole: bool
) -> None:
    request = POST + WHOLE
    parts = [request + part + b"\r\n\r\n"] if whole else [request, part, b"\r\n\r\n"]
    answer = received(small.port, parts)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b'"/docs#header_too_large"' in answer
    assert b"connection: close\r\n" in answer


@pytest.mark.parametrize("head", [POST, GET], ids=["read", "not read"])
@pytest.mark.parametrize(
    ("start", "more"),
    [(WHOLE, b"a:\r\n"), (WHOLE + b"a: ", b"b"), (b"5;a=", b"b"), (b"5", b"0")],
    ids=["fields", "a field", "an extension", "a length"],
)
def test_what_does_not_end_is_not_kept(
    small: ServerProcess, head: bytes, start: bytes, more: bytes
) -> None:
    small.client.get("/health/live")
    before = peak_of(small)
    more *= 200_000 // len(more)
    answer = b""
    with socket.create_connection(("127.0.0.1", small.port), timeout=PATIENCE) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(head + start)
            # The server reads and drops these bytes while the caller may still read its answer.
            for _ in range(200):
                connection.sendall(more)
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                answer += chunk
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert peak_of(small) - before < 8 << 20
    assert small.client.get("/health/live").status_code == 200
    assert not [line for line in small.log if line["level"] == "error"]


def peak_of(process: ServerProcess) -> int:
    """Return the peak memory of a process so far, in bytes."""
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) << 10


TRAILERS = [
    b"",
    b"A: b\r\n",
    b"A: " + b"b" * 4000 + b"\r\n",
    b"X-Request-ID: mine\r\n",
    b"X-Request-Timeout-Ms: soon\r\n",
    b"Accept: text/html\r\n",
    b"Content-Type: text/html\r\n",
    b"Content-Encoding: gzip\r\n",
    b"Expect: 100-continue\r\n",
    b"Connection: close\r\n",
    b"connection:close\r\nA: b\r\n",
    b"Connection: upgrade\r\nUpgrade: h2c\r\n",
    b"traceparent: 00-" + b"a" * 32 + b"-" + b"b" * 16 + b"-01\r\n",
]


@pytest.mark.parametrize("trailers", TRAILERS)
@pytest.mark.parametrize("cut", [False, True], ids=["together", "apart"])
def test_trailers_mean_nothing(small: ServerProcess, trailers: bytes, cut: bool) -> None:
    def asked(request: bytes) -> bytes:
        parts = [request[: -len(trailers) - 2], request[-len(trailers) - 2 :]] if cut else [request]
        return comparable_stream(received(small.port, [*parts, get(), LAST]))

    plain = comparable_stream(received(small.port, [POST + WHOLE + b"\r\n", get(), LAST]))
    assert plain.count(b"HTTP/1.1 200 ") == 3
    assert asked(POST + WHOLE + trailers + b"\r\n") == plain
    # The next request in the same piece is read too.
    behind = comparable_stream(
        received(small.port, [POST + WHOLE + trailers + b"\r\n" + get() + LAST])
    )
    assert behind == plain


def test_a_trailer_has_no_api_key(any_store: RedisServer, tmp_path: Path) -> None:
    file = keys.write(tmp_path / "keys.toml", FULL)
    key = b"X-API-Key: %s\r\n" % FULL.secret.encode()
    with ServerProcess(any_store.url, api_keys_file=str(file)) as process:
        known = POST.removesuffix(b"\r\n") + key + b"\r\n" + WHOLE + b"\r\n"
        assert received(process.port, [known, LAST]).count(b"HTTP/1.1 200 ") == 2
        answer = received(process.port, [POST + WHOLE + key + b"\r\n", LAST])
        assert answer.startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("behind", [get(), b"\0", b"GET / HTTP/9.9\r\n\r\n"])
def test_what_is_behind_the_last_request_is_not_read(small: ServerProcess, behind: bytes) -> None:
    for parts in ([LAST + behind], [LAST, behind]):
        answer = received(small.port, parts)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert answer.count(b"HTTP/1.1 ") == 1


def test_a_body_that_is_answered_before_it_is_there_is_not_answered_again(
    small: ServerProcess,
) -> None:
    with socket.create_connection(("127.0.0.1", small.port), timeout=PATIENCE) as connection:
        connection.sendall(GET)
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        connection.sendall(b"no length\r\n")
        assert connection.recv(65536) == b""
