"""Packed rows while definitions change: old rows with new definitions, new rows with old ones."""

from __future__ import annotations

import types
from typing import Any

import pytest

from fscore import (
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Float64,
    Int64,
    Registry,
    String,
)
from fscore.model.fingerprint import fingerprint
from fscore.types import Status
from tests.client.driver import Driver
from tests.event_times import PAST_MS

NEVER = 3600.0

user = Entity("user", join_keys={"user_id": Int64})


def registry(ttl: str | None = None, **features: Any) -> Registry:
    """Return definitions of one packed view with these features, and a service of it."""
    namespace = {"__annotations__": features, "country": Feature(default="??")}
    view: Any = types.new_class(
        "Profile",
        (FeatureView,),
        {"entity": user, "layout": "packed", "ttl": ttl},
        lambda body: body.update(namespace),
    )
    return Registry.from_definitions([FeatureService("all", features=[view])])


OLD = registry(age=Int64, country=String)
NEW = registry(score=Float64, country=String, age=Int64)


def row(client: Any, user_id: int, **how: Any) -> tuple[dict[str, Any], list[str]]:
    table = client.prepare("all").get([user_id], **how)
    return table.to_dicts()[0], [Status(code).name for code in table.statuses[0]]


def test_old_rows_with_new_definitions_and_new_rows_with_old_ones(
    driver: Driver, redis_url: str
) -> None:
    old = driver.connect(redis_url, registry_poll=NEVER)
    old.apply(OLD)
    old.write("profile", [{"user_id": 1, "age": 29, "country": "US"}], event_time=PAST_MS)
    behind = old.prepare("all")
    new = driver.connect(redis_url)
    new.apply(NEW)
    new.write(
        "profile",
        [{"user_id": 2, "age": 30, "country": None, "score": 0.5}],
        event_time=PAST_MS + 1,
    )

    assert row(new, 1) == (
        {"score": None, "country": "US", "age": 29},
        ["NULL", "PRESENT", "PRESENT"],
    )
    assert row(new, 2) == (
        {"score": 0.5, "country": "??", "age": 30},
        ["PRESENT", "NULL", "PRESENT"],
    )
    # The client with the old definitions meets a row that it cannot read, so it looks once for new
    # definitions and follows them.
    table = behind.get([1, 2])
    assert table.unknown_schemas == []
    assert table.features == ("score", "country", "age")
    assert table.column("age").tolist() == [29, 30]


def test_a_schema_that_is_nowhere_costs_one_look(
    driver: Driver, redis_url: str, witness: Any
) -> None:
    client = driver.connect(redis_url, registry_poll=NEVER)
    client.apply(OLD)
    client.write("profile", [{"user_id": 1, "age": 29, "country": "US"}])
    strange = fingerprint([("shoe_size", "Int64")]).to_bytes(4, "little")
    witness.set("user:{2}:v1:profile", b"\x01" + strange + bytes(8) + b"\0" + bytes(8))
    prepared = client.prepare("all")
    witness.config_resetstat()
    for _ in range(5):
        table = prepared.get([1, 2])
        assert table.column("age", missing="mask").tolist() == [29, None]
        assert table.statuses.tolist() == [[0, 0], [Status.INVALID] * 2]
        assert "is not known" in table.problems[0][2]
    stats = witness.info("commandstats")
    # Five reads, and one look at the versions beside the definitions.
    assert stats["cmdstat_mget"]["calls"] == 6
    assert stats["cmdstat_hgetall"]["calls"] == 1


@pytest.mark.parametrize("consistency", ["eventual", "snapshot"])
def test_a_changed_ttl_counts_at_once(driver: Driver, redis_url: str, consistency: Any) -> None:
    client = driver.connect(redis_url)
    client.apply(registry(None, age=Int64, country=String))
    client.write("profile", [{"user_id": 1, "age": 29, "country": "US"}], event_time=PAST_MS)
    how = {"as_of": PAST_MS + 60_000, "consistency": consistency}
    assert row(client, 1, **how)[1] == ["PRESENT", "PRESENT"]
    client.apply(registry("1m", age=Int64, country=String))
    assert row(client, 1, **how) == ({"age": None, "country": "??"}, ["EXPIRED", "EXPIRED"])
    assert row(client, 1, as_of=PAST_MS + 59_999)[1] == ["PRESENT", "PRESENT"]
    client.apply(registry("2m", age=Int64, country=String))
    assert row(client, 1, **how)[1] == ["PRESENT", "PRESENT"]


def test_rows_of_another_type_are_invalid_and_alone(driver: Driver, redis_url: str) -> None:
    client = driver.connect(redis_url)
    client.apply(OLD)
    client.write("profile", [{"user_id": 1, "age": 29, "country": "US"}])
    client.apply(registry(age=Float64, country=String), allow_unsafe=True)
    client.write("profile", [{"user_id": 2, "age": 1.5, "country": "DE"}])
    prepared = client.prepare("all")
    table = prepared.get([1, 2])
    assert table.to_dicts() == [{"age": None, "country": "US"}, {"age": 1.5, "country": "DE"}]
    assert table.statuses.tolist() == [[Status.INVALID, 0], [0, 0]]
    assert table.problems == [(0, "age", "is stored as Int64, not as Float64")]
