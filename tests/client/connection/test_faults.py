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
from tests.client.driver import PATIENCE, Driver, until
from tests.client.oracle import FEATURES, check, fill
from tests.client.partial import read_in_part
from tests.client.proxy import FaultProxy
from tests.redis_server import RedisServer
from tests.shop import REGISTRY

CUSTOMERS = 50
NEVER = 3600.0
"""No looks for new definitions, which would be traffic that the tests do not expect."""


@pytest.fixture
def connected(driver: Driver, proxy: FaultProxy, redis_url: str) -> Any:
    """A client behind the proxy, and rows to read."""
    direct = driver.connect(redis_url)
    direct.apply(REGISTRY)
    fill(direct, CUSTOMERS)
    return driver.connect(proxy.url, registry_poll=NEVER)


SOON = 5.0
"""Seconds, far above the deadlines of calls that fail here, and below the default of ten."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Check that the block takes less than this many seconds."""
    started = time.monotonic()
    yield
    assert time.monotonic() - started < seconds


def until_it_works(call: Callable[[], Any]) -> Any:
    """Repeat a call while it raises ServerFault, and return its result."""
    deadline = time.monotonic() + PATIENCE
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
        with within(SOON):
            started = time.monotonic()
            with pytest.raises(DeadlineExceeded, match="deadline passed") as caught:
                prepared.get([first], timeout=0.1)
            assert time.monotonic() - started >= 0.1
        assert isinstance(caught.value, TimeoutError)
        proxy.release()
        for customer in range(first + 1, first + 5):
            check(prepared.get([customer], timeout=PATIENCE), [customer])


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


