"""`fscore version`: create a version beside the old one, promote it, roll back, retire it."""

from __future__ import annotations

import json
import signal
from typing import Any

import pytest

import fscore as library
from tests.client.driver import PATIENCE
from tests.server.cli.command import Done, Fscore

DEFINITIONS = """
from fscore import *
user = Entity("user", join_keys={"user_id": Int64})
source = EventSource("clicks", event_time="at")

class Clicks(FeatureView, entity=user, source=source):
    clicks: Int64 = Feature(count())

ranking = FeatureService("ranking", features=[Clicks])
related = FeatureService("related", features=[Clicks])
"""
EVENTS = "user_id,at\n1,2024-01-01\n2,2024-01-01\n"
LOADED = True


@pytest.fixture(autouse=True)
def _poll_often(fscore_on: Fscore) -> None:
    """A retirement waits until other clients have looked; here there are none."""
    fscore_on.environment["FSCORE_REGISTRY_POLL"] = "0.01"


def load_more(project: Fscore, *arguments: str) -> None:
    """Load two more events of user 1."""
    (project.folder / "more.csv").write_text("user_id,at\n1,2024-01-02\n1,2024-01-03\n")
    assert project("load", "defs.py", "more.csv", *arguments).code == 0


def done(result: Done, expected: str) -> None:
    assert (result.code, result.out, result.err) == (0, expected + "\n", "")


def refused(result: Done, code: int, *parts: str) -> None:
    assert (result.code, result.out) == (code, "")
    assert result.err.startswith("error: ") and result.err.count("\n") == 1
    for part in parts:
        assert part in result.err


def clicks(project: Fscore, *arguments: str) -> tuple[int, Any]:
    read = project("get", "--service", "ranking", "user_id=1", "--json", *arguments)
    answer = json.loads(read.out)
    return answer["version"], answer["features"]["clicks"]


def test_a_version_from_its_making_to_its_end(project: Fscore) -> None:
    done(
        project("version", "create", "ranking", "--comment", "with more clicks"),
        "version 2 of ranking is being filled; when it is complete: "
        "fscore version promote ranking 2",
    )
    assert clicks(project) == (1, 1)
    load_more(project, "--version", "2")
    assert (clicks(project), clicks(project, "--version", "2")) == ((1, 1), (2, 2))
    done(
        project("version", "promote", "ranking", 2),
        "ranking reads version 2; before, it was version 1",
    )
    assert clicks(project) == (2, 2)
    done(project("version", "promote", "ranking", 2), "ranking reads version 2 already")
    done(
        project("version", "rollback", "ranking"),
        "ranking reads version 1; before, it was version 2",
    )
    assert clicks(project) == (1, 1)
    done(
        project("version", "retire", "ranking", 2),
        "version 2 of ranking is retired; 1 key removed",
    )
    assert clicks(project, "--version", "2") == (2, None)
    refused(project("version", "promote", "ranking", 2), 1, "version 2 of ranking is retired")


def test_without_a_version_a_load_goes_to_every_live_one(project: Fscore) -> None:
    project("version", "create", "ranking")
    load_more(project)
    assert (clicks(project), clicks(project, "--version", "2")) == ((1, 2), (2, 2))


def test_the_list_is_for_people_and_for_machines(project: Fscore) -> None:
    for _ in range(2):
        project("version", "create", "ranking", "--comment", "a [try]")
    project("version", "promote", "ranking", 2)
    shown = project("version", "list")
    assert (shown.code, shown.err) == (0, "")
    rows = [line.split() for line in shown.out.splitlines()]
    assert ["ranking"] in rows and ["related"] in rows
    states = {row[0]: row[1] for row in rows if row and row[0] in "123" and row[1] != "current"}
    assert states == {"1": "previous", "3": "filling"}
    assert [row[0] for row in rows if row[1:2] == ["current"]] == ["2", "1"]
    assert "a [try]" in shown.out
    assert all(len(line) <= 100 for line in shown.out.splitlines())
    (found,) = json.loads(project("version", "list", "ranking", "--json").out)
    assert (found["service"], found["version"], found["previous"]) == ("ranking", 2, 1)
    assert [(item["version"], item["state"]) for item in found["versions"]] == [
        (1, "live"),
        (2, "live"),
        (3, "filling"),
    ]


def test_results_for_machines(project: Fscore) -> None:
    def outcome(*arguments: object) -> Any:
        result = project("version", *arguments, "--json")
        assert (result.code, result.err) == (0, "")
        return json.loads(result.out)

    assert outcome("create", "ranking") == {"service": "ranking", "version": 2}
    switched = {"service": "ranking", "version": 2, "before": 1, "changed": True}
    assert outcome("promote", "ranking", 2) == switched
    back = {"service": "ranking", "version": 1, "before": 2, "changed": True}
    assert outcome("rollback", "ranking") == back
    assert outcome("retire", "ranking", 2, "--rate", 1000) == {
        "service": "ranking",
        "version": 2,
        "removed": 0,
        "entities": ["user"],
        "kept": {},
    }


def test_what_is_refused_has_a_code_of_its_own(project: Fscore) -> None:
    project("version", "create", "ranking")
    project("version", "promote", "ranking", 2)
    refused(project("version", "retire", "ranking", 2), 3, "version 2 is read by ranking")
    refused(project("version", "retire", "ranking", 1), 3, "version 1 is read by related")
    project("version", "create", "related")
    project("version", "promote", "related", 3)
    refused(project("version", "retire", "ranking", 1), 3, "ranking, related would", "--force")
    done(
        project("version", "retire", "ranking", 1, "--force"),
        "version 1 of ranking is retired; 2 keys removed",
    )
    refused(project("version", "rollback", "ranking"), 1, "no version before it")


def test_what_is_not_there(project: Fscore) -> None:
    refused(project("version", "create", "rankin"), 1, "did you mean ranking?")
    refused(project("version", "list", "rankin"), 1, "did you mean ranking?")
    refused(project("version", "promote", "ranking", 9), 1, "ranking has no version 9; there are 1")


def test_wrong_usage(project: Fscore) -> None:
    for arguments in (
        ["promote", "ranking"],
        ["promote", "ranking", "0"],
        ["promote", "ranking", "two"],
        ["retire", "ranking", "1", "--rate", "0"],
        ["fill", "ranking"],
    ):
        assert project("version", *arguments).code == 2, arguments


@pytest.fixture
def retiring(project: Fscore, redis_url: str) -> Fscore:
    """A version with thousands of keys, which may be retired."""
    with library.connect(redis_url) as client:
        ids = list(range(3_000))
        client.write("clicks", {"user_id": ids, "clicks": ids}, version=2)
        assert client.versions.create("ranking") == 2
    return project


def test_a_terminal_gets_a_progress_bar(retiring: Fscore) -> None:
    shown = retiring.on_a_terminal("version", "retire", "ranking", "2")
    assert b"remove keys" in shown
    assert b"3,000 keys" in shown
    assert b"100 %" in shown


def test_an_interrupted_removal_says_how_it_goes_on(retiring: Fscore, redis_url: str) -> None:
    process = retiring.start("version", "retire", "ranking", "2", "--rate", "100")
    with library.connect(redis_url) as client:
        while client.execute("DBSIZE") > 2_900:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        assert (process.returncode, out) == (130, "")
        assert "run the same command again" in err
        left = len(client.execute("KEYS", "user:{*}:v2"))
        assert 0 < left < 3_000
        done(
            retiring("version", "retire", "ranking", 2),
            f"version 2 of ranking is retired; {left:,} keys removed",
        )
        assert client.execute("KEYS", "user:{*}:v2") == []
