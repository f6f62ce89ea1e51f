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


@pytest.fixture
def files(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The DEFINITIONS and EVENTS of the test's module, as defs.py and clicks.csv in the folder."""
    (tmp_path / "defs.py").write_text(request.module.DEFINITIONS)
    (tmp_path / "clicks.csv").write_text(request.module.EVENTS)


@pytest.fixture
def project(fscore_on: Fscore, files: None, request: pytest.FixtureRequest) -> Fscore:
    """A folder with these files, applied to a server, and loaded if the module says LOADED."""
    assert fscore_on("apply", "defs.py").code == 0
    if getattr(request.module, "LOADED", False):
        assert fscore_on("load", "defs.py", "clicks.csv").code == 0
    return fscore_on
