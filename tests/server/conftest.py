"""Fixtures of the server's tests: a store with definitions and rows, and servers of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.redis_server import SERVERS, RedisServer, binary
from tests.server.both import asking_both
from tests.server.server_process import ServerProcess
from tests.server.store import fill

# A server looks again before it answers by definitions that it read long ago, and then its hot
# routes leave the request to the application. If nobody changes any, it has no need to look.
UNCHANGING = {"registry_poll": 3600}


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
