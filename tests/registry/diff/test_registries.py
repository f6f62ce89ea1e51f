"""The difference of two registries: what a change means for stored data."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

import fscore
from fscore import EventSource, Registry, count, diff
from fscore.registry import (
    EntityDefinition,
    FeatureDefinition,
    FeatureViewDefinition,
    ServiceDefinition,
    ServiceFeature,
)
from fscore.registry.diff.registries import type_change_is_safe
from fscore.types import DataType

SPELLINGS = [
    *("Int64", "Float32", "Float64", "Bool", "String", "Bytes", "Timestamp", "Timestamp[s]"),
    *("List[Int64]", "List[Float32]", "List[Float64]", "List[Bool]", "List[String]"),
    *("List[Bytes]", "List[Timestamp]", "List[Timestamp[s]]", "Vector[2]", "Vector[3]"),
]

# All safe changes; any other change is unsafe.
SAFE = {
    "Int64": {"Float64", "String", "Bytes"},
    "Float32": {"Float64", "String", "Bytes"},
    "Float64": {"String", "Bytes"},
    "Bool": {"Int64", "Float32", "Float64", "String", "Bytes"},
    "String": {"Bytes"},
    "Bytes": set(),
    "Timestamp": {"Int64", "String", "Bytes"},
    "Timestamp[s]": {"String", "Bytes"},
    "List[Int64]": {"List[Float64]", "String", "Bytes"},
    "List[Float32]": {"List[Float64]", "String", "Bytes"},
    "List[Float64]": {"String", "Bytes"},
    "List[Bool]": {"String", "Bytes"},
    "List[String]": {"String", "Bytes"},
    "List[Bytes]": {"String", "Bytes"},
    "List[Timestamp]": {"String", "Bytes"},
    "List[Timestamp[s]]": {"String", "Bytes"},
    "Vector[2]": {"Bytes"},
    "Vector[3]": {"Bytes"},
}


@pytest.mark.parametrize("old", SPELLINGS)
def test_the_table_of_safe_type_changes(old: str) -> None:
    safe = {
        new
        for new in SPELLINGS
        if type_change_is_safe(DataType.parse(old), DataType.parse(new)) and new != old
    }
    assert safe == SAFE[old]
    assert type_change_is_safe(DataType.parse(old), DataType.parse(old))


USER = EntityDefinition("user", (("user_id", "String"),))
AGE = FeatureDefinition("age", DataType.parse("Int64"))
COUNTRY = FeatureDefinition("country", DataType.parse("String"), default="CH")
PROFILE = FeatureViewDefinition("profile", "user", (AGE, COUNTRY), ttl_ms=86_400_000)
RANKING = ServiceDefinition("ranking", (ServiceFeature("profile", "age"),))
BASE = Registry({"user": USER}, {"profile": PROFILE}, {"ranking": RANKING})

Change = Callable[[], Registry]


def entity(**changes: Any) -> Registry:
    return replace(BASE, entities={"user": replace(USER, **changes)})


def view(**changes: Any) -> Registry:
    return replace(BASE, views={"profile": replace(PROFILE, **changes)})


def feature(**changes: Any) -> Registry:
    return view(features=(replace(AGE, **changes), COUNTRY))


def service(**changes: Any) -> Registry:
    return replace(BASE, services={"ranking": replace(RANKING, **changes)})


SOURCE = EventSource("clicks", event_time="at")

SAFE_CHANGES = [
    (
        replace(BASE, entities={**BASE.entities, "item": EntityDefinition("item", ())}),
        "+ entity item",
    ),
    (
        replace(BASE, views={**BASE.views, "more": replace(PROFILE, name="more")}),
        "+ view more: 2 features of user",
    ),
    (
        view(features=(*PROFILE.features, replace(AGE, name="size"))),
        "+ feature profile.size: Int64",
    ),
    (
        replace(BASE, services={**BASE.services, "more": RANKING}),
        "+ service more: 1 feature",
    ),
    (entity(description="a visitor"), '~ entity user: description "" -> "a visitor"'),
    (entity(tags={"a": "b"}), '~ entity user: tags {} -> {"a": "b"}'),
    (view(owner="growth"), '~ view profile: owner "" -> "growth"'),
    (
        view(ttl_ms=172_800_000),
        "~ view profile: ttl 1d -> 2d  (rows expire as before until they are written again)",
    ),
    (
        view(ttl_ms=0),
        "~ view profile: ttl 1d -> never  (rows expire as before until they are written again)",
    ),
    (
        view(ttl_ms=3_600_000),
        "~ view profile: ttl 1d -> 1h  (values older than that are EXPIRED at once)",
    ),
    (view(features=(COUNTRY, AGE)), "~ view profile: order age, country -> country, age"),
    (feature(type=DataType.parse("Float64")), "~ feature profile.age: type Int64 -> Float64"),
    (feature(default=0), "~ feature profile.age: default none -> 0"),
    (
        feature(mapping=count()),
        '~ feature profile.age: mapping none -> {"column": null, "op": "count", "where": {}}'
        "  (values follow at the next load)",
    ),
    (
        feature(mapping=fscore.sum("years", where={"event": "birthday"})),
        '~ feature profile.age: mapping none -> {"column": "years", "op": "sum", '
        '"where": {"event": ["birthday"]}}  (values follow at the next load)',
    ),
    (feature(description="years"), '~ feature profile.age: description "" -> "years"'),
    (
        service(features=(ServiceFeature("profile", "country", "home"), *RANKING.features)),
        "~ service ranking: features profile:age -> profile:country as home, profile:age"
        "  (callers get other columns)",
    ),
    (service(version=2), "~ service ranking: version 1 -> 2"),
]

UNSAFE_CHANGES = [
    (
        entity(join_keys=(("user_id", "Int64"),)),
        "! entity user: join keys user_id: String -> user_id: Int64  "
        "(unsafe: its data stays under the old keys and is not found)",
    ),
    (
        entity(join_keys=(("user_id", "String"), ("shop", "Int64"))),
        "! entity user: join keys user_id: String -> user_id: String, shop: Int64  (unsafe: its",
    ),
    (replace(BASE, entities={}), "! entity user: removed  (unsafe: its data stays in Redis"),
    (replace(BASE, views={}), "! view profile: removed  (unsafe: its data stays in Redis"),
    (view(entity="account"), "! view profile: entity user -> account  (unsafe: its data stays"),
    (view(layout="packed"), "! view profile: layout hash -> packed  (unsafe: its data stays"),
    (view(features=(AGE,)), "! feature profile.country: removed  (unsafe: its data stays in"),
    (
        feature(type=DataType.parse("Bool")),
        "! feature profile.age: type Int64 -> Bool  "
        "(unsafe: what is stored as Int64 does not read as Bool)",
    ),
    (replace(BASE, services={}), "! service ranking: removed  (unsafe: callers that ask for it"),
]


@pytest.mark.parametrize(("new", "line"), SAFE_CHANGES, ids=[line for _, line in SAFE_CHANGES])
def test_safe_changes(new: Registry, line: str) -> None:
    difference = diff(BASE, new)
    assert difference
    assert difference.safe
    assert [str(change) for change in difference.changes if str(change).startswith(line)]
    assert len(difference.changes) == 1


@pytest.mark.parametrize(("new", "line"), UNSAFE_CHANGES, ids=[line for _, line in UNSAFE_CHANGES])
def test_unsafe_changes(new: Registry, line: str) -> None:
    difference = diff(BASE, new)
    assert not difference.safe
    (change,) = difference.unsafe
    assert str(change).startswith(line)
    assert change.reason


def test_a_source_that_changes() -> None:
    difference = diff(BASE, view(source=SOURCE))
    (change,) = difference.changes
    assert (change.what, change.aspect, change.before, change.safe) == (
        *("view", "source", "none", True),
    )
    assert json.loads(change.after) == SOURCE.to_json()


def test_no_change_is_no_difference() -> None:
    difference = diff(BASE, Registry.from_json(BASE.to_json()))
    assert not difference
    assert (str(difference), difference.safe) == ("no changes", True)


def test_everything_is_new_at_first_and_in_order() -> None:
    assert str(diff(Registry(), BASE)) == (
        "+ entity user: user_id: String\n"
        "+ view profile: 2 features of user\n"
        "+ service ranking: 1 feature\n"
        "3 added"
    )


def test_the_summary_counts_the_unsafe_ones() -> None:
    new = view(features=(replace(AGE, type=DataType.parse("Bool")),), owner="growth")
    assert diff(BASE, new).summary() == "1 removed, 2 changed, 2 unsafe"


def test_the_json_has_every_field() -> None:
    data = diff(BASE, feature(default=0)).to_json()
    assert json.loads(json.dumps(data)) == {
        "safe": True,
        "changes": [
            {
                "kind": "changed",
                "what": "feature",
                "path": "profile.age",
                "aspect": "default",
                "before": "none",
                "after": "0",
                "safe": True,
                "reason": "",
            }
        ],
    }
