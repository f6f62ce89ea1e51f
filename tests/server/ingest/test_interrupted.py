"""A load whose server goes away: it goes on when the server is back, or fails with a message."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fscore
from fscore import Entity, EventSource, Feature, FeatureView, Int64, Registry, String, count, latest
from fscore.errors import Unavailable
from fscore_server.ingest import load
from fscore_server.ingest.file_events import Silent
from tests.redis_server import SERVERS, RedisServer, binary

ROWS = 12_000

user = Entity("user", join_keys={"user_id": Int64})


class Seen(FeatureView, entity=user, source=EventSource("seen", event_time="at")):
    times: Int64 = Feature(count())
    page: String = Feature(latest("page"))


REGISTRY = Registry.from_definitions([Seen])


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of the test's own, which keeps its data over a restart."""
    if binary(request.param) is None:
        pytest.skip(f"{request.param}-server is not installed")
    with RedisServer(request.param, ["--appendonly", "yes"]) as running:
        yield running


@pytest.fixture
def events(tmp_path: Path) -> Path:
    path = tmp_path / "seen.csv"
    rows = "".join(f"{number},2024-01-01,page{number}\n" for number in range(ROWS))
    path.write_text(f"user_id,at,page\n{rows}")
    return path


class Killing(Silent):
    """Progress that kills the server once the first entities are written."""

    def __init__(self, server: RedisServer, *, restart: bool) -> None:
        self._server = server
        self._restart = restart
        self._starting: threading.Timer | None = None

    def writing(self, view: str, done: int, total: int, detail: str) -> None:
        if done and self._starting is None:
            self._server.kill()
            self._starting = threading.Timer(0.5, self._server.start)
            if self._restart:
                self._starting.start()

    def join(self) -> None:
        assert self._starting is not None
        if self._restart:
            self._starting.join()


def test_a_load_survives_a_restart_of_the_server(server: RedisServer, events: Path) -> None:
    killing = Killing(server, restart=True)
    with fscore.connect(server.url) as client:
        client.apply(REGISTRY)
        report = load(client, REGISTRY, [events], progress=killing)
        killing.join()
        assert [view.rows for view in report.views] == [ROWS]
        table = client.prepare(entity="user").get({"user_id": list(range(ROWS))})
        assert table.all_present
        wanted: list[dict[str, Any]] = [
            {"times": 1, "page": f"page{number}"} for number in range(ROWS)
        ]
        assert table.to_dicts() == wanted


def test_a_load_whose_server_stays_away_says_so(
    server: RedisServer, events: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fscore_server.ingest.writing._PAUSES", (0.01, 0.01))
    with fscore.connect(server.url, write_timeout=2.0) as client:
        client.apply(REGISTRY)
        with pytest.raises(Unavailable, match=str(server.port)):
            load(client, REGISTRY, [events], progress=Killing(server, restart=False))
