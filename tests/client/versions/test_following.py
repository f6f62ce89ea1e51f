"""A look for new definitions is part of the call that makes it, and keeps the call's deadline."""

from __future__ import annotations

import time
from typing import Any

import pytest

import fscore
from fscore import DeadlineExceeded, FeatureService, Registry, Unavailable
from tests.client.driver import Driver, until
from tests.client.proxy import FaultProxy
from tests.shop import REGISTRY, Customer

IN_TIME = 5.0
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
    prepared = behind_proxy.prepare(entity="customer")
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
        behind_proxy.delete("customer", [1], timeout=0.2)
    assert time.monotonic() - began < IN_TIME


def test_what_was_just_applied_can_be_prepared(driver: Driver, redis_url: str) -> None:
    early = driver.connect(redis_url, registry_poll=3600)
    driver.connect(redis_url).apply(REGISTRY)
    assert early.prepare(entity="customer").features


POLL = 0.2


def apply(client: Any, *features: Any) -> None:
    """Apply definitions with a service of these features."""
    offer = FeatureService("offer", features=list(features))
    client.apply(Registry.from_definitions([offer]), allow_unsafe=True)


def test_a_look_is_as_old_as_its_beginning(driver: Driver, redis_url: str) -> None:
    """For example, the process may be suspended between a look and its answer."""
    operator = driver.connect(redis_url)
    apply(operator, Customer.orders)
    client = driver.connect(redis_url, registry_poll=POLL)
    prepared = client.prepare("offer")
    looking, looked = client.core.refreshing(), time.monotonic()
    answer = client.execute(*next(looking))
    apply(operator, Customer.orders, Customer.region)
    until(lambda: time.monotonic() - looked > 2 * POLL)
    with pytest.raises(StopIteration) as ended:
        while True:
            answer = client.execute(*looking.send(answer))
    assert ended.value.value is False
    assert prepared.get([1]).features == ("orders", "region")


def test_a_look_at_versions_alone_makes_no_definitions_current(redis_url: str) -> None:
    """Messages of promotions cause such looks, however many there are."""
    with (
        fscore.connect(redis_url, registry_poll=POLL) as client,
        fscore.connect(redis_url) as other,
    ):
        apply(other, Customer.orders)
        prepared = client.prepare("offer")
        apply(other, Customer.orders, Customer.region)
        until(client.core.is_out_of_date)
        client.driver.run(client.core.looking_at_versions())
        assert prepared.get([1]).features == ("orders", "region")
