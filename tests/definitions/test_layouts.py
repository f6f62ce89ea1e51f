"""Class statements of feature views with packed rows, and of features with their own TTL."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fscore import (
    Entity,
    Feature,
    FeatureView,
    Float64,
    InvalidDefinition,
    List,
    Registry,
    String,
)
from fscore.model.fingerprint import fingerprint
from fscore.registry import FeatureDefinition, FeatureViewDefinition, Layout
from fscore.registry.check import whole as registry_check
from fscore.registry.check.views import MAX_PACKED_COLUMNS
from fscore.types import DataType
from tests.definitions.conftest import Problems

user = Entity("user", join_keys={"user_id": String})


class Profile(FeatureView, entity=user, layout="packed", ttl="90d"):
    platform: String
    score: Float64 = Feature(ttl="5m")
    labels: List[String]


def definition(view: type[FeatureView]) -> FeatureViewDefinition:
    """Return the one view that is declared."""
    (found,) = Registry.from_definitions([view]).views.values()
    assert isinstance(found, FeatureViewDefinition)
    return found


def test_layout_and_ttls_reach_the_registry() -> None:
    view = definition(Profile)
    assert (view.layout, view.migrating_from, view.layouts) == ("packed", None, ("packed",))
    assert [feature.ttl_ms for feature in view.features] == [0, 300_000, 0]
    assert view.columns == (
        *(("platform", "String"), ("score", "Float64"), ("labels", "List[String]")),
    )
    registry = Registry.from_definitions([Profile])
    assert Registry.from_json(registry.to_json()).views == registry.views


@pytest.mark.parametrize(
    ("view_ttl", "own", "life"),
    [
        (0, (0, 0), 0),
        (5, (0, 0), 5),
        (5, (9, 0), 9),
        (5, (1, 0), 5),
        (5, (1, 2), 2),
        (0, (1, 0), 0),
        (0, (1, 2), 2),
    ],
)
def test_a_row_lives_as_long_as_any_of_its_values(
    view_ttl: int, own: tuple[int, ...], life: int
) -> None:
    features = tuple(
        FeatureDefinition(f"f{number}", DataType("Int64"), ttl_ms=ttl)
        for number, ttl in enumerate(own)
    )
    assert FeatureViewDefinition("v", "user", features, view_ttl).life_ms == life


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("x: Int64 = Feature(ttl='soon')", "V.x: ttl: 'soon' is not a valid duration: write"),
        ("x: Int64 = Feature(ttl='0s')", "V.x: ttl: '0s' is out of range"),
        ("x: Int64 = Feature(ttl=5)", "V.x: ttl: 5 is not a valid duration"),
    ],
)
def test_a_wrong_ttl_is_reported(problems: Problems, line: str, says: str) -> None:
    found = problems(f"class V(FeatureView, entity=user):\n    {line}\n")
    assert len(found) == 1, found
    assert says in found[0]


def stored(**changes: Any) -> str:
    """Return the JSON of definitions with one view, changed."""
    data = json.loads(Registry.from_definitions([Profile]).to_json())
    data["views"]["profile"] |= changes
    return json.dumps(data)


@pytest.mark.parametrize(("layout", "other"), [("hash", "packed"), ("packed", "hash")])
def test_a_view_that_migrates_is_written_in_both_layouts(layout: str, other: str) -> None:
    registry = Registry.from_json(stored(layout=layout, migrating_from=other))
    view = registry.views["profile"]
    assert isinstance(view, FeatureViewDefinition)
    assert view.layouts == (layout, other)
    assert registry.packed_views == registry.hash_views_of("user") == [view]


@pytest.mark.parametrize("other", ["packed", "rows", 5, ["hash"]])
def test_a_view_migrates_from_the_other_layout(other: Any) -> None:
    with pytest.raises(InvalidDefinition, match="migrating_from must be the other layout or null"):
        Registry.from_json(stored(migrating_from=other))


@pytest.mark.parametrize("ttl", [-1, True, "5m", None, 2**63])
def test_a_stored_ttl_is_a_number_of_milliseconds(ttl: Any) -> None:
    data = json.loads(stored())
    data["views"]["profile"]["features"][1]["ttl_ms"] = ttl
    with pytest.raises(InvalidDefinition, match=r"profile.score: ttl_ms must be between 0"):
        Registry.from_json(json.dumps(data))


def test_the_columns_of_a_packed_row_are_bounded() -> None:
    features = tuple(
        FeatureDefinition(f"f{number}", DataType("Int64"))
        for number in range(MAX_PACKED_COLUMNS + 1)
    )
    entities = Registry.from_definitions([user]).entities
    cases: tuple[tuple[Layout, bool], ...] = (("hash", True), ("packed", False))
    for layout, allowed in cases:
        view = FeatureViewDefinition("wide", "user", features, layout=layout)
        found = [message for _, message in registry_check.check(entities, {"wide": view}, {})]
        assert (found == []) is allowed
        assert allowed or "a packed row holds at most 4,096: split the view" in found[0]


def colliding() -> tuple[str, str]:
    """Return two one-column schemas with the same fingerprint; about 2^16 tries find a pair."""
    known: dict[int, str] = {}
    for number in range(2**20):
        name = f"f{number}"
        other = known.setdefault(fingerprint([(name, "Int64")]), name)
        if other != name:
            return other, name
    raise AssertionError("no two schemas have one fingerprint")


def test_two_schemas_of_one_fingerprint_are_reported() -> None:
    one, other = colliding()
    views = {
        name: FeatureViewDefinition(
            name, "user", (FeatureDefinition(name, DataType("Int64")),), layout="packed"
        )
        for name in (one, other)
    }
    entities = Registry.from_definitions([user]).entities
    ((path, message),) = registry_check.check(entities, views, {})
    assert path == ("views", other)
    assert f"has features with the same fingerprint as the features of {one}, " in message
