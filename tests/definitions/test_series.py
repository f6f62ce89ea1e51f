"""Class statements of series: what they mean, and the errors for wrong ones."""

from __future__ import annotations

import datetime as dt
from typing import Literal

import pytest

from fscore import (
    Entity,
    EventSource,
    Feature,
    FeatureService,
    Float32,
    Float64,
    Int64,
    List,
    Payload,
    Registry,
    SeriesView,
    String,
    Timestamp,
    window,
)
from fscore.registry import PayloadField, SeriesViewDefinition
from fscore.types import DataType
from tests.definitions.conftest import Problems

user = Entity("user", join_keys={"user_id": String})
clickstream = EventSource("clickstream", event_time="timestamp")


class Clicks(
    SeriesView,
    entity=user,
    source=clickstream,
    where={"event": ["view", "click"]},
    retention="30d",
    max_events=10_000,
    event_id="uuid",
    tile="1h",
    tile_retention="90d",
    owner="growth",
    description="what was looked at",
    tags={"tier": "1"},
):
    session_id: String = Payload("session")
    price: Float64 = Payload()
    items: Int64 = Payload()
    weight: Float32 = Payload()
    shown: Timestamp[Literal["s"]] = Payload()

    last_5: List[String] = window.last(5, "session_id")
    last_5_times: List[Timestamp] = window.last_times(5)
    shown_last: List[Timestamp[Literal["s"]]] = window.last(2, "shown")
    clicks_30m: Int64 = window.count("30m")
    clicks: Float64 = window.count()
    spent_90d: Float64 = window.sum("price", "90d")
    items_7d: Int64 = Feature(window.sum("items", "7d"), default=0, description="in a week")
    items_mean: Float64 = window.mean("items", dt.timedelta(days=7))
    lightest: Float32 = window.min("weight", "all")
    newest_shown: Timestamp[Literal["s"]] = window.max("shown", "1h")
    sessions_24h: Int64 = window.distinct("session_id", "24h")
    since_click: Int64 = window.time_since_last()
    time_on_site: Int64 = window.session_length(gap="30m")


def definition(view: type[SeriesView]) -> SeriesViewDefinition:
    """Return the one view that is declared."""
    (found,) = Registry.from_definitions([view]).views.values()
    assert isinstance(found, SeriesViewDefinition)
    return found


def test_everything_of_a_series_reaches_the_registry() -> None:
    view = definition(Clicks)
    day = 86_400_000
    assert (view.name, view.entity, view.owner, view.tags) == (
        *("clicks", "user", "growth", {"tier": "1"}),
    )
    assert (view.source, view.where) == (clickstream, {"event": ("click", "view")})
    assert (view.retention_ms, view.max_events, view.tile_ms, view.tile_retention_ms) == (
        *(30 * day, 10_000, 3_600_000, 90 * day),
    )
    assert (view.repeats, view.event_id) == ("count", "uuid")
    assert view.payload[:2] == (
        PayloadField("session_id", DataType("String"), "session"),
        PayloadField("price", DataType("Float64"), "price"),
    )
    assert view.columns[-1] == ("shown", "Timestamp[s]")
    windows = {feature.name: feature.window for feature in view.features}
    assert windows["last_5"] == window.last(5, "session_id")
    assert windows["time_on_site"] == window.session_length("30m")
    assert windows["items_7d"] == window.sum("items", "7d")
    assert windows["lightest"] == window.min("weight")
    items = view.feature("items_7d")
    assert items is not None
    assert (items.default, items.description) == (0, "in a week")


def test_a_registry_with_series_survives_its_json() -> None:
    registry = Registry.from_definitions([Clicks])
    again = Registry.from_json(registry.to_json())
    assert again == registry
    assert again.views["clicks"] == registry.views["clicks"]


