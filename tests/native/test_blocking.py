"""The blocking driver by itself: its pool, its deadlines, and servers that misbehave."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from fscore import errors
from fscore._fscore import BlockingPool, ReadPlan
from tests.client.driver import PATIENCE
from tests.native.peer import Peer, answer, greet, hang_up
from tests.redis_server import RedisServer

SOON = 5.0
"""Seconds, far above the deadlines of calls that fail here, and far below waiting for ever."""


@pytest.fixture
def pool(redis_server: RedisServer) -> Iterator[BlockingPool]:
    pool = BlockingPool(host="127.0.0.1", port=redis_server.port)
    pool.command(["FLUSHALL"], 5.0)
    yield pool
    pool.close()


def _pool(port: int, **settings: Any) -> BlockingPool:
    return BlockingPool(host="127.0.0.1", port=port, **settings)


def _plan() -> ReadPlan:
    spec = {
        "entities": [
            {
                "name": "user",
                "join_keys": [("user_id", "Int64")],
                "fields_total": 100,
                "wide_values": False,
            }
        ],
        "service": None,
        "request": [],
        "computed": [],
        "outputs": [],
        "views": [{"kind": "hash", "entity": 0, "name": "profile", "ttl_ms": 0}],
        "features": [
            {
                "name": "age",
                "view": 0,
                "field": "age",
                "type": "Int64",
                "default": None,
                "ttl_ms": 0,
                "window": None,
            }
        ],
    }
    return ReadPlan(spec, "")


# Commands


def test_arguments_and_replies(pool: BlockingPool) -> None:
    info = pool.connect(5.0)
    assert (info["protocol"], info["role"]) == (3, "master")
    assert info["server"] in {"redis", "valkey"}
    assert pool.command(["SET", b"\x00key\r\n", "välue"], 5.0) == "OK"
    key: Any = bytearray(b"\x00key\r\n")
    assert pool.command(["GET", key], 5.0) == "välue".encode()
    assert pool.command(["INCRBY", "n", 2**62], 5.0) == 2**62
    assert pool.command(["RPUSH", "l", 1.5, 1e300, -0.0, float("inf")], 5.0) == 4
    assert pool.command(["LRANGE", "l", 0, -1], 5.0) == [b"1.5", b"1e300", b"-0.0", b"inf"]
    assert pool.command(["HSET", "h", "f", 2**64], 5.0) == 1
    assert pool.command(["HGETALL", "h"], 5.0) == {b"f": b"18446744073709551616"}
    assert pool.command(["GET", "none"], 5.0) is None


def test_arguments_that_have_no_text_are_refused(pool: BlockingPool) -> None:
    with pytest.raises(errors.InvalidArgument, match="not Unicode"):
        pool.command(["GET", "\udc80"], 5.0)
    with pytest.raises(errors.InvalidArgument, match="too many digits"):
        pool.command(["GET", 10**10_000], 5.0)


@pytest.mark.parametrize("argument", [True, None, object(), ["x"]])
def test_arguments_of_other_types_are_refused(pool: BlockingPool, argument: Any) -> None:
    with pytest.raises(errors.InvalidArgument, match="bytes, str, int or float"):
        pool.command(["SET", "k", argument], 5.0)
    assert pool.command(["EXISTS", "k"], 5.0) == 0


def test_a_command_needs_a_name(pool: BlockingPool) -> None:
    with pytest.raises(errors.InvalidArgument, match="at least its name"):
        pool.command([], 5.0)


def test_errors_raise_alone_and_are_values_in_a_pipeline(pool: BlockingPool) -> None:
    pool.command(["SET", "text", "x"], 5.0)
    with pytest.raises(errors.ConfigError, match="WRONGTYPE"):
        pool.command(["LPUSH", "text", 1], 5.0)
    replies = pool.pipeline([["INCR", "n"], ["LPUSH", "text", 1], ["INCR", "n"]], 5.0)
    assert replies[::2] == [1, 2]
    assert isinstance(replies[1], errors.ConfigError)
    assert pool.pipeline([], 5.0) == []


def test_a_reply_may_be_bounded(pool: BlockingPool) -> None:
    pool.command(["SET", "large", "x" * 10_000], 5.0)
    with pytest.raises(errors.ProtocolError, match="more than 5000 bytes"):
        pool.command(["GET", "large"], 5.0, max_reply=5_000)
    assert pool.command(["STRLEN", "large"], 5.0) == 10_000


def test_large_commands_and_replies(pool: BlockingPool) -> None:
    value = os.urandom(20 << 20)
    assert pool.command(["SET", "large", value], 30.0) == "OK"
    assert pool.command(["GET", "large"], 30.0) == value


def test_refused_writes_say_why(redis_server: RedisServer, pool: BlockingPool) -> None:
    pool.command(["CONFIG", "SET", "maxmemory", "1"], 5.0)
    try:
        with pytest.raises(errors.WriteRejected, match="OOM") as caught:
            pool.command(["SET", "k", "v"], 5.0)
        assert caught.value.reason == "OOM"
        assert pool.command(["GET", "k"], 5.0) is None
    finally:
        pool.command(["CONFIG", "SET", "maxmemory", "0"], 5.0)


# Deadlines


def test_a_deadline_is_kept_and_harms_nobody(pool: BlockingPool) -> None:
    pool.connect(5.0)
    for timeout in (0.005, 0.03, 0.1):
        began = time.monotonic()
        with pytest.raises(errors.DeadlineExceeded):
            pool.command(["BLPOP", "nothing", 0], timeout)
        assert timeout <= time.monotonic() - began < SOON
        assert pool.command(["ECHO", "mine"], 5.0) == b"mine"


def test_a_late_reply_reaches_no_other_caller(
    redis_server: RedisServer, pool: BlockingPool
) -> None:
    narrow = _pool(redis_server.port, max_connections=1)
    with pytest.raises(errors.DeadlineExceeded):
        narrow.command(["BLPOP", "queue", 0], 0.05)
    pool.command(["RPUSH", "queue", "late"], 5.0)
    assert narrow.command(["ECHO", "mine"], 5.0) == b"mine"
    assert pool.command(["EXISTS", "queue"], 5.0) == 0
    narrow.close()


def test_no_time_at_all(pool: BlockingPool) -> None:
    for timeout in (0.0, -1.0):
        with pytest.raises(errors.DeadlineExceeded):
            pool.command(["PING"], timeout)
    with pytest.raises(ValueError, match="not a valid timeout"):
        pool.command(["PING"], float("nan"))
    assert pool.command(["PING"], float("inf")) == "PONG"
    assert pool.command(["PING"]) == "PONG"


def test_a_partial_answer_is_returned_unless_all_is_wanted() -> None:
    def half(connection: Any) -> None:
        greet(connection)
        connection.recv(65536)
        connection.sendall(b"*2\r\n$1\r\n5\r\n$2\r\n29\r\n*2\r\n$1\r\n")
        connection.recv(65536)

    with Peer(half) as peer:
        pool = _pool(peer.port)
        pool.connect(5.0)
        table = pool.read(_plan(), [1, 2], 1, 0, 1.0)
        assert table.statuses.tolist() == [[0], [5]]
        assert table.to_dicts() == [{"age": 29}, {"age": None}]
        with pytest.raises(errors.DeadlineExceeded):
            pool.read(_plan(), [1, 2], 1, 0, 0.2, partial=False)
        pool.close()


def test_signal_handlers_run(pool: BlockingPool) -> None:
    class Alarm(Exception):
        pass

    def ring(*_: Any) -> None:
        raise Alarm

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        began = time.monotonic()
        with pytest.raises(Alarm):
            pool.command(["BLPOP", "nothing", 0])
        assert time.monotonic() - began < SOON
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert pool.command(["ECHO", "mine"], 5.0) == b"mine"


# Threads and processes


def test_threads_get_their_own_answers(redis_server: RedisServer) -> None:
    pool = _pool(redis_server.port, max_connections=3)
    strangers: list[Any] = []

    def ask(name: int) -> None:
        for turn in range(200):
            mine = f"{name}-{turn}".encode()
            reply = pool.command(["ECHO", mine], 10.0)
            if reply != mine:
                strangers.append(reply)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not strangers
    assert pool.open <= 3
    pool.close()
    assert pool.open == 0


def test_the_interpreter_is_free_meanwhile(pool: BlockingPool) -> None:
    pool.connect(5.0)
    blocked = threading.Thread(target=pool.command, args=(["BLPOP", "wake", 0], PATIENCE))
    blocked.start()
    for _ in range(100):
        assert pool.command(["ECHO", "x"], 5.0) == b"x"
    assert blocked.is_alive()
    pool.command(["RPUSH", "wake", "up"], 5.0)
    blocked.join(PATIENCE)
    assert not blocked.is_alive()


def test_waiting_for_a_connection_ends_by_the_deadline(redis_server: RedisServer) -> None:
    pool = _pool(redis_server.port, max_connections=1)
    pool.connect(5.0)
    blocked = threading.Thread(target=pool.command, args=(["BLPOP", "wake", 0], PATIENCE))
    blocked.start()
    other = _pool(redis_server.port)
    while b"blpop" not in other.command(["CLIENT", "LIST"], 5.0):
        pass
    with pytest.raises(errors.DeadlineExceeded, match="all 1 connections were busy"):
        pool.command(["PING"], 0.05)
    other.command(["RPUSH", "wake", "up"], 5.0)
    blocked.join(PATIENCE)
    assert pool.command(["PING"], 5.0) == "PONG"


def test_a_child_process_gets_an_error(pool: BlockingPool) -> None:
    assert pool.command(["PING"], 5.0) == "PONG"
    child = os.fork()
    if child == 0:
        code = 1
        try:
            pool.command(["PING"], 5.0)
        except errors.ForkedProcess:
            pool.close()
            code = pool.open
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert pool.command(["ECHO", "parent"], 5.0) == b"parent"


# Connections that end


def test_a_connection_closed_while_idle_is_not_used(
    redis_server: RedisServer, pool: BlockingPool
) -> None:
    assert pool.command(["INCR", "n"], 5.0) == 1
    other = _pool(redis_server.port)
    other.command(["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"], 5.0)
    # Not idempotent, so the driver would not send it again.
    assert pool.command(["INCR", "n"], 5.0) == 2


def test_a_restarted_server_is_found_again() -> None:
    server = RedisServer("redis")
    server.start()
    try:
        pool = _pool(server.port)
        assert pool.command(["PING"], 5.0) == "PONG"
        server.kill()
        began = time.monotonic()
        with pytest.raises(errors.Unavailable):
            pool.command(["PING"], 1.0)
        assert time.monotonic() - began < SOON
        # There is no time to try again, so the error says what was wrong; no connection was busy.
        with pytest.raises(errors.Unavailable):
            pool.command(["PING"], 1e-9)
        server.start()
        assert pool.command(["PING"], 5.0) == "PONG"
    finally:
        server.stop()


def test_nobody_listens(port: int) -> None:
    pool = _pool(port)
    began = time.monotonic()
    with pytest.raises(errors.Unavailable, match=r"cannot connect to 127\.0\.0\.1"):
        pool.command(["PING"], 1.0)
    assert time.monotonic() - began < SOON
    with pytest.raises(errors.Unavailable, match="No such file"):
        BlockingPool(path="/nowhere/redis.sock").connect(0.5)


def test_only_what_may_be_sent_again_is() -> None:
    with Peer(hang_up(), answer(b":1\r\n")) as peer:
        pool = _pool(peer.port)
        with pytest.raises(errors.Unavailable, match="is not known"):
            pool.command(["INCR", "n"], 5.0)
        assert peer.connections == 1
    with Peer(hang_up(), answer(b":1\r\n")) as peer:
        pool = _pool(peer.port)
        assert pool.command(["INCR", "n"], 5.0, idempotent=True) == 1
        assert peer.connections == 2


def test_three_attempts_and_no_more() -> None:
    with Peer(hang_up()) as peer:
        pool = _pool(peer.port)
        with pytest.raises(errors.Unavailable):
            pool.read(_plan(), [1], 1, 0, 5.0)
        assert peer.connections == 3


def test_a_server_that_is_still_loading_is_waited_for() -> None:
    with Peer(
        answer(b"-LOADING Redis is loading the dataset in memory\r\n"), answer(b"+OK\r\n")
    ) as peer:
        assert _pool(peer.port).command(["SET", "k", "v"], 5.0) == "OK"
        assert peer.connections == 2


@pytest.mark.parametrize(
    "reply",
    [b"?\r\n", b"$999999999999\r\n", b"*1\r\n" * 40, b"$3\r\nabcdef\r\n", b"+OK\r\n+more\r\n"],
    ids=["garbage", "absurd length", "nesting", "broken string", "a reply too many"],
)
def test_nonsense_is_a_protocol_error_and_ends_the_connection(reply: bytes) -> None:
    with Peer(answer(reply), answer(b":7\r\n")) as peer:
        pool = _pool(peer.port)
        if reply.startswith(b"+OK"):
            assert pool.command(["PING"], 5.0) == "OK"
        else:
            with pytest.raises(errors.ProtocolError):
                pool.command(["PING"], 5.0, idempotent=True)
        # The next command gets its own answer, on a new connection.
        assert pool.command(["INCR", "n"], 5.0) == 7
        assert peer.connections == 2


def test_something_else_answers() -> None:
    def web_server(connection: Any) -> None:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with Peer(web_server) as peer, pytest.raises(errors.ProtocolError, match="Redis or Valkey"):
        _pool(peer.port).connect(5.0)


def test_a_server_that_says_nothing_is_unavailable() -> None:
    def silent(connection: Any) -> None:
        while connection.recv(65536):
            pass

    with Peer(silent) as peer:
        pool = _pool(peer.port, connect_timeout=0.2)
        with pytest.raises(errors.Unavailable, match=r"did not answer in time|not ready"):
            pool.connect(5.0)
        pool = _pool(peer.port, connect_timeout=30.0)
        began = time.monotonic()
        with pytest.raises((errors.DeadlineExceeded, errors.Unavailable)):
            pool.command(["PING"], 0.1)
        assert time.monotonic() - began < SOON


# Settings


def test_credentials() -> None:
    server = RedisServer("redis")
    server.start()
    try:
        _pool(server.port).command(["CONFIG", "SET", "requirepass", "s3cret"], 5.0)
        right = _pool(server.port, password="s3cret", client_name="tests", database=3)
        assert b"db=3" in right.command(["CLIENT", "INFO"], 5.0)
        assert right.command(["CLIENT", "GETNAME"], 5.0) == b"tests"
        resp2 = _pool(server.port, password="s3cret", prefer_resp3=False)
        assert resp2.connect(5.0)["protocol"] == 2
        for settings in ({}, {"password": "wr0ng"}, {"username": "no", "password": "wr0ng"}):
            wrong = _pool(server.port, **settings)
            for _ in range(2):
                began = time.monotonic()
                with pytest.raises(errors.AuthenticationFailed) as caught:
                    wrong.command(["PING"], 30.0)
                assert time.monotonic() - began < SOON, "no use in trying again"
                assert "wr0ng" not in str(caught.value)
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hots": "x"}, 'no setting "hots"'),
        ({}, "either host and port, or path"),
        ({"host": "a", "path": "/b"}, "either host and port, or path"),
        ({"path": "/b", "tls": True}, "does not speak TLS"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        BlockingPool(**settings)


def test_a_pool_without_connections() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BlockingPool(host="a", port=1, max_connections=0)


def test_a_closed_client_stays_closed(pool: BlockingPool) -> None:
    pool.connect(5.0)
    pool.close()
    with pytest.raises(errors.Unavailable, match="this client is closed"):
        pool.command(["PING"], 5.0)
    assert pool.open == 0


def test_unix_sockets(tmp_path: Any) -> None:
    path = str(tmp_path / "redis.sock")
    server = RedisServer("redis", ["--unixsocket", path])
    server.start()
    try:
        pool = BlockingPool(path=path)
        assert pool.command(["ECHO", "x"], 5.0) == b"x"
        assert path in repr(pool)
    finally:
        server.stop()
