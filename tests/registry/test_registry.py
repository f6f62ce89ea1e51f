"""The registry's JSON form: canonical, complete, and refused if it is invalid."""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fscore import (
    Bool,
    Bytes,
    Entity,
    EventSource,
    Feature,
    FeatureService,
    FeatureView,
    Float32,
    Float64,
    Int64,
    InvalidDefinition,
    List,
    Registry,
    String,
    Timestamp,
    Vector,
    count,
    diff,
    latest,
    window,
)
from fscore.registry import (
    LAYOUTS,
    EntityDefinition,
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    PayloadField,
    SeriesViewDefinition,
    ServiceDefinition,
    ViewDefinition,
)
from fscore.registry import ServiceFeature as Item
from fscore.types import SCALARS, DataType

user = Entity("user", join_keys={"user_id": String})
affinity = Entity("affinity", join_keys={"user_id": String, "product_id": Int64})
clicks = EventSource("clicks", event_time="at", timestamp_format="unix", keys={"user_id": "uid"})


class Everything(FeatureView, entity=user, source=clicks, ttl="1h"):
    whole: Int64 = Feature(count(where={"event": ["a", None]}), default=-1)
    single: Float32 = Feature(default=math.inf)
    double: Float64 = Feature(default=0.1)
    flag: Bool = Feature(default=False)
    text: String = Feature(latest("text"), default="ü")
    raw: Bytes = Feature(default=b"\x00\xff")
    moment: Timestamp = Feature(default=dt.datetime(2024, 1, 1, tzinfo=dt.UTC))
    second: Timestamp[Literal["s"]]
    several: List[Bytes] = Feature(default=[b"\xff"])
    vector: Vector[Literal[2]] = Feature(default=[1, 2])


class Pairs(FeatureView, entity=affinity):
    score: Float64


service = FeatureService("ranking", features=[Pairs.score.alias("affinity"), Everything])
registry = Registry.from_definitions([service])


def test_the_json_reads_back_as_the_same_registry() -> None:
    text = registry.to_json()
    again = Registry.from_json(text)
    assert again == registry
    assert again.to_json() == text
    assert again.digest == registry.digest
    assert Registry.from_json(text.encode()) == registry
    assert again.views["everything"].features[0].mapping == count(where={"event": ["a", None]})


def test_the_json_is_canonical() -> None:
    text = registry.to_json()
    data = json.loads(text)
    assert text == json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert list(registry.entities) == ["affinity", "user"]
    assert Registry.from_definitions([Pairs, service, user]).to_json() == text


def test_the_json_has_the_documented_form() -> None:
    small = Registry.from_definitions([FeatureService("s", features=[Pairs.score.alias("x")])])
    assert json.loads(small.to_json()) == {
        "format": 1,
        "entities": {
            "affinity": {
                "join_keys": [["user_id", "String"], ["product_id", "Int64"]],
                "description": "",
                "tags": {},
            }
        },
        "views": {
            "pairs": {
                "kind": "features",
                "entity": "affinity",
                "ttl_ms": 0,
                "owner": "",
                "description": "",
                "tags": {},
                "layout": "hash",
                "migrating_from": None,
                "source": None,
                "features": [
                    {
                        "name": "score",
                        "type": "Float64",
                        "default": None,
                        "description": "",
                        "tags": {},
                        "mapping": None,
                        "ttl_ms": 0,
                    }
                ],
            }
        },
        "services": {
            "s": {
                "features": [{"view": "pairs", "feature": "score", "alias": "x"}],
                "version": 1,
                "description": "",
                "owner": "",
                "tags": {},
            }
        },
    }


def test_defaults_are_written_as_json_can_hold_them() -> None:
    view = json.loads(registry.to_json())["views"]["everything"]
    defaults = {feature["name"]: feature["default"] for feature in view["features"]}
    assert defaults == {
        "whole": -1,
        "single": "inf",
        "double": 0.1,
        "flag": False,
        "text": "ü",
        "raw": "AP8=",
        "moment": 1_704_067_200_000,
        "second": None,
        "several": ["/w=="],
        "vector": [1.0, 2.0],
    }


def test_a_default_of_nan_equals_itself() -> None:
    class Nan(FeatureView, entity=user):
        score: Float64 = Feature(default=math.nan)

    with_nan = Registry.from_definitions([Nan])
    again = Registry.from_json(with_nan.to_json())
    assert again == with_nan
    assert hash(again) == hash(with_nan)
    assert not diff(with_nan, again)
    assert with_nan != registry
    assert with_nan != "registry"


