"""Fixtures of the client's tests: a client, a connection without fscore, a proxy, own servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.client.driver import AsyncioDriver, Driver
from tests.client.every_status import read_every_status
from tests.client.proxy import FaultProxy
from tests.event_times import RECENT_MS
from tests.redis_server import RedisServer
from tests.shop import REGISTRY


@pytest.fixture
def asyncio_driver() -> Iterator[AsyncioDriver]:
    """The asyncio driver alone, for features that only the asyncio client has."""
    made = AsyncioDriver()
    yield made
    made.close()


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    """A client of an empty server on which the shop's definitions are applied."""
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


@pytest.fixture
def customers(client: Any) -> Any:
    """A client; customers 0 to 3 have orders and a region, but customer 2 only orders."""
    rows = [{"customer_id": n, "orders": 30 + n, "region": f"c{n}"} for n in range(4)]
    rows[2]["region"] = None
    client.write("customer", rows, event_time=RECENT_MS)
    return client


@pytest.fixture
def witness(redis_url: str) -> Iterator[Any]:
    """A redis-py connection, to read and write stored data without fscore."""
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def proxy(redis_server: RedisServer, redis_url: str) -> Iterator[FaultProxy]:
    """A proxy in front of the empty server."""
    with FaultProxy(redis_server.port) as running:
        yield running


@pytest.fixture
def own_server(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A server of the same kind that the test may stop, kill and configure."""
    with RedisServer(redis_server.kind) as server:
        yield server


@pytest.fixture
def durable(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A server of the test's own that fsyncs each write, so it loses none that it acknowledged."""
    arguments = ["--appendonly", "yes", "--appendfsync", "always"]
    with RedisServer(redis_server.kind, arguments) as server:
        yield server


@pytest.fixture
def every_status(driver: Driver, redis_server: RedisServer, redis_url: str, witness: Any) -> Any:
    """A table of every type with a row of each status."""
    return read_every_status(driver, redis_url, redis_server.port, witness)
