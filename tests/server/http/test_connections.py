"""How long connections are kept, and how many."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from tests.client.driver import PATIENCE, until
from tests.redis_server import RedisServer
from tests.server.conftest import UNCHANGING
from tests.server.http.test_hot_routes import Conversation, get, hot_requests, post
from tests.server.server_process import ServerProcess


@pytest.fixture(scope="module", params=[True, False], ids=["hot", "application"])
def impatient(any_store: RedisServer, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server that keeps idle connections for a second, with hot routes and without."""
    settings = {"keep_alive": 1, "hot_routes": request.param, **UNCHANGING}
    with ServerProcess(any_store.url, **settings) as process:
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
    # However many empty lines come, the connection still counts as idle.
    talk.connection.settimeout(0.2)
    while True:
        assert time.monotonic() - answered < 10
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
    with socket.create_connection(("127.0.0.1", impatient.port), timeout=PATIENCE) as connection:
        connection.sendall(head)
        # Answered before its body is there; the rest of the body has a header's time to come.
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        answered = time.monotonic()
        connection.sendall(b"{")
        until(lambda: time.monotonic() - answered > 1.2)
        connection.sendall(b"}")
        assert connection.recv(1) == b""
        assert 2 < time.monotonic() - answered < 8


def test_a_body_behind_another_request_has_its_own_time(any_store: RedisServer) -> None:
    """It has the body timeout, not the short time for the rest of an answered request's body."""
    one = post({"service": "ranking", "entities": {"user_id": ["u1"]}})
    settings = {"header_timeout": 1, "body_timeout": 30}
    with ServerProcess(any_store.url, **settings) as process, connected(process) as connection:
        connection.sendall(one + one[:-10])
        first = connection.recv(65536)
        assert first.startswith(OK)
        answered = time.monotonic()
        until(lambda: time.monotonic() - answered > 1.5)
        connection.sendall(one[-10:])
        assert connection.recv(65536).startswith(OK)


# The number of connections.

READY = get("/health/ready")


@pytest.fixture(params=[True, False], ids=["hot", "application"])
def full(any_store: RedisServer, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server with at most four connections, all held by callers that have had an answer."""
    settings = {"max_clients": 4, "header_timeout": 1, "hot_routes": request.param}
    with (
        ServerProcess(any_store.url, **settings) as process,
        contextlib.ExitStack() as held,
    ):
        for _ in range(4):
            assert answered(held.enter_context(connected(process)), get()).startswith(OK)
        yield process


OK = b"HTTP/1.1 200 "
OVERLOADED = b"HTTP/1.1 429 "


def connected(process: ServerProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE)


def answered(connection: socket.socket, request: bytes) -> bytes:
    """Send a request and return the beginning of the answer."""
    connection.sendall(request)
    return connection.recv(65536)


def rest(connection: socket.socket) -> bytes:
    stream = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            stream += chunk
    return stream


@pytest.mark.parametrize(
    "request_",
    [
        READY,
        get("/health/live"),
        READY.replace(b"GET", b"HEAD"),
        b"\r\n" + READY,
        get("/health/live", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"),
    ],
)
def test_probes_are_answered_when_it_is_full(full: ServerProcess, request_: bytes) -> None:
    for cut in (len(request_), 10):
        with connected(full) as connection:
            connection.sendall(request_[:cut])
            connection.sendall(request_[cut:])
            answer = rest(connection)
            assert answer.startswith(OK)
            assert answer.count(b"connection: close\r\n") == 1


@pytest.mark.parametrize(
    "request_",
    [get(), get("/metrics"), get("/healthy"), b"GET /v1/features?x=/health/ HTTP/1.1\r\n\r\n"],
)
def test_other_requests_are_refused_when_it_is_full(full: ServerProcess, request_: bytes) -> None:
    with connected(full) as connection:
        answer = answered(connection, request_)
        assert answer.startswith(OVERLOADED)
        assert b"retry-after: 1\r\n" in answer
        assert b'"/docs#overloaded"' in answer
        assert rest(connection) == b""


def test_a_probe_is_the_last_request_of_its_connection(full: ServerProcess) -> None:
    for other in (READY, get()):
        with connected(full) as connection:
            connection.sendall(READY + other)
            answer = rest(connection)
            assert answer.startswith(OK)
            assert answer.count(b"HTTP/1.1 ") == 1


def test_callers_that_say_nothing_do_not_keep_probes_out(full: ServerProcess) -> None:
    with contextlib.ExitStack() as silent:
        others = [silent.enter_context(connected(full)) for _ in range(199)]
        started = time.monotonic()
        others.append(silent.enter_context(connected(full)))
        for _ in range(10):
            with connected(full) as probe:
                assert answered(probe, READY).startswith(OK)
        # The oldest connections make room for the newest, which end after the header timeout.
        assert others[0].recv(65536).startswith(OVERLOADED)
        assert others[-1].recv(65536).startswith(OVERLOADED)
        assert 0.9 < time.monotonic() - started < 10


def test_the_place_of_a_caller_that_leaves_is_free_at_once(any_store: RedisServer) -> None:
    """A refused caller that keeps its connection open takes no place."""
    with ServerProcess(any_store.url, max_clients=2) as process, contextlib.ExitStack() as opened:
        leaving, staying = (opened.enter_context(connected(process)) for _ in range(2))
        for connection in (leaving, staying):
            assert answered(connection, get()).startswith(OK)
        for _ in range(20):
            refused = opened.enter_context(connected(process))
            assert answered(refused, get()).startswith(OVERLOADED)
        leaving.close()
        # The answer shows that the server has noticed by now whatever was before the request.
        assert answered(staying, get()).startswith(OK)
        # Refused connections stay open for two seconds, so that their callers can read the answer.
        admitted = opened.enter_context(connected(process))
        assert b"connection: close\r\n" not in answered(admitted, READY)