def test_an_empty_registry_has_a_form_too() -> None:
    assert Registry.from_json(Registry().to_json()) == Registry()


def test_the_digest_is_that_of_the_text() -> None:
    assert len(registry.digest) == 64
    assert registry.digest != Registry().digest


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,12}", fullmatch=True)
TYPES = st.sampled_from([*SCALARS, "Timestamp[s]", "List[String]", "Vector[8]"]).map(DataType.parse)
WINDOWS = st.sampled_from([None, "30m", "24h", "30d"])
TAGS = st.dictionaries(st.text(), st.text(), max_size=2)


@st.composite
def feature_views(
    draw: st.DrawFn, name: str, entity: EntityDefinition, first: str
) -> ViewDefinition:
    features = tuple(
        FeatureDefinition(
            f"{first}_{number}",
            draw(TYPES),
            description=draw(st.text()),
            ttl_ms=draw(st.integers(0, 10**9)),
        )
        for number in range(draw(st.integers(1, 4)))
    )
    layout, other = draw(st.permutations(LAYOUTS))
    return FeatureViewDefinition(
        *(name, entity.name, features, draw(st.integers(0, 10**9)), layout),
        migrating_from=draw(st.sampled_from([None, other])),
    )


@st.composite
def series_views(
    draw: st.DrawFn, name: str, entity: EntityDefinition, first: str
) -> ViewDefinition:
    kinds = draw(st.lists(st.sampled_from(SCALARS), max_size=3))
    payload = tuple(
        PayloadField(f"p{number}", DataType.parse(kind), draw(st.text(min_size=1)))
        for number, kind in enumerate(kinds)
    )
    functions = [(window.count(draw(WINDOWS)), "Int64"), (window.session_length("1h"), "Int64")]
    for part in payload:
        functions.append((window.last(draw(st.integers(1, 99)), part.name), f"List[{part.type}]"))
        functions.append((window.distinct(part.name, draw(WINDOWS)), "Int64"))
        if part.type.kind in ("Int64", "Float32", "Float64"):
            functions.append((window.max(part.name, draw(WINDOWS)), str(part.type)))
    features = tuple(
        FeatureDefinition(f"{first}_{number}", DataType.parse(kind), window=function)
        for number, (function, kind) in enumerate(functions)
    )
    tile_ms = draw(st.sampled_from([0, 3_600_000, 86_400_000]))
    return SeriesViewDefinition(
        *(name, entity.name, features, payload),
        retention_ms=draw(st.sampled_from([0, 90 * 86_400_000])),
        max_events=draw(st.integers(99, 10**6)),
        repeats="count" if tile_ms else draw(st.sampled_from(["count", "collapse"])),
        tile_ms=tile_ms,
    )


@st.composite
def flag_views(draw: st.DrawFn, name: str, entity: EntityDefinition, first: str) -> ViewDefinition:
    features = tuple(
        FeatureDefinition(f"{first}_{number}", DataType.parse("Bool"))
        for number in range(draw(st.integers(1, 3)))
    )
    ids = None if entity.join_keys[0][1] == "Int64" else draw(st.sampled_from(["%d", "u_%04d"]))
    return FlagViewDefinition(name, entity.name, features, ids)


@st.composite
def registries(draw: st.DrawFn) -> Registry:
    """Return a strategy for valid registries, including defaults and mappings."""
    entities = {}
    for name in draw(st.sets(NAMES, min_size=1, max_size=3)):
        kind = draw(st.sampled_from(["Int64", "String"]))
        keys = ((f"{name}_id", kind), ("shop", "Int64"))[: draw(st.integers(1, 2))]
        entities[name] = EntityDefinition(name, keys, draw(st.text()), draw(TAGS))
    views: dict[str, ViewDefinition] = {}
    for number, name in enumerate(sorted(draw(st.sets(NAMES, min_size=1, max_size=4)))):
        entity = draw(st.sampled_from(sorted(entities)))
        kinds = [feature_views, series_views]
        if name in entities:
            kinds.remove(series_views)
        if len(entities[entity].join_keys) == 1:
            kinds.append(flag_views)
        view = draw(draw(st.sampled_from(kinds))(name, entities[entity], f"f{number}"))
        views[name] = replace(view, description=draw(st.text()), tags=draw(TAGS))
    services = {}
    for name in draw(st.sets(NAMES, max_size=2)):
        items = tuple(
            Item(view.name, feature.name)
            for view in draw(st.permutations(list(views.values())))
            for feature in view.features
        )
        services[name] = ServiceDefinition(name, items, draw(st.integers(1, 2**63 - 1)))
    parts = (dict(sorted(part.items())) for part in (entities, views, services))
    return Registry(*parts)  # type: ignore[arg-type]


