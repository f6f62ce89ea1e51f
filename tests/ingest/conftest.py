from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fscore.registry import Registry
from tests.ingest.sink import Sink

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(scope="session")
def ecommerce() -> dict[str, Any]:
    """The definitions of the example, in the registry's JSON form."""
    registry = Registry.load(CHECKOUT / "examples" / "ecommerce")
    definitions: dict[str, Any] = json.loads(registry.to_json())
    return definitions


@pytest.fixture(scope="session")
def clickstream() -> Path:
    return CHECKOUT / "examples" / "ecommerce" / "data" / "ecom.csv.gz"
