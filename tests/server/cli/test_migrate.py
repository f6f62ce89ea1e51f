"""`fscore migrate`: a view that moves to another layout, and back."""

from __future__ import annotations

import json
import signal

import fscore as library
from fscore.model.views import FeatureViewDefinition
from tests.client.driver import PATIENCE
from tests.server.cli.command import Done, Fscore

DEFINITIONS = """
from fscore import *
user = Entity("user", join_keys={"user_id": Int64})
source = EventSource("clicks", event_time="at")

class Clicks(FeatureView, entity=user, source=source, layout="hash"):
    clicks: Int64 = Feature(count())

class Events(SeriesView, entity=user, retention="1d"):
    clicks_1d: Int64 = window.count("1d")
"""
EVENTS = "user_id,at\n1,2024-01-01\n2,2024-01-01\n"
LOADED = True


def migrate(project: Fscore, *arguments: object) -> Done:
    return project("migrate", *arguments, "--settle", "0")


def test_there_and_back(project: Fscore) -> None:
    before = project("get", "--features", "clicks", "user_id=1", "user_id=2", "--json").out
    project.change_definitions('layout="hash"', 'layout="packed"')
    refused = project("plan", "defs.py")
    assert refused.code == 3 and "fscore migrate" in refused.out
    done = migrate(project, "clicks", "--to", "packed")
    assert (done.code, done.err) == (0, "")
    assert done.out == (
        "clicks is packed in revision 4: 2 rows copied, 2 of the old layout removed\n"
        'now have the definitions say layout="packed" too; `fscore plan` is empty then\n'
    )
    plan = json.loads(project("plan", "defs.py", "--json").out)
    assert plan["changes"] == []
    assert project("get", "--features", "clicks", "user_id=1", "user_id=2", "--json").out == before
    done = migrate(project, "clicks", "--to", "hash", "--rate", 100, "--json")
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.out) == {
        **{"view": "clicks", "layout": "hash", "revision": 7},
        **{"copied": 2, "removed": 2, "invalid": 0},
    }
    assert project("get", "--features", "clicks", "user_id=1", "user_id=2", "--json").out == before


def test_values_that_would_be_lost_are_refused(project: Fscore, redis_url: str) -> None:
    with library.connect(redis_url) as client:
        client.execute("HSET", "user:{2}:v1", "clicks", "many")
    refused = migrate(project, "clicks", "--to", "packed")
    assert (refused.code, refused.out) == (3, "")
    assert "user:{2}:v1: clicks is not an integer" in refused.err
    assert "--invalid-as-null" in refused.err
    done = migrate(project, "clicks", "--to", "packed", "--invalid-as-null")
    assert done.code == 0
    assert "1 values or rows were INVALID and are NULL" in done.out


def test_a_layout_that_was_changed_without_a_migration(project: Fscore, redis_url: str) -> None:
    """Rows are moved; a row that cannot be moved is named, and stays."""
    before = project("get", "--features", "clicks", "user_id=1", "--json").out
    with library.connect(redis_url) as client:
        client.execute("HSET", "user:{2}:v1", "clicks", "many")
    project.change_definitions('layout="hash"', 'layout="packed"')
    assert project("apply", "defs.py", "--allow-unsafe").code == 0
    for _ in range(2):
        failed = migrate(project, "clicks", "--to", "packed")
        assert (failed.code, failed.out) == (3, "")
        assert "rows of clicks are left in hash alone" in failed.err
        assert "user:{2}:v1: clicks is not an integer" in failed.err
    assert project("get", "--features", "clicks", "user_id=1", "--json").out == before
    assert migrate(project, "clicks", "--to", "packed", "--invalid-as-null").code == 0
    with library.connect(redis_url) as client:
        assert client.execute("KEYS", "user:{*}:v1") == []


def test_what_is_wrong(project: Fscore) -> None:
    for arguments in (["clicks"], ["clicks", "--to", "json"], ["--to", "hash"]):
        assert migrate(project, *arguments).code == 2
    assert project("migrate", "clicks", "--to", "hash", "--rate", "0").code == 2
    failed = migrate(project, "click", "--to", "packed")
    assert failed.code == 1 and "did you mean clicks?" in failed.err
    failed = migrate(project, "events", "--to", "packed")
    assert failed.code == 1 and "only views of features have two" in failed.err


def test_an_interrupted_one_goes_on(project: Fscore, redis_url: str) -> None:
    with library.connect(redis_url) as client:
        ids = list(range(3_000))
        client.write("clicks", {"user_id": ids, "clicks": ids})
        process = project.start("migrate", "clicks", "--to", "packed", "--settle", 0, "--rate", 500)
        while len(client.execute("KEYS", "user:*:clicks")) < 200:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out) == (130, "")
        assert "run the same command again" in err
        client.refresh()
        view = client.registry.views["clicks"]
        assert isinstance(view, FeatureViewDefinition)
        assert view.layouts == ("hash", "packed")
        assert migrate(project, "clicks", "--to", "packed").code == 0
        client.refresh()
        found = client.prepare(features=["clicks"]).get(ids).to_dicts()
        assert [row["clicks"] for row in found] == ids
        assert len(client.execute("KEYS", "user:*")) == 3_000