@given(registries())
def test_any_registry_survives_its_json(any_registry: Registry) -> None:
    text = any_registry.to_json()
    assert Registry.from_json(text) == any_registry
    assert Registry.from_json(text).to_json() == text


def at(*path: Any, value: Any) -> Callable[[Any], None]:
    """Return a function that sets the value at a path of the JSON."""

    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = value

    return change


def without(*path: Any) -> Callable[[Any], None]:
    """Return a function that removes a path of the JSON."""

    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return change


FIRST = ("views", "everything", "features", 0)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (at("format", value=2), "has format 2, and this version of fscore reads 1: upgrade"),
        (without("format"), "has format None"),
        (without("views"), "views: must be an object, not None"),
        (at("entities", value=[]), "entities: must be an object, not []"),
        (without("entities", "user", "join_keys"), "entities.user: 'join_keys' is missing"),
        (at("entities", "user", value=3), "entities.user: "),
        (at("entities", "user", "join_keys", value=[["a"]]), "entities.user: "),
        (at("entities", "user", "join_keys", 0, 1, value="Bool"), "must be Int64 or String"),
        (at("entities", "user", "description", value=1), "description must be text, not 1"),
        (at("views", "everything", "entity", value="usr"), "is of entity 'usr', which is not"),
        (
            at("views", "everything", "layout", value="x"),
            "layout must be one of hash, packed, not 'x'",
        ),
        (at("views", "everything", "ttl_ms", value=-1), "ttl_ms must be between 0"),
        (at("views", "everything", "ttl_ms", value=True), "ttl_ms must be between 0"),
        (at("views", "everything", "source", "kind", value="x"), "views.everything: a source has"),
        (at("views", "everything", "source", "keys", value=[]), "keys must be a dict"),
        (at("views", "everything", "tags", value={"a": 1}), "tags must be a dict of text to text"),
        (at("views", "everything", "features", value=[]), "has no features"),
        (at(*FIRST, "type", value="Int"), "views.everything: 'Int' is not a feature type"),
        (at(*FIRST, "type", value=None), "views.everything: "),
        (at(*FIRST, "default", value="x"), "views.everything: 'x' is not of type Int64"),
        (
            at(*FIRST, "name", value="_ts:x"),
            "views.everything._ts:x: '_ts:x' is not a valid name for",
        ),
        (at(*FIRST, "name", value="text"), "views.everything.text: is declared twice"),
        (at(*FIRST, "mapping", "op", value="x"), "views.everything.whole: 'x' is not an operation"),
        (without(*FIRST, "mapping", "where"), "a mapping has op, column and where"),
        (at("services", "ranking", "features", 0, "view", value="x"), "there is no view 'x'"),
        (
            at("services", "ranking", "features", 0, "feature", value="x"),
            "which the view does not have",
        ),
        (at("services", "ranking", "version", value="1"), "version must be a positive integer"),
        (at("services", "ranking", "version", value=2**63), "version must be a positive integer"),
    ],
)
def test_other_json_is_refused_and_says_where(change: Callable[[Any], None], says: str) -> None:
    data = copy.deepcopy(json.loads(registry.to_json()))
    change(data)
    with pytest.raises(InvalidDefinition) as caught:
        Registry.from_json(json.dumps(data))
    assert says in str(caught.value)


def test_text_that_is_not_unicode_is_refused() -> None:
    class Odd(FeatureView, entity=user, owner="x\ud800"):
        age: Int64

    with pytest.raises(InvalidDefinition, match=r"not Unicode, at the end of '.*x\\ud800'"):
        Registry.from_definitions([Odd])
    text = registry.to_json().replace('"owner":""', '"owner":"\\ud800"')
    with pytest.raises(InvalidDefinition, match="not Unicode"):
        Registry.from_json(text)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "[]", "null", b"\xff", "1"])
def test_anything_but_a_registry_is_refused(text: str | bytes) -> None:
    with pytest.raises(InvalidDefinition, match=r"is not valid JSON|has format None"):
        Registry.from_json(text)
