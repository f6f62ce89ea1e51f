"""Fixtures of the tests of migrations: a client with a view to migrate, and single steps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.driver import Driver
from tests.client.migrating import REGISTRY, Steps


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    """A client of an empty server on which the definitions of `migrating` are applied."""
    connected = driver.connect(redis_url, registry_poll=0.01)
    connected.apply(REGISTRY)
    return connected


@pytest.fixture
def steps(redis_url: str) -> Iterator[Steps]:
    """Runs migrations on this server step by step, beside the client."""
    running = Steps(redis_url)
    yield running
    running.close()
