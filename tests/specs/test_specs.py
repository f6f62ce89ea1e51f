"""Specs, the plain data that the extension compiles to plans, for every kind of view."""

from __future__ import annotations

import json
from typing import Any

from fscore import (
    Bool,
    Entity,
    Feature,
    FeatureView,
    FlagView,
    Float64,
    Int64,
    List,
    Payload,
    Registry,
    SeriesView,
    String,
    resolve,
    window,
)
from fscore.model.fingerprint import fingerprint
from fscore.specs.resolve import delete_spec, write_spec

HOUR, DAY = 3_600_000, 86_400_000
user = Entity("user", join_keys={"user_id": String})


class Profile(FeatureView, entity=user, ttl="30d"):
    age: Int64 = Feature(ttl="90d")
    country: String


class Scores(FeatureView, entity=user, layout="packed", ttl="1d"):
    churn: Float64 = Feature(default=0.5, ttl="5m")
    labels: List[String]


class Clicks(
    SeriesView,
    entity=user,
    retention="7d",
    tile="1h",
    tile_retention="30d",
):
    page: String = Payload()
    price: Float64 = Payload("amount")
    last_pages: List[String] = window.last(5, "page")
    spent_30d: Float64 = Feature(window.sum("price", "30d"), default=0)
    spent: Float64 = window.sum("price")
    clicks_30m: Int64 = window.count("30m")
    on_site: Int64 = window.session_length("30m")


class Visits(SeriesView, entity=user, repeats="collapse"):
    visits: Int64 = window.count()


class Promotions(FlagView, entity=user, ids="user_%04d"):
    seen: Bool


registry = Registry.from_definitions([Profile, Scores, Clicks, Visits, Promotions])
SCORES = (("churn", "Float64"), ("labels", "List[String]"))
SCHEMA = [fingerprint(SCORES), [["churn", "Float64"], ["labels", "List[String]"]]]


def views(spec: dict[str, Any]) -> dict[str, Any]:
    return {view["name"]: view for view in spec["views"]}


def test_views_say_how_they_are_stored() -> None:
    spec = resolve(registry, entity="user").to_spec()
    assert views(spec) == {
        "clicks": {
            "kind": "series",
            "entity": 0,
            "name": "clicks",
            "ttl_ms": 0,
            "retention_ms": 7 * DAY,
            "count_repeats": True,
            "tile_ms": HOUR,
            "payload": [["page", "String"], ["price", "Float64"]],
        },
        "profile": {"kind": "hash", "entity": 0, "name": "profile", "ttl_ms": 30 * DAY},
        "promotions": {
            "kind": "flags",
            "entity": 0,
            "name": "promotions",
            "ttl_ms": 0,
            "ids": "user_%04d",
        },
        "scores": {
            "kind": "packed",
            "entity": 0,
            "name": "scores",
            "ttl_ms": DAY,
            "schemas": [SCHEMA],
        },
        "visits": {
            "kind": "series",
            "entity": 0,
            "name": "visits",
            "ttl_ms": 0,
            "retention_ms": 0,
            "count_repeats": False,
            "tile_ms": 0,
            "payload": [],
        },
    }


def test_features_say_their_ttl_and_their_window() -> None:
    names = ["churn", "age", "last_pages", "spent_30d", "spent", "clicks_30m", "on_site", "seen"]
    features = resolve(registry, features=names).to_spec()["features"]
    assert [feature["name"] for feature in features] == names
    assert [feature["ttl_ms"] for feature in features] == [300_000, 90 * DAY, *(0,) * 6]
    assert [feature["view"] for feature in features] == [0, 1, *(2,) * 5, 3]
    assert [feature["default"] for feature in features][:4] == [0.5, None, None, 0.0]
    assert [feature["window"] for feature in features] == [
        None,
        None,
        {"op": "last", "field": "page", "window_ms": 0, "n": 5, "gap_ms": 0, "tiles": "none"},
        {
            **{"op": "sum", "field": "price", "window_ms": 30 * DAY, "n": 0, "gap_ms": 0},
            "tiles": "granular",
        },
        {
            **{"op": "sum", "field": "price", "window_ms": 7 * DAY, "n": 0, "gap_ms": 0},
            "tiles": "exact",
        },
        {
            **{"op": "count", "field": None, "window_ms": 1_800_000, "n": 0, "gap_ms": 0},
            "tiles": "none",
        },
        {
            **{"op": "session_length", "field": None, "window_ms": 0, "n": 0},
            **{"gap_ms": 1_800_000, "tiles": "none"},
        },
        None,
    ]


def test_only_what_shares_the_hash_counts_as_its_fields() -> None:
    (entity,) = resolve(registry, features=["churn"]).entities
    assert (entity.fields_total, entity.wide_values) == (2 + 1, False)


