from __future__ import annotations

from pathlib import Path

import pytest

from tests.example import CLICKSTREAM
from tests.server.ingest.sink import Sink


@pytest.fixture
def sink() -> Sink:
    return Sink()


@pytest.fixture(scope="session")
def clickstream() -> Path:
    return CLICKSTREAM
