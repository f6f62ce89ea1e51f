"""Looking for new definitions is part of the call that does it, and keeps its deadline."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fscore import DeadlineExceeded, Unavailable
from tests.client.driver import Driver
from tests.client.proxy import FaultProxy
from tests.client.shop import REGISTRY

IN_TIME = 2.0
"""Far above the deadlines given here, far below the default of ten seconds."""


@pytest.fixture
def behind_proxy(driver: Driver, proxy: FaultProxy) -> Any:
    """A client that looks for new definitions with every call."""
    client = driver.connect(proxy.url, registry_poll=1e-6)
    client.apply(REGISTRY)
    return client


def test_a_read_that_looks_first_ends_by_its_own_deadline(
    behind_proxy: Any, proxy: FaultProxy
) -> None:
    prepared = behind_proxy.prepare(entity="user")
    proxy.hold()
    began = time.monotonic()
    with pytest.raises((DeadlineExceeded, Unavailable)):
        prepared.get([1], timeout=0.2)
    assert time.monotonic() - began < IN_TIME


def test_a_write_that_looks_first_ends_by_its_own_deadline(
    behind_proxy: Any, proxy: FaultProxy
) -> None:
    proxy.hold()
    began = time.monotonic()
    with pytest.raises((DeadlineExceeded, Unavailable)):
        behind_proxy.delete("profile", [1], timeout=0.2)
    assert time.monotonic() - began < IN_TIME


def test_what_was_applied_a_moment_ago_can_be_prepared(driver: Driver, redis_url: str) -> None:
    early = driver.connect(redis_url, registry_poll=3600)
    driver.connect(redis_url).apply(REGISTRY)
    assert early.prepare(entity="user").features
