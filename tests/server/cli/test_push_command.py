"""`fscore push`, and `fscore load` and `fscore get` after it."""

from __future__ import annotations

import json
import subprocess
import time

import fscore as library
from tests.example import CLICKSTREAM, EXAMPLE
from tests.server.cli.command import COMMAND, Fscore

DEFINITIONS = """
from fscore import *
user = Entity("user", join_keys={"user_id": Int64})
source = EventSource("clicks", event_time="at")

class Latest(FeatureView, entity=user, source=source):
    page: String = Feature(latest("page"))

class Clicks(SeriesView, entity=user, source=source, where={"kind": "click"}, retention="1d"):
    page_id: String = Payload("page")
    clicks_1h: Int64 = window.count("1h")
    last_clicks: List[Timestamp] = window.last_times(2)

class Marks(FlagView, entity=user, source=source):
    has_clicked: Bool = Feature(ever(where={"kind": "click"}))

class Totals(FeatureView, entity=user, source=source):
    clicks: Int64 = Feature(count(where={"kind": "click"}), default=0)
"""
EVENTS = """user_id,at,page,kind
1,2024-01-02T00:00:00Z,cart,click
1,2024-01-01T23:00:00Z,home,view
1,2024-01-01T23:30:00Z,home,click
1,2024-01-01T23:30:00Z,home,click
-2,2024-01-01T00:00:00Z,home,click
x,2024-01-01T00:00:00Z,home,view
3,2024-01-01T00:00:00Z,,view
"""


def read(project: Fscore, *arguments: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads(project("get", "user_id=1", "--json", *arguments).out)
    return answer


def test_a_file_is_pushed_and_read_as_of_a_time(project: Fscore) -> None:
    done = project("push", "clicks", "clicks.csv")
    assert (done.code, done.err) == (0, "")
    *lines, last = done.out.splitlines()
    assert lines == [
        "clicks.csv: 7 rows, 2 rejected",
        "          1 x user_id: flags take a number from 0 on",
        "          1 x user_id: expected an integer of 64 bits",
        "  rejected rows: clicks.csv.rejects.ndjson",
        "clicks: 3 events pushed, 1 of which changed nothing",
        "latest: 2 rows pushed",
        "marks: 1 rows pushed",
        "totals: left to fscore load, clicks is count() over all events, which only a load sees",
    ]
    assert last.startswith("7 rows in ")
    assert read(project, "--as-of", "2024-01-02T00:00:00Z") == {
        "entity": {"user_id": 1},
        "features": {
            "page": "cart",
            "clicks_1h": 2,
            "last_clicks": [1_704_153_600_000, 1_704_151_800_000],
            "has_clicked": True,
            "clicks": 0,
        },
        "version": 1,
        "as_of": 1_704_153_600_000,
        "statuses": {"clicks": "NOT_FOUND"},
    }
    earlier = read(project, "--as-of", "1704151800000", "--snapshot")
    assert earlier["features"]["clicks_1h"] == 1  # type: ignore[index]
    now = read(project)
    assert now["features"]["last_clicks"] is None  # type: ignore[index]
    table = project("get", "user_id=1", "--as-of", "2024-01-02T00:00:00Z").out
    assert "2024-01-02 00:00:00Z, 2024-01-01 23:30:00Z" in " ".join(table.split())


def test_pushing_again_says_that_it_was_there(project: Fscore) -> None:
    project("push", "clicks", "clicks.csv")
    report = json.loads(project("push", "clicks", "clicks.csv", "--json").out)
    assert report["views"] == [
        {"view": "clicks", "events": 3, "unchanged": 3},
        {"view": "latest", "rows": 2, "unchanged": 2},
        {"view": "marks", "rows": 1, "unchanged": 0},
    ]
    assert (report["source"], report["rows"], report["rejected"]) == ("clicks", 7, 2)
    assert report["failure"] is None
    assert list(report["left_out"]) == ["totals"]


def test_a_load_fills_all_of_them(project: Fscore) -> None:
    done = project("load", "defs.py", "clicks.csv")
    assert done.out.splitlines()[4:-1] == [
        "latest: 2 entities written",
        "totals: 2 entities written",
        "clicks: 3 events written, 1 of which changed nothing",
        "marks: 1 entities written",
    ]
    features = read(project, "--as-of", "2024-01-02T00:00:00Z")["features"]
    assert features == {
        "page": "cart",
        "clicks_1h": 2,
        "last_clicks": [1_704_153_600_000, 1_704_151_800_000],
        "has_clicked": True,
        "clicks": 3,
    }


def test_ndjson_from_the_standard_input(project: Fscore) -> None:
    lines = [
        '{"user_id": 1, "at": "2024-01-02", "page": "cart", "kind": "click"}',
        '{"user_id": 1, "at": "2024-01-02", "page": "cart", "kind": 3}',
        '{"user_id": 1, "page": "cart", "kind": "click"}',
        "no json",
    ]
    done = project("push", "clicks", "-", stdin="\n".join(lines))
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[0] == "-: 4 rows, 3 rejected"
    rejects = (project.folder / "stdin.rejects.ndjson").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejects] == [2, 3, 4]
    csv = project("push", "clicks", "-", "--format", "csv", stdin=EVENTS)
    assert csv.out.startswith("-: 7 rows, 2 rejected")


def test_a_line_is_pushed_when_it_comes(project: Fscore, redis_url: str) -> None:
    command = [*COMMAND, "push", "clicks", "-", "--json"]
    with (
        library.connect(redis_url) as client,
        subprocess.Popen(
            command,
            cwd=project.folder,
            env=project.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        clicks = client.prepare(features=["last_clicks"])
        for hour in range(3):
            at = f"2024-01-01T{hour:02}:00:00Z"
            event = {"user_id": 9, "at": at, "page": "p", "kind": "click"}
            process.stdin.write(json.dumps(event) + "\n")
            process.stdin.flush()
            moment = 1_704_067_200_000 + hour * 3_600_000
            deadline = time.monotonic() + 30
            newest = None
            while newest != moment:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.01)
                times = clicks.get([9], as_of=moment).to_dicts()[0]["last_clicks"]
                newest = times and times[0]
        process.stdin.close()
        assert json.loads(process.stdout.read())["rows"] == 3
    assert process.returncode == 0


def test_what_goes_wrong(project: Fscore) -> None:
    for arguments, code, part in (
        (["push", "click", "clicks.csv"], 1, "no view has a source named 'click'; did you mean"),
        (["push", "clicks", "no.csv"], 1, "no.csv: no such file"),
        (["push", "clicks", "-", "--format", "parquet"], 1, "Parquet is read from files"),
        (["get", "user_id=1", "--as-of", "noon"], 2, "--as-of 'noon' is not a timestamp"),
    ):
        done = project(*arguments)
        assert (done.code, done.out) == (code, ""), done
        assert part in done.err
        assert "Traceback" not in done.err
    never = '{"user_id": 1, "at": "never", "page": "home", "kind": "view"}\n'
    rejected = project("push", "clicks", "-", stdin=never)
    assert rejected.code == 1
    assert "error: all 1 rows were rejected, so nothing was pushed" in rejected.err


def test_the_shop_of_the_repository(fscore_on: Fscore) -> None:
    assert fscore_on("apply", EXAMPLE).code == 0
    report = json.loads(fscore_on("push", "clickstream", CLICKSTREAM, "--json").out)
    assert (report["rows"], report["rejected"]) == (31_106, 0)
    loaded = fscore_on("load", EXAMPLE, CLICKSTREAM)
    assert "clicks: 6,851 events written, 6,851 of which changed nothing" in loaded.out