def test_features_of_a_series_are_references_and_payload_fields_are_not() -> None:
    assert isinstance(Clicks.last_5, List)
    assert str(Clicks.shown_last.data_type) == "List[Timestamp[s]]"
    service = FeatureService("s", features=[Clicks])
    assert [reference.name for reference in service.features][:3] == [
        *("last_5", "last_5_times", "shown_last"),
    ]
    with pytest.raises(AttributeError, match="Clicks has no feature 'price'"):
        Clicks.price  # noqa: B018


def test_what_is_left_out_is_kept_for_ever() -> None:
    class Visits(SeriesView, entity=user):
        visits: Int64 = window.count()

    view = definition(Visits)
    assert (view.payload, view.where, view.source) == ((), {}, None)
    assert (view.retention_ms, view.max_events, view.tile_ms, view.tile_retention_ms) == (0,) * 4


def test_tiles_are_kept_as_long_as_events_unless_said_otherwise() -> None:
    class Visits(SeriesView, entity=user, retention="7d", tile="1h"):
        visits: Int64 = window.count("1d")

    assert definition(Visits).tile_retention_ms == definition(Visits).retention_ms


def test_tiles_are_read_if_a_whole_one_is_certain_to_be_in_the_window() -> None:
    class Visits(SeriesView, entity=user, retention="7d", tile="1h", tile_retention="30d"):
        page: String = Payload()
        amount: Float64 = Payload()
        other: Int64 = Payload()
        short: Int64 = window.count("119m")
        two: Int64 = window.count("2h")
        retained: Float64 = window.sum("amount")
        month: Float64 = window.max("amount", "30d")
        pages: Int64 = window.distinct("page", "7d")
        last: List[String] = window.last(3, "page")
        small: Int64 = window.sum("other", "1h")

    view = definition(Visits)
    assert {feature.name: view.tiles(feature.window) for feature in view.features} == {
        "short": "none",
        "two": "exact",
        "retained": "exact",
        "month": "granular",
        "pages": "none",
        "last": "none",
        "small": "none",
    }
    assert view.tile_fields == ("amount",)


def test_without_tiles_none_are_read() -> None:
    class Visits(SeriesView, entity=user):
        visits: Int64 = window.count("30d")

    view = definition(Visits)
    assert [view.tiles(feature.window) for feature in view.features] == ["none"]


