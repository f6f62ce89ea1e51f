"""Fixtures for every test: the servers that the suite runs against, the clients, the example."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from fscore import Registry
from tests.client.driver import DRIVERS, Driver, make_driver
from tests.example import EXAMPLE
from tests.redis_server import SERVERS, Port, RedisServer, binary

# A busy machine may stop a process for longer than a second, which is the default deadline of a
# read. Tests of deadlines bring their own.
os.environ.setdefault("FSCORE_TIMEOUT", "10")

# It may be slow in any example of a property test too.
settings.register_profile(
    "any machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")


@pytest.fixture(scope="session", params=SERVERS)
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A running Redis, then a running Valkey, each shared by the tests of the session."""
    if binary(request.param) is None:
        pytest.skip(f"{request.param}-server is not installed")
    with RedisServer(request.param) as server:
        yield server


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of `redis_server`, emptied for this test."""
    assert redis_server.command("FLUSHALL") == b"+OK\r\n"
    return redis_server.url


@pytest.fixture
def port() -> Iterator[int]:
    """A port on which nobody listens, and on which no other test starts anything."""
    claimed = Port()
    yield claimed.number
    claimed.release()


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """The blocking driver, then the asyncio driver; closed at the end of the test."""
    made = make_driver(request.param)
    yield made
    made.close()


@pytest.fixture(scope="session")
def shop() -> Registry:
    """The definitions of examples/ecommerce."""
    return Registry.load(EXAMPLE)
