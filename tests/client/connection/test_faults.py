"""Servers that die, hang, send garbage or cut replies: errors by the deadline, no wrong value."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
import pytest

from fscore import (
    DeadlineExceeded,
    Overloaded,
    ProtocolError,
    ServerFault,
    Unavailable,
    WriteRejected,
)
from tests.client.driver import PATIENCE, Driver
from tests.client.oracle import FEATURES, check, fill
from tests.client.proxy import FaultProxy
from tests.client.shop import REGISTRY
from tests.redis_server import RedisServer

USERS = 50
NEVER = 3600.0
"""No looks for new definitions, which would be traffic that the tests do not expect."""


@pytest.fixture
def connected(driver: Driver, proxy: FaultProxy, redis_url: str) -> Any:
    """A client behind the proxy, and rows to read."""
    direct = driver.connect(redis_url)
    direct.apply(REGISTRY)
    fill(direct, USERS)
    return driver.connect(proxy.url, registry_poll=NEVER)


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check that the block takes less than this many seconds."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def until_it_works(call: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Repeat a call while it raises ServerFault, and return its result."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return call()
        except ServerFault:
            assert time.monotonic() < deadline


def test_held_replies_end_by_the_deadline_and_reach_nobody_else(
    connected: Any, proxy: FaultProxy
) -> None:
    prepared = connected.prepare(features=FEATURES)
    check(prepared.get([0]), [0])
    for first in range(0, 40, 10):
        proxy.hold()
        with within(2.0):
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded, match="deadline passed") as caught:
                prepared.get([first], timeout=0.1)
            assert time.monotonic() - started >= 0.1
        assert isinstance(caught.value, TimeoutError)
        proxy.release()
        for user in range(first + 1, first + 5):
            check(prepared.get([user], timeout=PATIENCE), [user])


def test_hardly_any_time(connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=FEATURES)
    proxy.hold()
    with pytest.raises(DeadlineExceeded):
        prepared.get([1], timeout=1e-9)
    proxy.release()
    check(prepared.get([2]), [2])


def reply_length(proxy: FaultProxy, read: Callable[[], Any]) -> int:
    """Return how many bytes the reply to a read has."""
    before = proxy.passed
    read()
    return proxy.passed - before


def test_half_an_answer(connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=[*FEATURES, "level"])
    users = list(range(20))
    length = reply_length(proxy, lambda: prepared.get(users))
    each = length // len(users)
    assert each * len(users) == length
    # This many rows, and this many bytes of the next.
    for rows, more in ((10, 0), (1, 1), (19, each - 1), (7, each // 2)):
        proxy.pass_bytes(rows * each + more)
        table = prepared.get(users, timeout=0.15)
        assert np.array_equal(table.statuses[:rows, :2], np.zeros((rows, 2)))
        assert (table.statuses[rows:] == 5).all()
        assert not table.all_present
        dicts = table.to_dicts()
        assert [row["age"] for row in dicts[:rows]] == [1_000_000 + user for user in range(rows)]
        # A default replaces a value that is known to be missing, not one that could not be read.
        assert dicts[0]["level"] == 7
        assert dicts[rows:] == [{"age": None, "country": None, "level": None}] * (20 - rows)
        assert np.isnat(table.event_times[rows:]).all()
        document = json.loads(table.to_json())
        assert document["statuses"][-1] == ["UNAVAILABLE"] * 3
        assert document["values"][-1] == [None] * 3
        assert table.to_arrow()["age"].null_count == 20 - rows
        proxy.release()
        table = prepared.get(users, timeout=PATIENCE)
        assert table.column("age").tolist() == [1_000_000 + user for user in users]


def test_half_an_answer_is_none_where_all_is_wanted(connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=FEATURES)
    users = list(range(20))
    length = reply_length(proxy, lambda: prepared.get(users))
    proxy.pass_bytes(length // 2)
    with pytest.raises(DeadlineExceeded):
        prepared.get(users, timeout=0.15, partial=False)
    proxy.release()
    # Less than one row is not an answer either.
    proxy.pass_bytes(5)
    with pytest.raises(DeadlineExceeded):
        prepared.get(users, timeout=0.15, partial=True)
    proxy.release()
    check(prepared.get(users, timeout=PATIENCE), users)


@pytest.mark.parametrize("gaps", [True, False])
def test_reads_outlive_a_connection_cut_anywhere(
    connected: Any, proxy: FaultProxy, gaps: bool
) -> None:
    prepared = connected.prepare(features=FEATURES)
    users = list(range(6))
    length = reply_length(proxy, lambda: prepared.get(users))
    for position in range(1, length, 41):
        proxy.cut_after(position)
        # The client reads again on a new connection, and gets the whole answer.
        check(prepared.get(users, timeout=PATIENCE, partial=gaps), users)


def test_a_connection_cut_while_idle_disturbs_nobody(connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=FEATURES)
    for sequence in range(1, 5):
        proxy.cut()
        check(prepared.get([3], timeout=PATIENCE), [3])
        proxy.cut()
        # The server cannot have executed any of it, so the client may send even a write again.
        until_it_works(partial(fill, connected, 5, sequence))
        check(prepared.get([4], timeout=PATIENCE), [4], sequence)


GARBAGE = {
    "nonsense": b"nonsense\r\n",
    "an HTTP server": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "an absurd blob": b"$999999999999\r\n",
    "an absurd array": b"*2147483647\r\n",
    "a negative length": b"$-5\r\n",
    "nesting": b"*1\r\n" * 40,
    "a blob that is longer": b"*3\r\n$1\r\nab\r\n",
    "another shape": b":5\r\n",
    "a longer array": b"*9\r\n" + b":1\r\n" * 9,
    "another kind of element": b"*3\r\n:1\r\n:2\r\n:3\r\n",
}


@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_is_a_protocol_error_and_passes(
    connected: Any, proxy: FaultProxy, garbage: str
) -> None:
    prepared = connected.prepare(features=FEATURES)
    for gaps in (True, False):
        proxy.inject(GARBAGE[garbage])
        with pytest.raises(ProtocolError):
            prepared.get([1, 2], timeout=PATIENCE, partial=gaps)
        for user in range(3, 8):
            check(prepared.get([user], timeout=PATIENCE), [user])


def test_a_reply_too_many_shifts_no_answers(
    driver: Driver, connected: Any, proxy: FaultProxy
) -> None:
    prepared = connected.prepare(features=FEATURES)
    proxy.hold()
    before = proxy.requests
    calls = [
        driver.start(prepared.get, [user], timeout=PATIENCE, partial=False) for user in range(8)
    ]
    proxy.wait_for_request(before)
    proxy.inject(b"+OK\r\n")
    proxy.release()
    for user, outcome in enumerate(driver.all(calls)):
        if isinstance(outcome, Exception):
            assert isinstance(outcome, ServerFault)
        else:
            check(outcome, [user])


def test_a_garbled_write_is_uncertain(connected: Any, proxy: FaultProxy) -> None:
    proxy.inject(b"nonsense\r\n")
    with pytest.raises(ProtocolError, match="not known"):
        fill(connected, 5, 1)
    # The connection is ready again, so the answer is cut and not the greeting.
    assert connected.execute("PING") == "PONG"
    proxy.cut_after(3)
    with pytest.raises(Unavailable, match="not known"):
        fill(connected, 5, 2)
    assert connected.execute("PING") == "PONG"
    proxy.hold()
    with pytest.raises(DeadlineExceeded):
        connected.write("profile", [{"user_id": 1, "age": 1}], timeout=0.1)
    proxy.release()
    fill(connected, 5, 3)
    check(connected.prepare(features=FEATURES).get([1, 4]), [1, 4], 3)


def test_a_server_that_accepts_and_says_nothing(driver: Driver, proxy: FaultProxy) -> None:
    proxy.hold()
    with within(5.0), pytest.raises(ServerFault) as caught:
        driver.connect(proxy.url, connect_timeout=0.3)
    assert isinstance(caught.value, Unavailable | DeadlineExceeded)
    proxy.release()
    assert driver.connect(proxy.url).execute("PING") == "PONG"


def test_something_else_answers(driver: Driver, proxy: FaultProxy) -> None:
    proxy.inject(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with within(5.0), pytest.raises(ProtocolError, match="is it a Redis or Valkey server"):
        driver.connect(proxy.url, connect_timeout=PATIENCE)
    assert driver.connect(proxy.url).execute("PING") == "PONG"


def test_a_server_that_refuses_everybody(connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=FEATURES)
    proxy.refuse()
    for _ in range(5):
        with within(2.0), pytest.raises((Unavailable, DeadlineExceeded)):
            prepared.get([1], timeout=0.2)
    proxy.accept()
    check(until_it_works(lambda: prepared.get([1])), [1])


def test_many_callers_and_a_server_that_comes_and_goes(
    driver: Driver, connected: Any, proxy: FaultProxy
) -> None:
    prepared = connected.prepare(features=FEATURES)
    answered = threading.Event()
    outcomes: list[Any] = []

    def caller(number: int) -> None:
        for turn in range(40):
            users = [(number * 7 + turn + offset) % USERS for offset in range(1 + turn % 3)]
            try:
                table = prepared.get(users, timeout=2.0, partial=False)
            except ServerFault as error:
                outcomes.append(error)
            else:
                check(table, users)
                outcomes.append(None)
                answered.set()

    threads = [threading.Thread(target=caller, args=(number,)) for number in range(12)]
    with within(PATIENCE):
        for thread in threads:
            thread.start()
        for position in (1, 50, 500, 5, 5000):
            answered.clear()
            proxy.cut_after(position)
            answered.wait(PATIENCE)
        for thread in threads:
            thread.join(PATIENCE)
    assert len(outcomes) == 12 * 40
    # Reads are tried again, so most callers do not even notice.
    assert outcomes.count(None) > 12 * 40 // 2


@pytest.mark.parametrize("connections", [2, 64])
def test_many_callers_of_one_client(
    driver: Driver, redis_url: str, client: Any, connections: int
) -> None:
    fill(client, 200)
    prepared = driver.connect(redis_url, max_connections=connections).prepare(features=FEATURES)

    def caller(number: int) -> None:
        for turn in range(60):
            size = (number * turn) % 9
            users = [(number * 31 + turn * 17 + offset) % 200 for offset in range(size)]
            if users:
                check(prepared.get(users, timeout=PATIENCE), users)

    errors: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            caller(number)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert errors == []


# The server itself


def test_a_server_killed_and_restarted(driver: Driver, durable: RedisServer) -> None:
    client = driver.connect(durable.url, registry_poll=0.01)
    client.apply(REGISTRY)
    prepared = client.prepare(features=FEATURES)
    for sequence in range(1, 3):
        fill(client, USERS, sequence)
        check(prepared.get([1, 2]), [1, 2], sequence)
        durable.kill()
        for _ in range(2):
            with within(2.0), pytest.raises((Unavailable, DeadlineExceeded)):
                prepared.get([1], timeout=0.3)
        with within(2.0), pytest.raises((Unavailable, DeadlineExceeded)):
            client.write("profile", [{"user_id": 1, "age": 0}], timeout=0.3)
        durable.start()
        table = until_it_works(lambda: prepared.get(list(range(USERS))))
        check(table, list(range(USERS)), sequence)


def test_a_server_that_stands_still(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url, registry_poll=NEVER)
    client.apply(REGISTRY)
    fill(client, USERS)
    prepared = client.prepare(features=FEATURES)
    check(prepared.get([1]), [1])
    own_server.pause()
    try:
        for user in range(5):
            with within(2.0), pytest.raises((DeadlineExceeded, Unavailable)):
                prepared.get([user], timeout=0.1)
    finally:
        own_server.resume()
    for user in range(5, 10):
        check(until_it_works(partial(prepared.get, [user])), [user])


def test_a_connection_that_falls_silent_is_left(
    driver: Driver, connected: Any, proxy: FaultProxy
) -> None:
    prepared = connected.prepare(features=FEATURES)
    check(prepared.get([1]), [1])
    before = proxy.connections
    proxy.hold_these()
    # Nothing ends this connection, and it may still answer: callers with enough time wait for it.
    patient = driver.start(prepared.get, [2], timeout=PATIENCE)
    with within(5.0):
        check(until_it_works(lambda: prepared.get([3], timeout=0.2)), [3])
    assert proxy.connections > before
    proxy.release()
    check(patient.result(PATIENCE), [2])
    for user in range(4, 8):
        check(prepared.get([user]), [user])


def test_all_connections_killed_by_the_server(driver: Driver, client: Any, witness: Any) -> None:
    fill(client, USERS)
    prepared = client.prepare(features=FEATURES)
    for _ in range(5):
        witness.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        check(prepared.get([1]), [1])


def test_out_of_memory_refuses_writes_only(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url)
    client.apply(REGISTRY)
    fill(client, USERS)
    prepared = client.prepare(features=FEATURES)
    assert own_server.command("CONFIG", "SET", "maxmemory", "1") == b"+OK\r\n"
    with pytest.raises(WriteRejected, match=r"OOM.*maxmemory") as caught:
        fill(client, 3, 1)
    assert caught.value.reason == "OOM"
    check(prepared.get([1, 2]), [1, 2])
    assert client.delete("profile", [3]) == 1
    assert own_server.command("CONFIG", "SET", "maxmemory", "0") == b"+OK\r\n"
    fill(client, 3, 2)
    check(prepared.get([1, 2]), [1, 2], 2)


def test_a_server_without_its_replicas_refuses_writes_only(
    driver: Driver, own_server: RedisServer
) -> None:
    client = driver.connect(own_server.url)
    client.apply(REGISTRY)
    fill(client, USERS)
    prepared = client.prepare(features=FEATURES)
    assert own_server.command("CONFIG", "SET", "min-replicas-to-write", "1") == b"+OK\r\n"
    with pytest.raises(WriteRejected, match="NOREPLICAS") as caught:
        fill(client, 3, 1)
    assert caught.value.reason == "NOREPLICAS"
    check(prepared.get([1, 2]), [1, 2])


def test_a_replica_takes_no_writes(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url)
    client.apply(REGISTRY)
    fill(client, USERS)
    prepared = client.prepare(features=FEATURES)
    assert own_server.command("REPLICAOF", "127.0.0.1", "1") == b"+OK\r\n"
    with pytest.raises(Unavailable, match="READONLY"):
        fill(client, 3, 1)
    check(prepared.get([1, 2]), [1, 2])
    assert own_server.command("REPLICAOF", "NO", "ONE") == b"+OK\r\n"
    fill(client, 3, 2)
    check(prepared.get([1, 2]), [1, 2], 2)


def test_a_server_that_comes_back_within_the_deadline(
    driver: Driver, redis_server: RedisServer
) -> None:
    server = RedisServer(redis_server.kind)
    server.start()
    try:
        client = driver.connect(server.url, registry_poll=NEVER)
        client.apply(REGISTRY)
        prepared = client.prepare(features=FEATURES)
        server.kill()
        reads = [driver.start(prepared.get, [1], timeout=PATIENCE) for _ in range(8)]
        with pytest.raises(Unavailable):
            prepared.get([1], timeout=0.2)
        assert not any(read.done() for read in reads)
        server.start()
        assert [table.shape for table in driver.all(reads)] == [(1, len(FEATURES))] * 8
    finally:
        server.stop()


def test_a_server_that_is_loading(driver: Driver, redis_server: RedisServer) -> None:
    server = RedisServer(redis_server.kind)
    server.start()
    try:
        client = driver.connect(server.url, registry_poll=NEVER)
        client.apply(REGISTRY)
        fill(client, 2000)
        prepared = client.prepare(features=FEATURES)
        check(prepared.get([1]), [1])
        assert server.command("SAVE") == b"+OK\r\n"
        server.kill()
        # While it loads, the server sleeps half a second in total, and serves clients in between.
        server.arguments = [
            *("--key-load-delay", "250", "--loading-process-events-interval-bytes", "1024"),
        ]
        starting = driver_thread(server.start)
        while server.command("PING")[:8] != b"-LOADING":
            assert starting.is_alive(), "it had loaded before anybody looked"
        # Unavailable if the deadline falls between two tries, DeadlineExceeded if within one.
        with within(1.0), pytest.raises((Unavailable, DeadlineExceeded)):
            prepared.get([1], timeout=0.1)
        # The client waits for it as long as the deadline allows.
        check(prepared.get([1], timeout=PATIENCE), [1])
        starting.join(PATIENCE)
    finally:
        server.stop()


def driver_thread(target: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=target)
    thread.start()
    return thread


# The client's own limits


def test_too_much_in_flight_is_refused(
    driver: Driver, proxy: FaultProxy, client: Any, witness: Any
) -> None:
    fill(client, USERS)
    limits = {"max_in_flight": 3} if driver.name == "asyncio" else {"max_connections": 3}
    small = driver.connect(proxy.url, registry_poll=NEVER, **limits)
    prepared = small.prepare(features=FEATURES)
    if driver.name == "blocking":
        # Each of these calls needs a connection of its own, and leaves it in the pool.
        waiting = [driver.start(small.execute, "BLPOP", "list", 0) for _ in range(3)]
        assert any(witness.info("clients")["blocked_clients"] == 3 for _ in range(10_000))
        witness.rpush("list", 1, 2, 3)
        assert len(driver.all(waiting)) == 3
    check(prepared.get([0]), [0])
    proxy.hold()
    calls = []
    for user in range(3):
        before = proxy.requests
        calls.append(driver.start(prepared.get, [user], timeout=PATIENCE))
        proxy.wait_for_request(before)
    if driver.name == "asyncio":
        with within(2.0), pytest.raises(Overloaded, match="in flight"):
            prepared.get([9], timeout=PATIENCE)
    else:
        # A thread waits for a free connection until its deadline.
        with within(2.0), pytest.raises(DeadlineExceeded, match="all 3 connections were busy"):
            prepared.get([9], timeout=0.1)
    proxy.release()
    for user, table in enumerate(driver.all(calls)):
        check(table, [user])
    check(prepared.get([9]), [9])


def test_closing_under_a_call(driver: Driver, connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=FEATURES)
    check(prepared.get([1]), [1])
    proxy.hold()
    before = proxy.requests
    call = driver.start(prepared.get, [2], timeout=PATIENCE)
    proxy.wait_for_request(before)
    connected.close()
    if driver.name == "asyncio":
        with pytest.raises(Unavailable):
            call.result(PATIENCE)
    else:
        # `close` waits for calls under way.
        proxy.release()
        check(call.result(PATIENCE), [2])
    with pytest.raises(Unavailable, match="closed"):
        prepared.get([3])
    proxy.release()


def test_deadlines_of_many_are_each_their_own(
    driver: Driver, connected: Any, proxy: FaultProxy
) -> None:
    prepared = connected.prepare(features=FEATURES)
    check(prepared.get([1]), [1])
    proxy.hold()
    timeouts = [0.05, 1.25, 0.35, 0.95, 0.65]
    started = time.monotonic()
    ended: dict[float, float] = {}

    def note(timeout: float, _call: Any) -> None:
        ended[timeout] = time.monotonic() - started

    calls = []
    for timeout in timeouts:
        calls.append(driver.start(prepared.get, [1], timeout=timeout))
        calls[-1].add_done_callback(partial(note, timeout))
    assert all(isinstance(one, DeadlineExceeded) for one in driver.all(calls))
    assert [timeout for timeout, _ in sorted(ended.items(), key=lambda item: item[1])] == sorted(
        timeouts
    )
    for timeout, took in ended.items():
        assert timeout <= took < timeout + 1
    proxy.release()
    for user in itertools.islice(range(USERS), 5):
        check(prepared.get([user], timeout=PATIENCE), [user])
