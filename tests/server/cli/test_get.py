"""`fscore get` of every kind of view: as of a time, as a snapshot, with inputs of the request."""

from __future__ import annotations

import json
from typing import Any

import pytest
import redis

from tests.server.cli.command import Fscore
from tests.server.kinds import AT, VISITOR_42
from tests.server.store import fill

ONE = ("get", "visitor_id=v0042")
NOON = "2024-06-01T12:00:00Z"
INPUTS = ("--request", "amount=19", "--request", "coupon=HELLO")


@pytest.fixture
def filled(fscore_on: Fscore, redis_url: str) -> Fscore:
    """A server with a view of every kind."""
    fill(redis_url)
    return fscore_on


def answers(fscore: Fscore, *arguments: str) -> list[dict[str, Any]]:
    done = fscore(*arguments, "--json")
    assert (done.code, done.err) == (0, "")
    return [json.loads(line) for line in done.out.splitlines()]


def test_every_kind_as_of_a_time(filled: Fscore) -> None:
    (answer,) = answers(filled, *ONE, "--service", "visits", "--as-of", NOON)
    assert answer["features"] == VISITOR_42
    assert answer["statuses"] == {"balance": "NULL"}
    assert answer["as_of"] == AT
    (same,) = answers(filled, *ONE, "--service", "visits", "--as-of", str(AT), "--snapshot")
    assert same == answer


def test_lists_and_times_are_readable(filled: Fscore) -> None:
    out = filled(*ONE, "--service", "visits", "--as-of", NOON, COLUMNS="160").out
    assert "visitor_id=v0042 (version 1, as of 2024-06-01 12:00:00Z)" in out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    newest = "PRESENT 2024-06-01 11:59:00Z"
    assert f'last_3 ["cup", "te,a", "kettle"] {newest}' in lines
    times = "2024-06-01 11:59:00Z, 2024-06-01 11:40:00Z, 2024-06-01 10:30:00Z"
    assert f"last_3_times {times} {newest}" in lines
    assert "signed_up 2024-03-03 12:00:00Z PRESENT 2024-06-01 11:00:00Z" in lines
    assert "balance - NULL 2024-06-01 11:00:00Z" in lines
    assert "seen_summer true PRESENT" in lines


def test_inputs_are_for_all_entities_or_for_each(filled: Fscore) -> None:
    quotes = ("get", "--service", "quotes", "--as-of", NOON)
    two = ("visitor_id=v0042", "visitor_id=v0007")
    first, second = answers(filled, *quotes, *two, *INPUTS)
    assert first["features"] == {
        "share": 2.0,
        "tenure": 90,
        "is_welcome": True,
        "platform": "ios",
    }
    assert second["features"]["share"] == 9.5
    first, second = answers(filled, *quotes, *two, *INPUTS, "--request", "amount=1")
    assert (first["features"]["share"], second["features"]["share"]) == (2.0, 0.5)


def test_a_snapshot_is_one_transaction(filled: Fscore, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as connection:
        connection.set("feature_version:ranking", 2)
        connection.config_resetstat()
        (answer,) = answers(filled, "get", "user_id=u1", "--service", "ranking", "--snapshot")
        assert connection.info("commandstats")["cmdstat_exec"]["calls"] == 1
    assert answer["version"] == 2
    (pinned,) = answers(filled, "get", "user_id=u1", "--service", "ranking", "--version", "1")
    assert pinned["version"] == 1


def test_a_number_that_json_does_not_have_is_null(filled: Fscore) -> None:
    (answer,) = answers(filled, "get", "user_id=invalid", "--features", "score")
    assert (answer["features"], answer["statuses"]) == ({"score": None}, {"score": "PRESENT"})


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("--as-of", "2024-06-01T12:00:00"), "write 2024-06-01T12:00:00Z"),
        (("--as-of", "-1"), "before 1970"),
        (("--as-of", "noon"), "2024-06-01T12:00:00Z"),
        (("--service", "quotes", "--request", "amount"), "amount=12.5"),
        (("--service", "quotes", "--request", "amount=much"), "amount is Float64, write a number"),
        (("--service", "quotes", "--request", "price=1"), "they have amount, coupon"),
        (("--service", "visits", "--request", "price=1"), "they have none"),
        (
            ("--service", "quotes", *INPUTS, "--request", "amount=1"),
            "amount has 2 values for 1 entities",
        ),
    ],
)
def test_wrong_options_say_what_to_write(
    filled: Fscore, arguments: tuple[str, ...], part: str
) -> None:
    done = filled(*ONE, *arguments)
    assert (done.code, done.out) == (2, "")
    assert part in " ".join(done.err.split())


def test_missing_inputs_are_named(filled: Fscore) -> None:
    done = filled(*ONE, "--service", "quotes", "--request", "amount=1")
    assert (done.code, done.out) == (1, "")
    assert 'these features need the input "coupon" (String)' in done.err
