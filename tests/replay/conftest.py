from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from fscore import Registry
from tests.client.driver import Driver
from tests.example import CLICKSTREAM
from tests.replay import oracle


@pytest.fixture(scope="session")
def clickstream() -> pl.DataFrame:
    """The example's events, in the order of the file."""
    return oracle.read(CLICKSTREAM)


@pytest.fixture
def client(driver: Driver, redis_url: str, shop: Registry) -> Any:
    """A client of an empty server on which the example's definitions are applied."""
    connected = driver.connect(redis_url)
    connected.apply(shop)
    return connected
