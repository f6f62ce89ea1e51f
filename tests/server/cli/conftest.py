from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.server.cli.command import Fscore


@pytest.fixture
def fscore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fscore:
    """Runs the command line in a folder of its own, without settings from outside."""
    return Fscore(tmp_path, {})


@pytest.fixture
def fscore_on(tmp_path: Path, redis_url: str) -> Fscore:
    """Runs the command line against a server, which FSCORE_REDIS_URL names."""
    environment: Mapping[str, str] = {"FSCORE_REDIS_URL": redis_url}
    return Fscore(tmp_path, environment)