STATEMENTS = [
    ("", "x: Int64", "V.x: is neither a feature, like = window.count("),
    ("", "x: Int64 = 5", "V.x: is assigned 5: a default is written x: Int64 = Feature(default=5)"),
    ("", "x: Int64 = Feature(default=5)", "V.x: is neither a feature, like = window.count("),
    ("", "x: Int64 = Feature(count())", "the first argument of Feature() is a window function"),
    ("", "x: Int64 = count()", "a feature of a SeriesView follows from a window function like"),
    ("", "x: Int64 = Feature(window.count(), ttl='1d')", "V.x: has a ttl, which features of a Ser"),
    ("", "y: Int64 = window.count()\n    x = window.count()", "V.x: has no type: write x: <type>"),
    ("", "x: Int64 = Payload()", "V: has no features"),
    ("", "x: Int64 = window.count('soon')", "V.x: window: 'soon' is not a valid duration"),
    ("", "x: Int64 = window.session_length('soon')", "V.x: gap: 'soon' is not a valid duration"),
    ("", "x: Int64 = window.session_length(None)", "needs the pause that ends a session"),
    ("", "x: String = window.count()", "window.count() is Int64 or Float64, not String: change"),
    (
        "",
        "x: Float64 = window.mean('price')",
        "window.mean() reads payload field 'price', which the",
    ),
    ("", "x: List[Timestamp] = window.last_times(0)", "lists 1 to 10,000 events, not 0"),
    ("", "x: List[Timestamp] = window.last_times('5')", "lists 1 to 10,000 events, not '5'"),
    ("", "x: Int64 = window.last_times(5)", "is List[Timestamp], not Int64: change the annotation"),
    ("", "x: Float64 = window.time_since_last()", "window.time_since_last() is Int64, not Float64"),
    (
        "retention='a month'",
        "x: Int64 = window.count()",
        "V: retention: 'a month' is not a valid duration",
    ),
    ("tile='x'", "x: Int64 = window.count()", "V: tile: 'x' is not a valid duration"),
    ("max_events=0", "x: Int64 = window.count()", "V: max_events must be a positive integer"),
    ("max_events=-1", "x: Int64 = window.count()", "V: max_events must be a positive integer"),
    ("max_events='9'", "x: Int64 = window.count()", "V: max_events must be a positive integer"),
    ("repeats='drop'", "x: Int64 = window.count()", "V: repeats must be one of count, collapse"),
    ("event_id=5", "x: Int64 = window.count()", "V: event_id must name a column, not 5"),
    (
        "event_id='id', repeats='collapse'",
        "x: Int64 = window.count()",
        "V: event_id tells repeats apart, which",
    ),
    ("where={'a': 'b'}", "x: Int64 = window.count()", "V: where selects rows of a source, and the"),
    ("where={'a': []}", "x: Int64 = window.count()", "V: where['a'] lists no value"),
    ("where=5", "x: Int64 = window.count()", "V: where must be a dict of column to value"),
    ("ttl='1d'", "x: Int64 = window.count()", "V: unknown argument ttl: a SeriesView takes ent"),
    (
        "name='user'",
        "x: Int64 = window.count()",
        "V: is a series whose keys would begin with user:, ",
    ),
    ("name='flag'", "x: Int64 = window.count()", "as the keys of other keys do: rename it"),
    (
        "retention='1d'",
        "x: Int64 = window.count('7d')",
        "V.x: looks back 7d, and events are kept for 1d: raise retention, or give the view tile=",
    ),
    (
        "retention='1d', tile='1h', tile_retention='30d'",
        "y: String = Payload()\n    x: Int64 = window.distinct('y', '7d')",
        "V.x: looks back 7d, and events are kept for 1d: raise retention",
    ),
    (
        "retention='1d', tile='1h', tile_retention='3d'",
        "x: Int64 = window.count('7d')",
        "V.x: looks back 7d, and tiles are kept for 3d: raise tile_retention",
    ),
    (
        "retention='1d', tile='1h', tile_retention='30d'",
        "x: Int64 = window.count('1501m')",
        "V.x: is read in whole tiles, and 1501m is not a multiple of 1h",
    ),
    (
        "tile='1s'",
        "x: Int64 = window.count('1d')",
        "V.x: takes 86,400 tiles to read, more than 10,000: make the tile longer",
    ),
    ("max_events=3", "x: List[Timestamp] = window.last_times(5)", "max_events keeps 3: raise it"),
    ("tile='7m'", "x: Int64 = window.count()", "V: tile must divide a day or be whole days"),
    ("tile='36h'", "x: Int64 = window.count()", "V: tile must divide a day or be whole days"),
    ("tile='1d', retention='1h'", "x: Int64 = window.count()", "V: tile is 1d, longer than the ev"),
    ("tile='1h', repeats='collapse'", "x: Int64 = window.count()", "V: tiles add up events, and"),
    ("tile_retention='1h'", "x: Int64 = window.count()", "V: tile_retention needs tiles: "),
]


@pytest.mark.parametrize(("options", "body", "says"), STATEMENTS)
def test_a_wrong_series_is_reported_with_file_class_and_field(
    problems: Problems, options: str, body: str, says: str
) -> None:
    found = problems(f"class V(SeriesView, entity=user, {options}):\n    {body}\n")
    assert len(found) == 1, found
    assert found[0].startswith("features.py:6: V")
    assert says in found[0]


