"""Fixtures of the server's tests: a store with definitions and rows, and servers of it."""

from __future__ import annotations

import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import redis

import fscore
from tests.redis_server import SERVERS, RedisServer, binary
from tests.server import kinds
from tests.server.both import asking_both
from tests.server.server_process import ServerProcess
from tests.server.shop import REGISTRY

NOW_MS = int(time.time() * 1000)
TWO_HOURS_AGO = NOW_MS - 2 * 3600 * 1000

PROFILE_1 = {"age": "29", "country": "US", "score": "0.5", "active": "1", "_ts:profile": NOW_MS}
ACTIVITY_1: dict[str | bytes, Any] = {
    "clicks": "7",
    "last_seen": "1700000000123",
    "recent": '["a","b\\"c"]',
    "embedding": struct.pack("<3f", 1.0, -2.5, 0.25),
    "token": b"\x00\xffok",
    "ratio": "0.1",
    "_ts:activity": NOW_MS,
}

# Written field by field after the storage format, so that tests do not rely on fscore's own writes.
ROWS: dict[str, dict[Any, Any]] = {
    "user:{u1}:v1": {**PROFILE_1, **ACTIVITY_1},
    "user:{u1}:v2": {**PROFILE_1, "age": "30"},
    "user:{null}:v1": {"age": "31", "_ts:profile": NOW_MS},
    "user:{invalid}:v1": {"age": "many", "score": "nan", "clicks": "1.5", "_ts:profile": NOW_MS},
    "user:{expired}:v1": {**PROFILE_1, **ACTIVITY_1, "_ts:activity": TWO_HOURS_AGO},
    "user:{a%7Bb%7D%3A%25}:v1": {"age": "1", "_ts:profile": NOW_MS},
    "item:{7}:v1": {"price": "9.5", "title": "Kettle ☕", "_ts:product": NOW_MS},
    "item:{-7}:v1": {"price": "-9.5", "_ts:product": NOW_MS},
    "basket:{u1,7}:v1": {"quantity": "3", "_ts:in_basket": NOW_MS},
}


# A server looks again before it answers by definitions that it read long ago, and then its hot
# routes leave the request to the application. Where nobody changes any, it has no need to look.
UNCHANGING = {"registry_poll": 3600}


def fill(url: str) -> None:
    """Empty the store, apply the definitions and write the rows."""
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
        for key, row in ROWS.items():
            connection.hset(key, mapping=row)
        # A row's key, but a string and not a hash.
        connection.set("user:{wrong}:v1", "text")
        kinds.fill(connection)
    with fscore.connect(url) as client:
        client.apply(REGISTRY)


@contextmanager
def filled(kind: str) -> Iterator[RedisServer]:
    """Start a Redis or Valkey server and fill it."""
    with RedisServer(kind) as server:
        fill(server.url)
        yield server


@pytest.fixture(scope="session", params=SERVERS)
def kind(request: pytest.FixtureRequest) -> str:
    """Redis, then Valkey."""
    chosen: str = request.param
    if binary(chosen) is None:
        pytest.skip(f"{chosen}-server is not installed")
    return chosen


@pytest.fixture(scope="session")
def store(kind: str) -> Iterator[RedisServer]:
    """A store with definitions and rows, shared by tests that only read."""
    with filled(kind) as server:
        yield server


@pytest.fixture(scope="session")
def any_store() -> Iterator[RedisServer]:
    """A store for tests that do not depend on the kind of server: processes, connections, logs."""
    with filled("valkey") as server:
        yield server


@pytest.fixture
def own_store(kind: str) -> Iterator[RedisServer]:
    """A store of the test's own, which it may change, stop and kill."""
    with filled(kind) as server:
        yield server


@pytest.fixture(scope="session")
def server(store: RedisServer) -> Iterator[ServerProcess]:
    """A feature server with hot routes, shared by tests that only read."""
    with ServerProcess(store.url, **UNCHANGING) as process:
        yield process


@pytest.fixture(scope="session")
def application(store: RedisServer) -> Iterator[ServerProcess]:
    """A feature server of the same store without hot routes."""
    with ServerProcess(store.url, hot_routes=False, **UNCHANGING) as process:
        yield process


@pytest.fixture(scope="session")
def http(server: ServerProcess, application: ServerProcess) -> Iterator[httpx.Client]:
    """A client that asks both servers, and checks that their answers are equal."""
    with asking_both(server, application) as client:
        yield client