def test_older_schemas_follow_the_current_one() -> None:
    older = (("churn", "Float64"),)
    schemas = {fingerprint(older): older, fingerprint(SCORES): SCORES}
    spec = resolve(registry, features=["churn"]).to_spec(schemas)
    assert spec["views"][0]["schemas"] == [SCHEMA, [fingerprint(older), [["churn", "Float64"]]]]


def common(view: str, **members: Any) -> dict[str, Any]:
    """Return a write spec with the entries that all views here share."""
    return {
        **{"entity": "user", "join_keys": [["user_id", "String"]], "view": view},
        **{"shared_key": False, "also": None, **members},
    }


PROFILE = common(
    "profile",
    kind="hash",
    features=[
        {"name": "age", "type": "Int64", "ttl_ms": 90 * DAY},
        {"name": "country", "type": "String", "ttl_ms": 30 * DAY},
    ],
    key_ttl_ms=90 * DAY,
)


def test_the_write_specs_of_all_kinds() -> None:
    assert write_spec(registry, "profile") == PROFILE
    assert write_spec(registry, "scores") == common(
        "scores",
        kind="packed",
        features=[
            {"name": "churn", "type": "Float64", "ttl_ms": 300_000},
            {"name": "labels", "type": "List[String]", "ttl_ms": DAY},
        ],
        key_ttl_ms=DAY,
        fingerprint=fingerprint(SCORES),
    )
    assert write_spec(registry, "clicks") == common(
        "clicks",
        kind="series",
        features=[],
        key_ttl_ms=7 * DAY,
        payload=[["page", "String"], ["price", "Float64"]],
        event_id=False,
        retention_ms=7 * DAY,
        max_events=0,
        count_repeats=True,
        tile_ms=HOUR,
        tile_retention_ms=30 * DAY,
        tile_fields=["price"],
    )
    assert write_spec(registry, "promotions") == common(
        "promotions",
        kind="flags",
        features=[{"name": "seen", "type": "Bool", "ttl_ms": 0}],
        key_ttl_ms=0,
        ids="user_%04d",
    )


def test_tiles_and_a_bound_on_events_are_not_mixed_within_one_window() -> None:
    data = json.loads(registry.to_json())
    data["views"]["clicks"]["max_events"] = 500
    bounded = Registry.from_json(json.dumps(data))

    def tiles(known: Registry) -> list[str]:
        features = resolve(known, features=["spent", "spent_30d"]).to_spec()["features"]
        return [feature["window"]["tiles"] for feature in features]

    assert tiles(registry) == ["exact", "granular"]
    assert tiles(bounded) == ["none", "granular"]


def test_a_view_that_migrates_is_written_twice() -> None:
    data = json.loads(registry.to_json())
    data["views"]["profile"]["migrating_from"] = "packed"
    migrating = Registry.from_json(json.dumps(data))
    spec = write_spec(migrating, "profile")
    also = spec.pop("also")
    assert spec == {name: value for name, value in PROFILE.items() if name != "also"}
    assert (also["kind"], also["key_ttl_ms"], also["also"]) == ("packed", 90 * DAY, None)
    assert also["fingerprint"] == fingerprint([("age", "Int64"), ("country", "String")])
    assert resolve(migrating, features=["age"]).to_spec()["views"][0]["kind"] == "hash"


def test_rows_are_removed_in_both_layouts_first_in_the_one_that_is_not_read() -> None:
    def kinds(known: Registry, view: str) -> list[str]:
        spec = delete_spec(known, view)
        also = spec["also"]
        return [spec["kind"]] if also is None else [spec["kind"], also["kind"]]

    assert kinds(registry, "profile") == ["packed", "hash"]
    assert kinds(registry, "scores") == ["hash", "packed"]
    assert kinds(registry, "clicks") == ["series"]
    assert kinds(registry, "promotions") == ["flags"]
    data = json.loads(registry.to_json())
    data["views"]["profile"]["migrating_from"] = "packed"
    # A migration copies rows from the layout that is read, so a row must go from there first.
    assert kinds(Registry.from_json(json.dumps(data)), "profile") == ["hash", "packed"]


def test_views_that_share_a_hash_keep_its_key_as_long_as_all_need() -> None:
    class Standing(FeatureView, entity=user):
        points: Int64 = Feature(ttl="1d")

    class Plan(FeatureView, entity=user):
        plan: String

    two = Registry.from_definitions([Profile, Standing, Scores])
    assert [write_spec(two, view)["key_ttl_ms"] for view in ("profile", "standing")] == [
        *(90 * DAY, DAY),
    ]
    assert write_spec(two, "standing")["shared_key"]
    three = Registry.from_definitions([Profile, Standing, Plan])
    assert [write_spec(three, view)["key_ttl_ms"] for view in three.views] == [0, 0, 0]
