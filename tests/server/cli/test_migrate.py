"""`fscore migrate`: a view that moves to another layout, and back."""

from __future__ import annotations

import json
import signal

import pytest

import fscore as library
from fscore.model.views import FeatureViewDefinition
from tests.server.cli.command import Done, Fscore

DEFINITIONS = """
from fscore import *
user = Entity("user", join_keys={"user_id": Int64})
source = EventSource("clicks", event_time="at")

class Clicks(FeatureView, entity=user, source=source, layout="LAYOUT"):
    clicks: Int64 = Feature(count())

class Events(SeriesView, entity=user, retention="1d"):
    clicks_1d: Int64 = window.count("1d")
"""


@pytest.fixture
def shop(fscore_on: Fscore) -> Fscore:
    """A folder with definitions and events, applied and loaded."""
    define(fscore_on, "hash")
    (fscore_on.folder / "clicks.csv").write_text("user_id,at\n1,2024-01-01\n2,2024-01-01\n")
    assert fscore_on("apply", "defs.py").code == 0
    assert fscore_on("load", "defs.py", "clicks.csv").code == 0
    return fscore_on


def define(shop: Fscore, layout: str) -> None:
    (shop.folder / "defs.py").write_text(DEFINITIONS.replace("LAYOUT", layout))


def migrate(shop: Fscore, *arguments: object) -> Done:
    return shop("migrate", *arguments, "--settle", "0")


def test_there_and_back(shop: Fscore) -> None:
    before = shop("get", "--features", "clicks", "user_id=1", "user_id=2", "--json").out
    define(shop, "packed")
    refused = shop("plan", "defs.py")
    assert refused.code == 3 and "fscore migrate" in refused.out
    done = migrate(shop, "clicks", "--to", "packed")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "clicks is packed in revision 4: 2 rows copied, 2 of the old layout removed\n"
        'now have the definitions say layout="packed" too; `fscore plan` is empty then\n'
    )
    plan = json.loads(shop("plan", "defs.py", "--json").out)
    assert plan["changes"] == []
    assert shop("get", "--features", "clicks", "user_id=1", "user_id=2", "--json").out == before
    done = migrate(shop, "clicks", "--to", "hash", "--rate", 100, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        **{"view": "clicks", "layout": "hash", "revision": 7},
        **{"copied": 2, "removed": 2, "invalid": 0},
    }
    assert shop("get", "--features", "clicks", "user_id=1", "user_id=2", "--json").out == before


def test_values_that_would_be_lost_are_refused(shop: Fscore, redis_url: str) -> None:
    with library.connect(redis_url) as client:
        client.execute("HSET", "user:{2}:v1", "clicks", "many")
    refused = migrate(shop, "clicks", "--to", "packed")
    assert (refused.code, refused.out) == (3, "")
    assert "user:{2}:v1: clicks is not an integer" in refused.err
    assert "--invalid-as-null" in refused.err
    done = migrate(shop, "clicks", "--to", "packed", "--invalid-as-null")
    assert done.code == 0
    assert "1 values or rows were INVALID and are NULL" in done.out


def test_a_layout_that_was_changed_without_a_migration(shop: Fscore, redis_url: str) -> None:
    """Rows are moved; a row that cannot be moved is named, and stays."""
    before = shop("get", "--features", "clicks", "user_id=1", "--json").out
    with library.connect(redis_url) as client:
        client.execute("HSET", "user:{2}:v1", "clicks", "many")
    define(shop, "packed")
    assert shop("apply", "defs.py", "--allow-unsafe").code == 0
    for _ in range(2):
        failed = migrate(shop, "clicks", "--to", "packed")
        assert (failed.code, failed.out) == (3, "")
        assert "rows of clicks are left in hash alone" in failed.err
        assert "user:{2}:v1: clicks is not an integer" in failed.err
    assert shop("get", "--features", "clicks", "user_id=1", "--json").out == before
    assert migrate(shop, "clicks", "--to", "packed", "--invalid-as-null").code == 0
    with library.connect(redis_url) as client:
        assert client.execute("KEYS", "user:{*}:v1") == []


def test_what_is_wrong(shop: Fscore) -> None:
    for arguments in (["clicks"], ["clicks", "--to", "json"], ["--to", "hash"]):
        assert migrate(shop, *arguments).code == 2
    assert shop("migrate", "clicks", "--to", "hash", "--rate", "0").code == 2
    failed = migrate(shop, "click", "--to", "packed")
    assert failed.code == 1 and "did you mean clicks?" in failed.err
    failed = migrate(shop, "events", "--to", "packed")
    assert failed.code == 1 and "only views of features have two" in failed.err


def test_an_interrupted_one_goes_on(shop: Fscore, redis_url: str) -> None:
    with library.connect(redis_url) as client:
        ids = list(range(3_000))
        client.write("clicks", {"user_id": ids, "clicks": ids})
        process = shop.start("migrate", "clicks", "--to", "packed", "--settle", 0, "--rate", 500)
        while len(client.execute("KEYS", "user:*:clicks")) < 200:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out) == (130, "")
        assert "run the same command again" in err
        client.refresh()
        view = client.registry.views["clicks"]
        assert isinstance(view, FeatureViewDefinition)
        assert view.layouts == ("hash", "packed")
        assert migrate(shop, "clicks", "--to", "packed").code == 0
        client.refresh()
        found = client.prepare(features=["clicks"]).get(ids).to_dicts()
        assert [row["clicks"] for row in found] == ids
        assert len(client.execute("KEYS", "user:*")) == 3_000
