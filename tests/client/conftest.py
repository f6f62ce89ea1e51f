"""Fixtures of the client's tests: a client, a connection without fscore, a proxy, own servers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from tests.client.driver import AsyncioDriver, Driver
from tests.client.proxy import FaultProxy
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
