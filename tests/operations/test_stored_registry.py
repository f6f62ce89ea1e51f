"""Definitions that an earlier version stored are read, and applying the same ones changes nothing.

`tests/vectors/storage/registry.json` has the two hashes of a registry as they were stored before
sources and aggregates got their present names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

import pytest
from redis import Redis

import fscore
from fscore import (
    Bool,
    Entity,
    EventSource,
    Feature,
    FeatureService,
    FeatureView,
    FlagView,
    Float32,
    Float64,
    Int64,
    List,
    Payload,
    Registry,
    RequestView,
    SeriesView,
    String,
    Timestamp,
    count,
    distinct,
    ever,
    first,
    latest,
    mean,
    request,
    window,
)
from fscore import (
    functions as fn,
)
from tests.client.driver import Driver

VECTOR = Path(__file__).resolve().parents[1] / "vectors" / "storage" / "registry.json"
STORED = json.loads(VECTOR.read_text())

user = Entity("user", join_keys={"user_id": String}, description="a visitor")
sales = EventSource(
    "sales", event_time="at", timestamp_format="%d.%m.%Y %H:%M", keys={"user_id": "buyer"}
)
clicks = EventSource("clicks", event_time="at")


class Activity(FeatureView, entity=user, source=sales, ttl="90d", owner="growth"):
    sales: Int64 = Feature(count(where={"event": ["sale", None]}), default=0)
    spent: Float64 = Feature(fscore.sum("amount", where={"event": "sale"}))
    cheapest: Float64 = Feature(fscore.min("amount"))
    dearest: Float32 = Feature(fscore.max("amount"), ttl="30d")
    shops: Int64 = distinct("shop")
    last_shop: String = Feature(latest("shop"), default="none", tags={"unit": "name"})
    first_at: Timestamp[Literal["s"]] = first("at")


class Scores(FeatureView, entity=user, layout="packed"):
    score: Float64
    categories: List[String]


class Clicks(
    SeriesView,
    entity=user,
    source=clicks,
    where={"event": "view"},
    retention="7d",
    tile="1h",
    tile_retention="90d",
    event_id="uuid",
):
    page: String = Payload()
    price: Float64 = Payload("amount")
    clicks_1d: Int64 = window.count("1d")
    price_sum_30d: Float64 = window.sum("price", "30d")
    price_mean_30d: Float64 = window.mean("price", "30d")
    price_min_7d: Float64 = window.min("price", "7d")
    price_max_7d: Float64 = Feature(window.max("price", "7d"), default=0.0)
    pages_7d: Int64 = window.distinct("page", "7d")
    last_5_pages: List[String] = window.last(5, "page")
    last_5_times: List[Timestamp] = window.last_times(5)
    since_click: Int64 = window.time_since_last()
    time_on_site: Int64 = window.session_length(gap="30m")


class Promotions(FlagView, entity=user, source=clicks, ids="user_%04d"):
    has_seen: Bool = Feature(ever(where={"event": "promo"}))


class Basket(RequestView, entity=user, request={"amounts": Float64}):
    share: Float64 = Feature(request["amounts"] / fn.least(Activity.spent, Clicks.price_mean_30d))
    pages: Int64 = Feature(fn.length(Clicks.last_5_pages))


ranking = FeatureService(
    "ranking", features=[Activity, Scores.score.alias("rank"), Clicks, Promotions, Basket]
)
DEFINITIONS = (ranking, Scores)


@pytest.fixture
def connection(redis_url: str) -> Any:
    """A connection to a server that has the stored registry."""
    with Redis.from_url(redis_url, decode_responses=True) as connected:
        for key, fields in STORED.items():
            connected.hset(key, mapping=fields)
        yield connected


def test_the_definitions_are_byte_for_byte_the_stored_ones() -> None:
    stored = STORED["fscore:registry"]
    registry = Registry.from_definitions(DEFINITIONS)
    assert registry.to_json() == stored["definitions"]
    assert registry.digest == stored["digest"]
    assert Registry.from_json(stored["definitions"]).to_json() == stored["definitions"]


def test_applying_them_again_changes_nothing(
    connection: Any, redis_url: str, driver: Driver
) -> None:
    client = driver.connect(redis_url)
    registry = Registry.from_definitions(DEFINITIONS)
    assert client.registry == registry
    assert str(client.plan(registry)) == "no changes"
    result = client.apply(registry)
    assert (result.revision, result.changed) == (1, False)
    for key, fields in STORED.items():
        assert connection.hgetall(key) == fields
    assert len(client.prepare("ranking").features) == len(ranking.features)


def test_a_new_aggregate_is_one_change(connection: Any, redis_url: str, driver: Driver) -> None:
    client = driver.connect(redis_url)

    class Orders(FeatureView, entity=user, source=sales):
        mean_order: Float64 = Feature(mean("amount"))

    new = Registry.from_definitions([*DEFINITIONS, Orders])
    assert str(client.plan(new)).splitlines() == ["+ view orders: 1 feature of user", "1 added"]
    assert client.apply(new).revision == 2
    again = json.loads(connection.hget("fscore:registry", "definitions"))
    assert again["views"].pop("orders")["features"][0]["mapping"]["op"] == "mean"
    assert again == json.loads(STORED["fscore:registry"]["definitions"])