PAYLOADS = [
    ("price: Float64 = Payload(5)", "V.price: Payload() needs the name of a column, not 5"),
    ("price: List[Int64] = Payload()", "V.price: a payload field has one of the types Int64,"),
    ("user_id: String = Payload()", "V.user_id: is also a join key of entity user"),
    ("event_time: Timestamp = Payload()", "V.event_time: has a name that rows use beside"),
    ("event_id: String = Payload()", "V.event_id: has a name that rows use beside"),
    ("größe: Int64 = Payload()", "V.größe: 'größe' is not a valid name for a payload field"),
    ("price = Payload()", "V.price: has no type: write price: <type>"),
]


@pytest.mark.parametrize(("line", "says"), PAYLOADS)
def test_a_wrong_payload_field_is_reported(problems: Problems, line: str, says: str) -> None:
    found = problems(
        f"class V(SeriesView, entity=user):\n    {line}\n    n: Int64 = window.count()\n"
    )
    assert len(found) == 1, found
    assert says in found[0]


FIELDS = [
    ("Float64", "Int64", "sum('f')", "window.sum() of f (Float64) is Float64, not Int64"),
    ("Int64", "Float32", "sum('f')", "is Int64 or Float64, not Float32: change the annotation"),
    (
        "String",
        "Float64",
        "sum('f')",
        "window.sum() cannot read f (String): the field must be",
    ),
    ("Timestamp", "Float64", "mean('f')", "window.mean() cannot read f (Timestamp)"),
    ("Int64", "Int64", "mean('f')", "window.mean() of f (Int64) is Float64, not Int64"),
    ("Int64", "Float64", "min('f')", "window.min() of f (Int64) is Int64, not Float64"),
    ("String", "String", "max('f')", "window.max() cannot read f (String)"),
    ("String", "Float64", "distinct('f')", "window.distinct() of f (String) is Int64, not Fl"),
    ("String", "String", "last(3, 'f')", "window.last() of f (String) is List[String], not Str"),
    ("String", "List[Int64]", "last(3, 'f')", "is List[String], not List[Int64]"),
    ("String", "Int64", "distinct('g')", "which the view does not have; its payload is f"),
    ("String", "Int64", "distinct(5)", "window.distinct() reads payload field 5, which"),
]


@pytest.mark.parametrize(("field", "feature", "function", "says"), FIELDS)
def test_types_are_checked_against_the_payload(
    problems: Problems, field: str, feature: str, function: str, says: str
) -> None:
    found = problems(
        "class V(SeriesView, entity=user):\n"
        f"    f: {field} = Payload()\n    x: {feature} = window.{function}\n"
    )
    assert len(found) == 1, found
    assert found[0].startswith("features.py:6: V.x: ")
    assert says in found[0]


def test_a_misspelled_payload_field_says_which_is_meant(problems: Problems) -> None:
    found = problems("""\
    class V(SeriesView, entity=user):
        price: Float64 = Payload()
        spent: Float64 = window.sum("prise")
    """)
    assert found == [
        "features.py:6: V.spent: window.sum() reads payload field 'prise', which the view does not "
        "have; did you mean price?"
    ]


def test_a_payload_field_without_a_type_is_reported_once(problems: Problems) -> None:
    found = problems("""\
    class V(SeriesView, entity=user):
        price: float = Payload()
        spent: Float64 = window.sum("price")
        dearest: Float64 = window.max("price")
    """)
    assert found == [
        "features.py:6: V.price: float is not a feature type: write Float64 (or Float32)"
    ]


def test_everything_wrong_is_reported_at_once(problems: Problems) -> None:
    found = problems("""\
    class V(SeriesView, entity=user, retention="soon", repeats="never", tll="1d"):
        price: float = Payload()
        total: String = window.sum("prise")
        number: String = window.count()
        nothing: Int64
    class W(FeatureView, entity=user):
        number: Int64
    """)
    assert sorted(problem.partition(": ")[2].partition(":")[0] for problem in found) == [
        *("V", "V", "V", "V.nothing", "V.number", "V.price", "V.total", "W.number"),
    ]
