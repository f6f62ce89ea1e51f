"""How long connections are kept, and how many."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.redis_server import RedisServer
from tests.server.process import ServerProcess
from tests.server.test_hot_routes import Conversation, get, hot_requests
from tests.server.test_lifecycle import until


@pytest.fixture(scope="module", params=[True, False], ids=["hot", "application"])
def impatient(any_store: RedisServer, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server that keeps idle connections for a second, with hot routes and without."""
    with ServerProcess(any_store.url, keep_alive=1, hot_routes=request.param) as process:
        talk = Conversation(process.port)
        for _ in range(2):
            talk.send(get())
            assert b'"age":29' in talk.answer()
        talk.close()
        yield process


@pytest.mark.parametrize("first", [get(), get("/health/live")], ids=["features", "health"])
@pytest.mark.parametrize("empty", [b"\r\n", b"\n", b"\r", b"\r\n" * 1000])
def test_empty_lines_begin_no_request(impatient: ServerProcess, first: bytes, empty: bytes) -> None:
    talk = Conversation(impatient.port)
    talk.send(first)
    talk.answer()
    answered = time.monotonic()
    # However many there are, the connection is as idle as before.
    talk.connection.settimeout(0.2)
    while True:
        assert time.monotonic() - answered < 5
        with contextlib.suppress(ConnectionError):
            talk.connection.sendall(empty)
        try:
            assert talk.connection.recv(1) == b""
        except TimeoutError:
            continue
        except ConnectionResetError:
            pass
        break
    talk.close()


def test_a_request_behind_empty_lines_is_answered(impatient: ServerProcess) -> None:
    for empty in (b"\r\n", b"\n\n", b"\r"):
        for first in (get(), get("/health/live")):
            talk = Conversation(impatient.port)
            talk.send(first)
            talk.answer()
            for part in (empty, first, empty, get()):
                talk.send(part)
            assert talk.answer().startswith(b"HTTP/1.1 200 ")
            assert b'"age":29' in talk.answer()
            before = hot_requests(impatient)
            talk.send(empty)
            talk.send(get())
            assert b'"age":29' in talk.answer()
            assert hot_requests(impatient) - before == impatient.settings["hot_routes"]
            talk.close()


def test_a_connection_is_idle_once_an_answered_request_has_all_of_its_body(
    impatient: ServerProcess,
) -> None:
    head = b"GET /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n"
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=20) as connection:
        connection.sendall(head)
        # Answered before its body is there, which has the time of a header to come.
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        answered = time.monotonic()
        connection.sendall(b"{")
        until(lambda: time.monotonic() - answered > 1.2)
        connection.sendall(b"}")
        assert connection.recv(1) == b""
        assert 2 < time.monotonic() - answered < 8
