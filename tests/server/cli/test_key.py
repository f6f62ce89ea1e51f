"""`fscore key`: the key that is printed once, and its entry in the file."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import re
import tomllib
from typing import Any

import pytest

from tests.server.cli.command import Fscore

KEY = re.compile(r"fsk_[A-Za-z0-9_-]{43}")


def entries(text: str) -> list[dict[str, Any]]:
    """Read the keys of a file without fscore's own reader."""
    read: list[dict[str, Any]] = tomllib.loads(text)["key"]
    return read


def test_a_key_is_printed_with_its_entry(fscore: Fscore) -> None:
    done = fscore("key", "create", "--name", "ranking")
    assert done.code == 0, done.err
    key, _, block = done.out.partition("\n")
    assert KEY.fullmatch(key)
    (entry,) = entries(block)
    assert entry == {"name": "ranking", "sha256": hashlib.sha256(key.encode()).hexdigest()}
    # Output that goes into a file by `>` has no explanations.
    assert "shown only once" in done.err and "FSCORE_API_KEYS_FILE" in done.err
    assert key not in done.err


def test_keys_differ(fscore: Fscore) -> None:
    made = {fscore("key", "create", "--name", "a").out.split()[0] for _ in range(3)}
    assert len(made) == 3


def test_scope_and_end_are_in_the_entry(fscore: Fscore) -> None:
    scope = ["--service", "ranking", "--service", "pairs", "--view", "profile"]
    before = dt.datetime.now(dt.UTC).replace(microsecond=0)
    done = fscore("key", "create", "--name", "a", *scope, "--expires", "90d", "--json")
    assert done.code == 0, done.err
    shown = json.loads(done.out)
    (entry,) = entries(shown["entry"])
    assert entry["services"] == shown["services"] == ["ranking", "pairs"]
    assert entry["views"] == shown["views"] == ["profile"]
    assert entry["sha256"] == shown["sha256"] == hashlib.sha256(shown["key"].encode()).hexdigest()
    lifetime = dt.timedelta(days=90)
    assert before + lifetime <= entry["expires"] <= dt.datetime.now(dt.UTC) + lifetime
    assert entry["expires"] == dt.datetime.fromisoformat(shown["expires"])
    assert shown["file"] is None


def test_entries_are_appended(fscore: Fscore) -> None:
    file = fscore.folder / "keys.toml"
    first = fscore("key", "create", "--name", "a", "--append", "keys.toml")
    assert first.code == 0, first.err
    assert KEY.fullmatch(first.out.strip())
    assert file.stat().st_mode & 0o777 == 0o600
    text = "# Ours.\n" + file.read_text()
    file.write_text(text)
    second = fscore(
        "key", "create", "--name", "a", "--view", "v", "--append", "keys.toml", "--json"
    )
    assert json.loads(second.out)["file"] == "keys.toml"
    assert file.read_text().startswith(text.rstrip())
    one, other = entries(file.read_text())
    assert one["sha256"] == hashlib.sha256(first.out.strip().encode()).hexdigest()
    assert other["sha256"] == json.loads(second.out)["sha256"]
    assert other["views"] == ["v"]
    assert os.listdir(fscore.folder) == ["keys.toml"]


@pytest.mark.parametrize(("mode", "kept"), [(0o644, 0o640), (0o640, 0o640), (0o400, 0o600)])
def test_an_existing_file_loses_the_rights_of_all(fscore: Fscore, mode: int, kept: int) -> None:
    file = fscore.folder / "keys.toml"
    fscore("key", "create", "--name", "a", "--append", "keys.toml")
    file.chmod(mode)
    assert fscore("key", "create", "--name", "b", "--append", "keys.toml").code == 0
    assert file.stat().st_mode & 0o777 == kept


def test_a_link_stays_a_link(fscore: Fscore) -> None:
    link = fscore.folder / "link.toml"
    link.symlink_to("keys.toml")
    assert fscore("key", "create", "--name", "a", "--append", "link.toml").code == 0
    assert link.is_symlink()
    assert len(entries((fscore.folder / "keys.toml").read_text())) == 1


def test_a_wrong_file_stays_as_it_is(fscore: Fscore) -> None:
    file = fscore.folder / "keys.toml"
    file.write_text("[[key]]\nrole = 1\n")
    done = fscore("key", "create", "--name", "a", "--append", "keys.toml")
    assert (done.code, done.out) == (1, "")
    assert "unknown field 'role'" in done.err
    assert file.read_text() == "[[key]]\nrole = 1\n"
    assert os.listdir(fscore.folder) == ["keys.toml"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([], "--name"),
        (["--name", "a b"], "without spaces"),
        (["--name", ""], "without spaces"),
        (["--name", "a", "--expires", "soon"], "write 90d, 12h or 30m"),
        (["--name", "a", "--expires", "0d"], "write 90d, 12h or 30m"),
        (["--name", "a", "--service", "a b"], "letters, digits and underscores"),
    ],
)
def test_wrong_usage(fscore: Fscore, arguments: list[str], part: str) -> None:
    done = fscore("key", "create", *arguments)
    assert (done.code, done.out) == (2, "")
    assert part in done.err


def test_a_folder_that_is_not_there(fscore: Fscore) -> None:
    done = fscore("key", "create", "--name", "a", "--append", "none/keys.toml")
    assert (done.code, done.out) == (1, "")
    assert "none" in done.err
