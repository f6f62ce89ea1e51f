"""Each command with small definitions: its output, its exit code, its one-line errors."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import fscore as library
from fscore_server.cli import doctor
from tests.redis_server import RedisServer
from tests.server.cli.command import COMMAND, Done, Fscore

DEFINITIONS = """
from fscore import *
user = Entity("user", join_keys={"user_id": Int64})
source = EventSource("clicks", event_time="at")

class Clicks(FeatureView, entity=user, source=source):
    clicks: Int64 = Feature(count(), default=0)
    last_page: String = Feature(latest("page"))
    last_at: Timestamp = Feature(latest("at"))

ranking = FeatureService("ranking", features=[Clicks])
"""
EVENTS = """user_id,at,page
1,2024-01-01T00:00:00Z,home
1,2024-01-02T00:00:00.500Z,cart
2,2024-01-01T00:00:00Z,home
"""


def failed(done: Done, *parts: str, code: int = 1) -> None:
    assert done.code == code, done
    assert done.out == ""
    message = done.err.strip()
    assert message.startswith("error: ")
    assert "\n" not in message
    for part in parts:
        assert part in message


@pytest.mark.usefixtures("files")
def test_apply_says_what_it_did_and_applying_again_changes_nothing(fscore_on: Fscore) -> None:
    done = fscore_on("apply", "defs.py")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[-1] == (
        "applied defs.py: 1 entity, 1 view, 3 features, 1 service; revision 1"
    )
    assert "+ view clicks" in done.out
    again = fscore_on("apply", "defs.py", "--json")
    assert json.loads(again.out) == {"revision": 1, "changed": False, "safe": True, "changes": []}


def test_old_names_in_definitions_are_reported_on_standard_error(project: Fscore) -> None:
    project.change_definitions("EventSource(", "fscore.FileSource(")
    project.change_definitions("from fscore import *", "import fscore; from fscore import *")
    done = project("plan", "defs.py")
    assert (done.code, done.out) == (0, "no changes\n")
    said = (
        "defs.py:4: DeprecationWarning: fscore.FileSource is deprecated: write fscore.EventSource"
    )
    assert said in done.err
    assert done.err.count("DeprecationWarning") == 1
    assert project("plan", "defs.py", PYTHONWARNINGS="ignore").err == ""


def test_plan_shows_changes_and_applies_none(project: Fscore) -> None:
    assert project("plan", "defs.py").out == "no changes\n"
    project.change_definitions("    last_at", "    age: Int64\n    last_at")
    done = project("plan", "defs.py")
    assert (done.code, done.err) == (0, "")
    assert "+ feature clicks.age: Int64" in done.out
    assert project("plan", "defs.py").out == done.out


def test_an_unsafe_change_is_refused_until_it_is_allowed(project: Fscore) -> None:
    project.change_definitions("last_page: String", "last_page: Int64")
    planned = project("plan", "defs.py", "--json")
    assert planned.code == 3
    assert json.loads(planned.out)["safe"] is False
    refused = project("apply", "defs.py")
    assert refused.code == 3
    assert "clicks.last_page" in refused.err
    assert "--allow-unsafe" in refused.err
    allowed = project("apply", "defs.py", "--allow-unsafe", "--json")
    assert allowed.code == 0
    assert json.loads(allowed.out)["revision"] == 2


def test_load_writes_what_get_reads(project: Fscore) -> None:
    done = project("load", "defs.py", "clicks.csv")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines()[:2] == [
        "clicks.csv: 3 rows, 0 rejected",
        "clicks: 2 entities written",
    ]
    table = project("get", "user_id=1").out
    assert "user_id=1 (version 1)" in table
    assert "last_at     2024-01-02 00:00:00.500Z" in table
    answers = project("get", "--service", "ranking", "user_id=1", "user_id=7", "--json").out
    assert [json.loads(line) for line in answers.splitlines()] == [
        {
            "entity": {"user_id": 1},
            "features": {"clicks": 2, "last_page": "cart", "last_at": 1704153600500},
            "version": 1,
        },
        {
            "entity": {"user_id": 7},
            "features": {"clicks": 0, "last_page": None, "last_at": None},
            "version": 1,
            "statuses": dict.fromkeys(("clicks", "last_page", "last_at"), "NOT_FOUND"),
        },
    ]
    chosen = project("get", "--features", "last_page,clicks:clicks", "user_id=2", "--json").out
    assert json.loads(chosen)["features"] == {"last_page": "home", "clicks": 1}


def test_load_counts_rejects_and_goes_on(project: Fscore) -> None:
    with (project.folder / "clicks.csv").open("a") as file:
        file.write("x,2024-01-01,home\n3,never,home\n3,2024-01-01,home\n")
    done = project("load", "defs.py", "clicks.csv")
    assert done.code == 0
    assert "6 rows, 2 rejected" in done.out
    assert "1 x user_id: expected an integer of 64 bits" in done.out
    assert "rejected rows: clicks.csv.rejects.ndjson" in done.out
    assert len((project.folder / "clicks.csv.rejects.ndjson").read_text().splitlines()) == 2
    summary = project("load", "defs.py", "clicks.csv", "--json", "--max-rejects", "1")
    assert summary.code == 1
    assert json.loads(summary.out)["failure"].startswith("more than 1 rows were rejected")
    plain = project("load", "defs.py", "clicks.csv", "--max-rejects", "1")
    assert plain.code == 1
    assert "error: more than 1 rows were rejected (--max-rejects)" in plain.err


@pytest.mark.usefixtures("files")
def test_a_dry_run_needs_no_server(fscore: Fscore) -> None:
    done = fscore("load", "defs.py", "clicks.csv", "--dry-run")
    assert (done.code, done.err) == (0, "")
    assert "clicks: 2 entities would be written (dry run)" in done.out
    assert not (fscore.folder / "data").exists()


def test_load_refuses_views_that_are_not_applied_as_they_are(project: Fscore) -> None:
    project.change_definitions("last_page: String", "last_page: Bytes")
    failed(
        project("load", "defs.py", "clicks.csv"),
        "view clicks in Redis differs from defs.py in last_page; run: fscore apply defs.py",
    )
    project.change_definitions("class Clicks", "class Visits")
    project.change_definitions("[Clicks]", "[Visits]")
    failed(project("load", "defs.py", "clicks.csv"), "view visits is not applied to this Redis")


def test_a_terminal_gets_a_progress_bar(project: Fscore) -> None:
    shown = project.on_a_terminal("load", "defs.py", "clicks.csv")
    assert b"read clicks.csv" in shown
    assert b"write clicks" in shown
    assert b"3 rows" in shown
    assert b"100 %" in shown


WRONG = {
    "definitions that are not there": (["apply", "nowhere"], "nowhere does not exist"),
    "a file that is not there": (["load", "defs.py", "no.csv"], "no.csv: no such file"),
    "an unknown source": (
        ["load", "defs.py", "clicks.csv", "--source", "orders"],
        "no view has a source named orders; there is: clicks",
    ),
    "an unknown service": (["get", "user_id=1", "--service", "no"], "no"),
    "an unknown feature": (["get", "user_id=1", "--features", "no"], "no"),
    "an unknown join key": (["get", "shop_id=1"], "no entity has the join keys shop_id"),
    "an unknown scheme": (["get", "user_id=1", "--redis-url", "http://x"], "scheme is http"),
    "a setting out of range": (["serve", "--port", "70000"], "port: "),
    "an address beyond loopback": (["serve", "--host", "0.0.0.0"], "insecure_no_auth"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_goes_wrong_is_one_line(project: Fscore, name: str) -> None:
    arguments, part = WRONG[name]
    failed(project(*arguments), part)


@pytest.mark.usefixtures("files")
def test_a_server_that_is_away_is_one_line(fscore: Fscore, port: int) -> None:
    url = f"redis://:secret@127.0.0.1:{port}"
    for arguments in (["apply", "defs.py"], ["get", "user_id=1"]):
        done = fscore(*arguments, FSCORE_REDIS_URL=url)
        failed(done, f"127.0.0.1:{port}")
        assert "secret" not in done.err


def test_wrong_usage_has_an_exit_code_of_its_own(project: Fscore) -> None:
    for arguments in (
        ["frobnicate"],
        ["load", "defs.py"],
        ["get", "ann"],
        ["get", "user_id=ann"],
        ["get", "user_id=1", "user_id=2", "shop_id=1"],
    ):
        assert project(*arguments).code == 2, arguments


def test_debug_shows_the_traceback(fscore: Fscore) -> None:
    done = subprocess.run(
        [*COMMAND, "apply", "nowhere", "--debug"],
        cwd=fscore.folder,
        env=fscore.environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.usefixtures("files")
def test_definitions_with_mistakes_name_each_line(fscore: Fscore) -> None:
    fscore.change_definitions("count()", "count('page')")
    fscore.change_definitions("last_at: Timestamp", "last_at: str")
    done = fscore("apply", "defs.py")
    assert done.code == 1
    assert "defs.py:" in done.err
    assert not (fscore.folder / "data").exists()


def test_a_reader_that_goes_away_is_not_an_error(project: Fscore) -> None:
    project("load", "defs.py", "clicks.csv")
    keys = " ".join(f"user_id={number}" for number in range(2000))
    done = subprocess.run(
        f"{' '.join(COMMAND)} get --json {keys} | head -n 1",
        shell=True,
        cwd=project.folder,
        env=project.environment,
        capture_output=True,
        text=True,
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_init_makes_definitions_that_can_be_applied_and_loaded(fscore_on: Fscore) -> None:
    done = fscore_on("init")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("then: fscore apply features\n")
    assert fscore_on("apply", "features").code == 0
    (fscore_on.folder / "events.csv").write_text(
        f"user_id,timestamp,event,country\nann,{dt.datetime.now(dt.UTC).date()},purchase,NZ\n"
    )
    assert fscore_on("load", "features", "events.csv").code == 0
    answer = json.loads(fscore_on("get", "user_id=ann", "--json").out)
    assert answer["features"]["country"] == "NZ"
    failed(fscore_on("init"), "features has definitions already: definitions.py")


@pytest.mark.parametrize(
    "command",
    [
        *("init", "apply", "plan", "load", "get", "serve", "demo", "doctor", "version-info"),
        *("version", "version create", "version promote", "version rollback", "version retire"),
        "version list",
    ],
)
def test_every_command_has_help(fscore: Fscore, command: str) -> None:
    done = fscore(*command.split(), "--help")
    assert done.code == 0
    assert done.out.startswith(f"Usage: fscore {command}")
    assert all(len(line) <= 100 for line in done.out.splitlines())


def test_versions(fscore: Fscore) -> None:
    assert fscore("--version").out.startswith("fscore 0.")
    found = json.loads(fscore("version-info", "--json").out)
    assert found["fscore-core"] != "not installed"


def test_doctor_finds_a_fit_server_fit(project: Fscore) -> None:
    done = project("doctor", "--json")
    findings = {finding["check"]: finding for finding in json.loads(done.out)}
    assert done.code == 0
    assert {name: finding["outcome"] for name, finding in findings.items()} == {
        "server": "ok",
        "version": "ok",
        "clock": "ok",
        "persistence": "warning",
        "memory": "ok",
        "rights": "ok",
        "registry": "ok",
    }
    assert findings["registry"]["found"] == ("revision 1: 1 entity, 1 view, 3 features, 1 service")
    assert "appendonly" in project("doctor").out


@pytest.mark.parametrize(("answered", "outcome"), [(109, "ok"), (120, "warning")])
def test_doctor_takes_no_slow_answer_for_a_wrong_clock(
    monkeypatch: pytest.MonkeyPatch, answered: int, outcome: str
) -> None:
    times = iter([100.0, 110.0])
    monkeypatch.setattr(doctor, "time", SimpleNamespace(time=lambda: next(times)))
    client: Any = SimpleNamespace(execute=lambda command: (answered, 0))
    assert doctor._clock(client).outcome == outcome


def test_doctor_sees_a_user_without_rights(project: Fscore, redis_server: RedisServer) -> None:
    with library.connect(redis_server.url) as client:
        client.execute(
            *("ACL", "SETUSER", "reader", "on", ">secret", "~*", "-@all", "+@connection"),
            *("+hmget", "+hget", "+hgetall", "+mget", "+info", "+time", "+acl"),
        )
        try:
            url = f"redis://reader:secret@127.0.0.1:{redis_server.port}"
            done = project("doctor", "--json", FSCORE_REDIS_URL=url)
        finally:
            client.execute("ACL", "DELUSER", "reader")
    findings = {finding["check"]: finding for finding in json.loads(done.out)}
    assert done.code == 0
    assert findings["rights"]["outcome"] == "warning"
    assert findings["rights"]["found"] == (
        "user reader may not use snapshots (MULTI, EXEC, GET), promotions by push (SUBSCRIBE); "
        "may not write definitions (EVAL, HSET), versions (SET, PUBLISH, SCAN, UNLINK), "
        "hash (HSET, HDEL, PEXPIREAT, PEXPIRETIME, PERSIST, UNLINK, EVALSHA, SCRIPT LOAD)"
    )
    assert findings["rights"]["advice"] == "enough for a server; not for a load or apply"


def test_doctor_says_when_there_is_no_server(fscore: Fscore, port: int) -> None:
    done = fscore("doctor", FSCORE_REDIS_URL=f"redis://127.0.0.1:{port}")
    assert done.code == 1
    assert done.out.startswith("failed   server")


@pytest.mark.usefixtures("files")
def test_without_a_url_commands_share_the_embedded_server_of_the_folder(fscore: Fscore) -> None:
    applied = fscore("apply", "defs.py")
    assert applied.err == (
        "embedded Valkey started: data in data/valkey (AOF every second),"
        " redis-cli -s data/valkey/valkey.sock\n"
    )
    assert fscore("load", "defs.py", "clicks.csv").code == 0
    answer = json.loads(fscore("get", "user_id=1", "--json").out)
    assert answer["features"]["clicks"] == 2
    assert json.loads(fscore("doctor", "--json").out)[3]["found"] == "append-only file"
    assert not Path(fscore.folder, "data", "valkey", "embedded.json").exists()
