from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import polars as pl
import pytest

from fscore import Registry
from tests.cli.command import CLICKSTREAM, EXAMPLE
from tests.client.driver import DRIVERS, Driver, make_driver
from tests.replay import oracle


@pytest.fixture(scope="session")
def clickstream() -> pl.DataFrame:
    """The example's events, in the order of the file."""
    return oracle.read(CLICKSTREAM)


@pytest.fixture(scope="session")
def shop() -> Registry:
    """The example's definitions."""
    return Registry.load(EXAMPLE)


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Iterator[Driver]:
    """The blocking, then the asyncio driver."""
    made = make_driver(request.param)
    yield made
    made.close()


@pytest.fixture
def client(driver: Driver, redis_url: str, shop: Registry) -> Any:
    """A client of an empty server on which the example's definitions are applied."""
    connected = driver.connect(redis_url)
    connected.apply(shop)
    return connected
