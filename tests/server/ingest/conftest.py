from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fscore.registry import Registry
from tests.example import CLICKSTREAM
from tests.server.ingest.sink import Sink


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(scope="session")
def ecommerce(shop: Registry) -> dict[str, Any]:
    """The definitions of the example, in the registry's JSON form."""
    definitions: dict[str, Any] = json.loads(shop.to_json())
    return definitions


@pytest.fixture(scope="session")
def clickstream() -> Path:
    return CLICKSTREAM
