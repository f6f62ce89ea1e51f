"""Pushed events of a source: which views they fill, which shapes are accepted, what is refused."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import fscore
from fscore import (
    Bool,
    Entity,
    EventSource,
    Feature,
    FeatureView,
    FlagView,
    Float64,
    Int64,
    InvalidKeys,
    InvalidValue,
    List,
    Payload,
    Registry,
    SeriesView,
    SourceNotFound,
    Status,
    String,
    Timestamp,
    count,
    ever,
    latest,
    mean,
    window,
)

user = Entity("user", join_keys={"user_id": Int64})
shelf = Entity("shelf", join_keys={"shop": String, "row": Int64})
sales = EventSource("sales", event_time="at", keys={"user_id": "buyer", "row": "shelf_row"})
manual = EventSource("manual", event_time="at")


class Buyer(FeatureView, entity=user, source=sales):
    country: String = latest("country")
    paid: Float64 = latest("amount")
    due: Timestamp = latest("due")


class Purchases(SeriesView, entity=user, source=sales, where={"kind": ["buy", "gift"]}):
    amount: Float64 = Payload()
    due: Timestamp = Payload()
    paid_ever: Float64 = window.sum("amount")
    purchases: Int64 = window.count()
    last_due: List[Timestamp] = window.last(3, "due")


class Parcels(SeriesView, entity=user, source=sales, where={"kind": "ship"}, event_id="parcel"):
    parcels: Int64 = window.count()


class ShelfSales(SeriesView, entity=shelf, source=sales, where={"kind": "buy"}):
    sold: Int64 = window.count()


class Marks(FlagView, entity=user, source=sales):
    has_bought: Bool = Feature(ever(where={"kind": "buy"}))
    has_big: Bool = Feature(ever(where={"big": True}))
    is_blocked: Bool


class Totals(FeatureView, entity=user, source=sales):
    events: Int64 = Feature(count())


class Amounts(FeatureView, entity=user, source=sales):
    paid_total: Float64 = Feature(fscore.sum("amount"))


class Means(FeatureView, entity=user, source=sales):
    paid_mean: Float64 = Feature(mean("amount"))


class Country(FeatureView, entity=user, source=sales):
    bought_in: String = latest("country", where={"kind": "buy"})


class Scored(FeatureView, entity=user, source=sales):
    place: String = latest("country")
    score: Float64


class Counted(FeatureView, entity=user, source=manual):
    seen: Int64 = Feature(count())


VIEWS = [
    *(Buyer, Purchases, Parcels, ShelfSales, Marks, Totals, Amounts, Means, Country, Scored),
    Counted,
]
REGISTRY = Registry.from_definitions(VIEWS)
DAY = 1_704_067_200_000
BASE = {"buyer": 1, "shop": "s", "shelf_row": 2, "kind": "buy", "at": "2024-01-01", "big": False}


def event(**columns: Any) -> dict[str, Any]:
    full = {"country": None, "amount": None, "due": None, "parcel": None, **BASE}
    return full | columns


@pytest.fixture
def client(client: Any) -> Any:
    """A client whose server has these definitions."""
    client.apply(REGISTRY, allow_unsafe=True)
    return client


def features(client: Any, user_id: int = 1) -> dict[str, Any]:
    table = client.prepare(entity="user").get([user_id])
    row: dict[str, Any] = table.to_dicts()[0]
    return row


def test_events_reach_every_view_that_they_fill(client: Any) -> None:
    events = [
        event(at="2024-01-01", country="NZ", amount=1.5, due="2024-02-01T00:00:00Z"),
        event(at="2024-01-02T10:00:00+10:00", kind="gift", amount=2, big=True),
        event(at="2024-01-03", kind="ship", parcel="p1"),
        event(at="2024-01-03", kind="ship", parcel=2),
        event(at="2024-01-03", kind="view", buyer=7, shelf_row=3, country="FR"),
    ]
    result = client.push("sales", events)
    assert result.events == 5
    assert {view: found.rows for view, found in result.views.items()} == {
        "buyer": 3,
        "marks": 1,
        "parcels": 2,
        "purchases": 2,
        "shelf_sales": 1,
    }
    assert result.left_out == {
        "totals": "events is count() over all events, which only a load sees",
        "amounts": "paid_total is sum() over all events, which only a load sees",
        "means": "paid_mean is mean() over all events, which only a load sees",
        "country": "bought_in is latest() of some events, and a row is the newest of all",
        "scored": "score does not follow from events, and a row is written whole",
    }
    found = features(client)
    expected = {
        "country": None,
        "paid": None,
        "due": None,
        "paid_ever": 3.5,
        "purchases": 2,
        "last_due": [1_706_745_600_000],
        "parcels": 2,
        "has_bought": True,
        "has_big": True,
        "is_blocked": False,
    }
    assert {name: found[name] for name in expected} == expected
    assert features(client, 7)["country"] == "FR"
    assert features(client, 7)["has_bought"] is False
    sold = client.prepare(entity="shelf").get({"shop": ["s", "s"], "row": [2, 3]})
    assert sold.column("sold").tolist() == [1, 0]


def test_pushing_again_or_in_another_order_changes_nothing(client: Any) -> None:
    events = [
        event(at=f"2024-01-{day:02}", amount=float(day), country=f"C{day}", buyer=day % 3)
        for day in range(1, 25)
    ]
    client.push("sales", events)
    first = [features(client, number) for number in range(3)]
    again = client.push("sales", list(reversed(events)))
    assert {view: found.unchanged for view, found in again.views.items()} == {
        "buyer": 3,
        "marks": 0,
        "parcels": 0,
        "purchases": 24,
        "shelf_sales": 24,
    }
    for single in events:
        client.push("sales", [single])
    assert [features(client, number) for number in range(3)] == first
    assert first[0]["country"] == "C24"


def test_the_newest_event_is_the_row_whole(client: Any) -> None:
    client.push("sales", [event(at="2024-01-01", country="NZ", amount=1.0)])
    client.push("sales", [event(at="2024-01-02", country="FR")])
    client.push("sales", [event(at="2023-12-31", country="DE", amount=9.0)])
    table = client.prepare(features=["country", "paid"]).get([1])
    assert table.to_dicts() == [{"country": "FR", "paid": None}]
    assert table.statuses.tolist() == [[Status.PRESENT, Status.NULL]]
    assert table.event_times[0, 0] == np.datetime64("2024-01-02", "ms")


def test_of_events_with_equal_times_the_greatest_text_stays(client: Any) -> None:
    client.push("sales", [event(country="FR", amount=1.0), event(country="NZ"), event(country="")])
    assert features(client)["country"] == "NZ"
    assert features(client)["paid"] == 1.0


TIME = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
EVENTS = [
    {**BASE, "at": TIME, "country": "NZ", "amount": 0.5, "due": TIME, "parcel": "a"},
    {
        **BASE,
        "at": TIME,
        "kind": "ship",
        "buyer": 2,
        "country": "FR",
        "amount": 3.0,
        "due": TIME,
    }
    | {"parcel": "b"},
]
COLUMNS = {name: [event[name] for event in EVENTS] for name in EVENTS[0]}


def structured() -> np.ndarray:
    kinds: list[Any] = [(name, np.asarray(values).dtype) for name, values in COLUMNS.items()]
    kinds = [(name, "M8[s]" if kind.kind == "O" else kind) for name, kind in kinds]
    rows = [
        tuple(
            np.datetime64(value.replace(tzinfo=None)) if isinstance(value, dt.datetime) else value
            for value in event.values()
        )
        for event in EVENTS
    ]
    return np.array(rows, dtype=kinds)


SHAPES: dict[str, Any] = {
    "dicts": lambda: EVENTS,
    "a tuple of dicts": lambda: tuple(EVENTS),
    "columns": lambda: COLUMNS,
    "arrays": lambda: {name: structured()[name] for name in COLUMNS},
    "a structured array": structured,
    "an Arrow table": lambda: pa.Table.from_pylist(EVENTS),
    "a record batch": lambda: pa.RecordBatch.from_pylist(EVENTS),
    "dictionary-encoded": lambda: pa.Table.from_pylist(EVENTS).set_column(
        3, "kind", pa.array(COLUMNS["kind"]).dictionary_encode()
    ),
    "a Polars frame": lambda: pl.DataFrame(EVENTS),
    "a Polars frame of categories": lambda: pl.DataFrame(EVENTS).cast(
        {"kind": pl.Categorical, "at": pl.Datetime("us"), "buyer": pl.Int32, "amount": pl.Float32}
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_events_come_in_many_shapes(client: Any, shape: str) -> None:
    client.push("sales", SHAPES[shape]())
    found = features(client)
    assert (found["country"], found["paid"], found["due"]) == ("NZ", 0.5, DAY)
    assert (found["paid_ever"], found["purchases"], found["last_due"]) == (0.5, 1, [DAY])
    assert (found["has_bought"], found["has_big"], found["parcels"]) == (True, False, 0)
    other = features(client, 2)
    assert (other["country"], other["parcels"], other["purchases"]) == ("FR", 1, 0)


def test_dicts_may_leave_out_what_is_null_and_bring_more(client: Any) -> None:
    client.push("sales", [{**BASE, "colour": "red"}])
    assert features(client)["purchases"] == 1
    assert features(client)["paid_ever"] == 0.0


def test_a_push_without_events_is_not_an_error(client: Any) -> None:
    result = client.push("sales", [])
    assert result.events == 0
    assert {view.rows for view in result.views.values()} == {0}


WRONG: dict[str, tuple[Any, type[Any], str, str | None, int | None]] = {
    "a value of another type": (
        [event(), event(amount="12")],
        InvalidValue,
        "event 1 of sales: buyer:paid must be Float64, not str; column amount",
        "amount",
        1,
    ),
    "a value that only a later view reads": (
        [event(kind="view"), event(kind="ship"), event(kind="ship", parcel=1.5)],
        InvalidValue,
        "event 2 of sales: parcel is 1.5; expected text or an integer",
        "parcel",
        2,
    ),
    "a text that is not a time": (
        [event(), event(at="yesterday")],
        InvalidValue,
        "event 1 of sales: at is 'yesterday'; expected a time in ISO 8601",
        "at",
        1,
    ),
    "a number if times are text": (
        [event(at=DAY)],
        InvalidValue,
        f"event 0 of sales: at is {DAY}; expected a time in ISO 8601; numbers need "
        'timestamp_format="unix" or "unix_ms" in the source',
        "at",
        0,
    ),
    "a time without a zone": (
        [event(at=dt.datetime(2024, 1, 1))],
        InvalidValue,
        "event 0 of sales: at is 2024-01-01 00:00:00; expected a time in ISO 8601; give it a "
        "time zone, such as datetime.UTC",
        "at",
        0,
    ),
    "a payload's time": ([event(due="soon")], InvalidValue, "due is 'soon'", "due", 0),
    "no time": ([event(), event(at=None)], InvalidValue, "event 1 of sales has no at", "at", 1),
    "before 1990": (
        [event(at="1989-12-31")],
        InvalidValue,
        "event 0 of sales: at is '1989-12-31', which is before 1990",
        "at",
        0,
    ),
    "in the future": (
        [event(at=dt.datetime.now(dt.UTC) + dt.timedelta(days=1))],
        InvalidValue,
        "which is more than 5 minutes ahead of the clock",
        "at",
        0,
    ),
    "no join key": ([event(), {"at": TIME}], InvalidKeys, "event 1 of sales has no", "buyer", 1),
    "a join key of another type": (
        [event(), event(buyer="ann")],
        InvalidKeys,
        "event 1 of sales: join key user_id",
        "buyer",
        1,
    ),
    "an id that flags cannot take": (
        [event(kind="view"), event(buyer=-1)],
        InvalidKeys,
        "event 1 of sales: ",
        "buyer",
        1,
    ),
    "a cell to compare that is not text": (
        [event(kind=["buy"])],
        InvalidValue,
        "event 0 of sales: kind is ['buy']; expected text, a number or a boolean",
        "kind",
        0,
    ),
    "no dict": ([event(), "buy"], InvalidValue, "event 1 of sales is 'buy'", None, 1),
    "one event alone": (event(), InvalidValue, "a single event goes in a list", "buyer", None),
    "a column that is not there": (
        pl.DataFrame(EVENTS).drop("kind", "due"),
        InvalidValue,
        "events of sales have no column due, kind, which its views read; they have buyer, shop,",
        "due",
        None,
    ),
    "columns of different lengths": (
        {**COLUMNS, "kind": ["buy"]},
        InvalidValue,
        "columns of sales are of different lengths: buyer 2,",
        None,
        None,
    ),
    "no events at all": ("buy", InvalidValue, "events of sales must be a list of", None, None),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named_and_nothing_is_sent(client: Any, witness: Any, name: str) -> None:
    events, error, message, column, row = WRONG[name]
    before = sorted(witness.keys())
    with pytest.raises(error) as caught:
        client.push("sales", events)
    assert message in str(caught.value)
    named = caught.value.join_key if error is InvalidKeys else caught.value.feature
    assert (named, caught.value.row) == (column, row)
    assert sorted(witness.keys()) == before


def test_sources_that_cannot_be_pushed(client: Any) -> None:
    with pytest.raises(SourceNotFound, match=r"'sale'; did you mean sales\?") as caught:
        client.push("sale", [])
    assert caught.value.suggestions == ("sales",)
    with pytest.raises(InvalidValue, match="seen is count"):
        client.push("manual", [])


def test_new_definitions_are_followed(client: Any) -> None:
    client.push("sales", [event()])
    fewer = Registry.from_definitions([Purchases, ShelfSales, Counted])
    client.apply(fewer, allow_unsafe=True)
    assert list(client.push("sales", [event()]).views) == ["purchases", "shelf_sales"]


def test_one_version_alone(client: Any, witness: Any) -> None:
    result = client.push("sales", [event(country="NZ")], version=3)
    assert result.views["buyer"].versions == (3,)
    assert witness.hget("user:{1}:v3", "country") == b"NZ"
    assert not witness.exists("user:{1}:v1")
