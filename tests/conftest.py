"""Fixtures for every test: the servers that the suite runs against."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.redis_server import SERVERS, RedisServer, binary


@pytest.fixture(scope="session", params=SERVERS)
def redis_server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A running Redis, then a running Valkey, each shared by the tests of the session."""
    if binary(request.param) is None:
        pytest.skip(f"{request.param}-server is not installed")
    server = RedisServer(request.param)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of an empty server."""
    assert redis_server.command("FLUSHALL") == b"+OK\r\n"
    return redis_server.url