def test_half_an_answer(driver: Driver, connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=[*FEATURES, "level"])
    customers = list(range(20))
    length = reply_length(proxy, lambda: prepared.get(customers))
    each = length // len(customers)
    assert each * len(customers) == length
    # This many rows, and this many bytes of the next.
    for rows, more in ((10, 0), (1, 1), (19, each - 1), (7, each // 2)):
        table = read_in_part(driver, prepared, customers, proxy, rows * each + more, length)
        assert np.array_equal(table.statuses[:rows, :2], np.zeros((rows, 2)))
        assert (table.statuses[rows:] == 5).all()
        assert not table.all_present
        dicts = table.to_dicts()
        assert [row["orders"] for row in dicts[:rows]] == [1_000_000 + n for n in range(rows)]
        # A default replaces a value that is known to be missing, not one that could not be read.
        assert dicts[0]["level"] == 7
        assert dicts[rows:] == [{"orders": None, "region": None, "level": None}] * (20 - rows)
        assert np.isnat(table.event_times[rows:]).all()
        document = json.loads(table.to_json())
        assert document["statuses"][-1] == ["UNAVAILABLE"] * 3
        assert document["values"][-1] == [None] * 3
        assert table.to_arrow()["orders"].null_count == 20 - rows
        table = prepared.get(customers, timeout=PATIENCE)
        assert table.column("orders").tolist() == [1_000_000 + customer for customer in customers]


def test_half_an_answer_is_an_error_if_all_is_wanted(connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=FEATURES)
    customers = list(range(20))
    length = reply_length(proxy, lambda: prepared.get(customers))
    proxy.pass_bytes(length // 2)
    with pytest.raises(DeadlineExceeded):
        prepared.get(customers, timeout=0.15, partial=False)
    proxy.release()
    # Less than one row is not an answer either.
    proxy.pass_bytes(5)
    with pytest.raises(DeadlineExceeded):
        prepared.get(customers, timeout=0.15, partial=True)
    proxy.release()
    check(prepared.get(customers, timeout=PATIENCE), customers)


@pytest.mark.parametrize("gaps", [True, False])
def test_reads_outlive_a_connection_cut_anywhere(
    connected: Any, proxy: FaultProxy, gaps: bool
) -> None:
    prepared = connected.prepare(features=FEATURES)
    customers = list(range(6))
    length = reply_length(proxy, lambda: prepared.get(customers))
    for position in range(1, length, 41):
        proxy.cut_after(position)
        # The client reads again on a new connection, and gets the whole answer.
        check(prepared.get(customers, timeout=PATIENCE, partial=gaps), customers)


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
        for customer in range(3, 8):
            check(prepared.get([customer], timeout=PATIENCE), [customer])


def test_one_reply_too_many_shifts_no_answers(
    driver: Driver, connected: Any, proxy: FaultProxy
) -> None:
    prepared = connected.prepare(features=FEATURES)
    proxy.hold()
    before = proxy.requests
    calls = [
        driver.start(prepared.get, [customer], timeout=PATIENCE, partial=False)
        for customer in range(8)
    ]
    proxy.wait_for_request(before)
    proxy.inject(b"+OK\r\n")
    proxy.release()
    for customer, outcome in enumerate(driver.all(calls)):
        if isinstance(outcome, Exception):
            assert isinstance(outcome, ServerFault)
        else:
            check(outcome, [customer])


def test_a_garbled_write_is_uncertain(connected: Any, proxy: FaultProxy, witness: Any) -> None:
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
        connected.write("customer", [{"customer_id": 1, "orders": 1}], timeout=0.1)
    # The server has executed it, so that it cannot come after the next write.
    until(lambda: witness.hget("customer:{1}:v1", "orders") == b"1")
    proxy.release()
    fill(connected, 5, 3)
    check(connected.prepare(features=FEATURES).get([1, 4]), [1, 4], 3)


def test_a_server_that_accepts_and_says_nothing(driver: Driver, proxy: FaultProxy) -> None:
    proxy.hold()
    with within(SOON), pytest.raises(ServerFault) as caught:
        driver.connect(proxy.url, connect_timeout=0.3)
    assert isinstance(caught.value, Unavailable | DeadlineExceeded)
    proxy.release()
    assert driver.connect(proxy.url).execute("PING") == "PONG"


def test_something_else_answers(driver: Driver, proxy: FaultProxy) -> None:
    proxy.inject(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    with within(SOON), pytest.raises(ProtocolError, match="is it a Redis or Valkey server"):
        driver.connect(proxy.url, connect_timeout=PATIENCE)
    assert driver.connect(proxy.url).execute("PING") == "PONG"


def test_a_server_that_refuses_everybody(connected: Any, proxy: FaultProxy) -> None:
    prepared = connected.prepare(features=FEATURES)
    proxy.refuse()
    for _ in range(5):
        with within(SOON), pytest.raises((Unavailable, DeadlineExceeded)):
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
            customers = [(number * 7 + turn + offset) % CUSTOMERS for offset in range(1 + turn % 3)]
            try:
                table = prepared.get(customers, timeout=2.0, partial=False)
            except ServerFault as error:
                outcomes.append(error)
            else:
                check(table, customers)
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
            customers = [(number * 31 + turn * 17 + offset) % 200 for offset in range(size)]
            if customers:
                check(prepared.get(customers, timeout=PATIENCE), customers)

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
        fill(client, CUSTOMERS, sequence)
        check(prepared.get([1, 2]), [1, 2], sequence)
        durable.kill()
        for _ in range(2):
            with within(SOON), pytest.raises((Unavailable, DeadlineExceeded)):
                prepared.get([1], timeout=0.3)
        with within(SOON), pytest.raises((Unavailable, DeadlineExceeded)):
            client.write("customer", [{"customer_id": 1, "orders": 0}], timeout=0.3)
        durable.start()
        table = until_it_works(lambda: prepared.get(list(range(CUSTOMERS))))
        check(table, list(range(CUSTOMERS)), sequence)


def test_a_server_that_is_suspended(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url, registry_poll=NEVER)
    client.apply(REGISTRY)
    fill(client, CUSTOMERS)
    prepared = client.prepare(features=FEATURES)
    check(prepared.get([1]), [1])
    own_server.pause()
    try:
        for customer in range(5):
            with within(SOON), pytest.raises((DeadlineExceeded, Unavailable)):
                prepared.get([customer], timeout=0.1)
    finally:
        own_server.resume()
    for customer in range(5, 10):
        check(until_it_works(partial(prepared.get, [customer])), [customer])


def test_a_connection_that_falls_silent_is_left(
    driver: Driver, connected: Any, proxy: FaultProxy
) -> None:
    prepared = connected.prepare(features=FEATURES)
    check(prepared.get([1]), [1])
    before = proxy.connections
    proxy.hold_these()
    # Nothing ends this connection, and it may still answer: callers with enough time wait for it.
    patient = driver.start(prepared.get, [2], timeout=PATIENCE)
    check(until_it_works(lambda: prepared.get([3], timeout=0.2)), [3])
    assert proxy.connections > before
    proxy.release()
    check(patient.result(PATIENCE), [2])
    for customer in range(4, 8):
        check(prepared.get([customer]), [customer])


def test_all_connections_killed_by_the_server(driver: Driver, client: Any, witness: Any) -> None:
    fill(client, CUSTOMERS)
    prepared = client.prepare(features=FEATURES)
    for _ in range(5):
        witness.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        check(prepared.get([1]), [1])


def test_out_of_memory_refuses_writes_only(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url)
    client.apply(REGISTRY)
    fill(client, CUSTOMERS)
    prepared = client.prepare(features=FEATURES)
    assert own_server.command("CONFIG", "SET", "maxmemory", "1") == b"+OK\r\n"
    with pytest.raises(WriteRejected, match=r"OOM.*maxmemory") as caught:
        fill(client, 3, 1)
    assert caught.value.reason == "OOM"
    check(prepared.get([1, 2]), [1, 2])
    assert client.delete("customer", [3]) == 1
    assert own_server.command("CONFIG", "SET", "maxmemory", "0") == b"+OK\r\n"
    fill(client, 3, 2)
    check(prepared.get([1, 2]), [1, 2], 2)


def test_a_server_without_its_replicas_refuses_writes_only(
    driver: Driver, own_server: RedisServer
) -> None:
    client = driver.connect(own_server.url)
    client.apply(REGISTRY)
    fill(client, CUSTOMERS)
    prepared = client.prepare(features=FEATURES)
    assert own_server.command("CONFIG", "SET", "min-replicas-to-write", "1") == b"+OK\r\n"
    with pytest.raises(WriteRejected, match="NOREPLICAS") as caught:
        fill(client, 3, 1)
    assert caught.value.reason == "NOREPLICAS"
    check(prepared.get([1, 2]), [1, 2])


def test_a_replica_takes_no_writes(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url)
    client.apply(REGISTRY)
    fill(client, CUSTOMERS)
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
        with pytest.raises((Unavailable, DeadlineExceeded)):
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
        # While it loads, the server sleeps ten seconds in total, and serves clients in between.
        server.arguments = [
            *("--key-load-delay", "5000", "--loading-process-events-interval-bytes", "1024"),
        ]
        starting = driver_thread(server.start)
        while server.command("PING")[:8] != b"-LOADING":
            assert starting.is_alive(), "it had loaded before anybody looked"
        # Unavailable if the deadline falls between two tries, DeadlineExceeded if within one.
        with within(SOON), pytest.raises((Unavailable, DeadlineExceeded)):
            prepared.get([1], timeout=0.1)
        assert server.command("CONFIG", "SET", "key-load-delay", "0") == b"+OK\r\n"
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
    fill(client, CUSTOMERS)
    limits = {"max_in_flight": 3} if driver.name == "asyncio" else {"max_connections": 3}
    small = driver.connect(proxy.url, registry_poll=NEVER, **limits)
    prepared = small.prepare(features=FEATURES)
    if driver.name == "blocking":
        # Each of these calls needs a connection of its own, and leaves it in the pool.
        waiting = [driver.start(small.execute, "BLPOP", "list", 0) for _ in range(3)]
        until(lambda: witness.info("clients")["blocked_clients"] == 3)
        witness.rpush("list", 1, 2, 3)
        assert len(driver.all(waiting)) == 3
    check(prepared.get([0]), [0])
    proxy.hold()
    calls = []
    for customer in range(3):
        before = proxy.requests
        calls.append(driver.start(prepared.get, [customer], timeout=PATIENCE))
        proxy.wait_for_request(before)
    if driver.name == "asyncio":
        with within(SOON), pytest.raises(Overloaded, match="in flight"):
            prepared.get([9], timeout=PATIENCE)
    else:
        # A thread waits for a free connection until its deadline.
        with within(SOON), pytest.raises(DeadlineExceeded, match="all 3 connections were busy"):
            prepared.get([9], timeout=0.1)
    proxy.release()
    for customer, table in enumerate(driver.all(calls)):
        check(table, [customer])
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
    took: dict[float, float] = {}

    def note(timeout: float, started: float, _call: Any) -> None:
        took[timeout] = time.monotonic() - started

    calls = []
    for timeout in (0.05, PATIENCE, 0.65, 0.35, PATIENCE, 0.95):
        started = time.monotonic()
        calls.append(driver.start(prepared.get, [1], timeout=timeout))
        calls[-1].add_done_callback(partial(note, timeout, started))
    patient = [calls.pop(place) for place in (4, 1)]
    assert all(isinstance(one, DeadlineExceeded) for one in driver.all(calls))
    assert not any(call.done() for call in patient)
    until(lambda: len(took) == len(calls))
    assert all(timeout <= seconds for timeout, seconds in took.items())
    proxy.release()
    for call in patient:
        check(call.result(PATIENCE), [1])
    for customer in itertools.islice(range(CUSTOMERS), 5):
        check(prepared.get([customer], timeout=PATIENCE), [customer])
