"""Series and flags in a load: which events reach them, in which order, which are rejected."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

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
    Payload,
    Registry,
    SeriesView,
    String,
    ever,
    latest,
    window,
)
from fscore._fscore import WritePlan
from fscore.specs.resolve import write_spec
from fscore_server.ingest import InputError, LoadReport, load, loader
from tests.event_times import with_times_in
from tests.server.ingest.sink import Sink

user = Entity("user", join_keys={"user_id": String})
shop = Entity("shop", join_keys={"shop_id": Int64})
sales = EventSource("sales", event_time="at")
HOUR = 3_600_000
START = 1_704_067_200_000


class Sales(SeriesView, entity=user, source=sales, where={"kind": ["sale", None]}, event_id="no"):
    price: Float64 = Payload("amount")
    sold: Int64 = window.count()


class ShopSales(
    SeriesView, entity=shop, source=sales, retention="1d", tile="1h", tile_retention="60d"
):
    amount: Float64 = Payload()
    sold_30d: Int64 = window.count("30d")
    paid_30d: Float64 = window.sum("amount", "30d")


class Marks(FlagView, entity=user, source=sales, ids="user_%02d"):
    has_bought: Bool = Feature(ever(where={"kind": "sale"}))
    has_paid_much: Bool = Feature(ever(where={"amount": ["99", "100"]}))
    is_blocked: Bool


class ShopMarks(FlagView, entity=shop, source=sales):
    is_open: Bool = Feature(ever())


REGISTRY = Registry.from_definitions([Sales, ShopSales, Marks, ShopMarks])
HEADER = "user_id,shop_id,at,kind,amount,no\n"


@pytest.fixture
def sink() -> Sink:
    return Sink(REGISTRY.views)


def loaded(sink: Sink | None, folder: Path, rows: str, **options: Any) -> LoadReport:
    path = folder / "sales.csv"
    path.write_text(HEADER + rows)
    return load(sink, REGISTRY, [path], **options)


ROWS = f"""user_02,7,{START + 2},sale,1.5,b
user_01,7,{START + 5},sale,2,
user_02,6,{START + 1},,99,a
user_02,7,{START + 9},return,100,c
user_01,6,{START + 3},sale,,x
"""


@pytest.fixture
def in_ms(monkeypatch: pytest.MonkeyPatch) -> None:
    """Return the file's times in milliseconds."""
    monkeypatch.setattr(f"{__name__}.REGISTRY", with_times_in(REGISTRY, "unix_ms"))


@pytest.mark.usefixtures("in_ms")
@pytest.mark.parametrize("slice_rows", [1, 2, 3, 20_000])
def test_events_come_by_entity_and_time(
    sink: Sink, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slice_rows: int
) -> None:
    monkeypatch.setattr(loader, "_WRITE_EVENTS", slice_rows)
    report = loaded(sink, tmp_path, ROWS)
    assert sink.listed["sales"] == [
        {"user_id": "user_01", "price": None, "event_id": "x", "event_time": START + 3},
        {"user_id": "user_01", "price": 2.0, "event_id": None, "event_time": START + 5},
        {"user_id": "user_02", "price": 99.0, "event_id": "a", "event_time": START + 1},
        {"user_id": "user_02", "price": 1.5, "event_id": "b", "event_time": START + 2},
    ]
    shops = [(row["shop_id"], row["event_time"] - START) for row in sink.listed["shop_sales"]]
    assert shops == [(6, 1), (6, 3), (7, 2), (7, 5), (7, 9)]
    flags: dict[str, set[str]] = {"has_bought": set(), "has_paid_much": set()}
    for row in sink.listed["marks"]:
        for name, users in flags.items():
            assert row[name] in (True, None)
            if row[name]:
                users.add(row["user_id"])
    assert flags == {"has_bought": {"user_01", "user_02"}, "has_paid_much": {"user_02"}}
    assert {(view.view, view.rows, view.unit) for view in report.views} == {
        ("sales", 4, "events"),
        ("shop_sales", 5, "events"),
        ("marks", 2, "entities"),
        ("shop_marks", 2, "entities"),
    }


@pytest.mark.usefixtures("in_ms")
def test_a_dry_run_counts_the_same(sink: Sink, tmp_path: Path) -> None:
    assert loaded(None, tmp_path, ROWS).views == loaded(sink, tmp_path, ROWS).views


@pytest.mark.usefixtures("in_ms")
def test_nothing_is_written_of_too_many_rejects(sink: Sink, tmp_path: Path) -> None:
    report = loaded(sink, tmp_path, f"{ROWS}user_01,x,{START},sale,1,d\n", max_rejects=0)
    assert report.failure is not None
    assert (report.views, sink.listed) == ([], {})


@pytest.mark.usefixtures("in_ms")
def test_ids_without_a_number_are_rejected_if_a_flag_is_set(sink: Sink, tmp_path: Path) -> None:
    rows = f"guest,7,{START},return,1,a\nguest,7,{START},sale,1,b\nuser_01,-7,{START},return,1,c\n"
    report = loaded(sink, tmp_path, rows)
    assert report.files[0].reasons == {
        "user_id: flags take an id that user_%02d writes": 1,
        "shop_id: flags take a number from 0 on": 1,
    }
    # An event that sets no flag needs no number in its id.
    assert [row["event_time"] for row in sink.listed["shop_sales"]] == [START]
    assert "marks" not in sink.listed


IDS = ["", "user_", "user_0", "user_00", "user_07", "user_42", "user_007", "user_100", "user_0100"]
IDS += ["User_07", "user_-1", "user_4x", "user_ 1", "user_+12", "user_١٢", "xuser_07", "user_07\n"]
IDS += ["user_9223372036854775807", "user_9223372036854775808", "user_99999999999999999999"]


@pytest.mark.parametrize("ids", ["user_%02d", "user_%d", "user_%01d", "%d", "%03d", "u.er_%02d"])
def test_ids_are_rejected_as_flags_refuse_them(tmp_path: Path, ids: str) -> None:
    class Seen(FlagView, entity=user, source=sales, ids=ids):
        is_seen: Bool = Feature(ever())

    registry = Registry.from_definitions([Seen])
    plan = WritePlan(write_spec(registry, "seen"), "")
    sink = Sink(["seen"])
    path = tmp_path / "sales.ndjson"
    every = [*IDS, *(text.removeprefix("user_") for text in IDS)]
    lines = [json.dumps({"user_id": one, "at": "2024-01-01"}) for one in every]
    path.write_text("\n".join(lines))
    load(sink, registry, [path])
    taken = {row["user_id"] for row in sink.listed.get("seen", [])}
    for one in set(every) - {""}:
        try:
            plan.encode_rows([{"user_id": one, "is_seen": True}], 1, START)
        except InvalidKeys:
            assert one not in taken, one
        else:
            assert one in taken, one


def test_views_that_a_load_cannot_fill(sink: Sink, tmp_path: Path) -> None:
    class Blocked(FlagView, entity=user, source=sales, ids="user_%02d"):
        is_blocked: Bool

    class Profile(FeatureView, entity=user, source=sales, layout="packed"):
        kind: String = latest("kind")
        score: Float64

    path = tmp_path / "sales.csv"
    path.write_text(HEADER)
    for view, message in (
        (Blocked, "view blocked reads from sales but none of its features says how"),
        (Profile, "view profile is packed, so that its rows are written whole, and score does not"),
    ):
        definitions = Registry.from_definitions([view])
        with pytest.raises(InputError, match=message):
            load(sink, definitions, [path])


def test_tiles_have_every_event_of_a_file_in_any_order(redis_url: str, tmp_path: Path) -> None:
    chance = random.Random(7)
    events = [
        (shop_id, hour, chance.randrange(100))
        for shop_id in (1, 2)
        for hour in range(20 * 24)
        for _ in range(3)
    ]
    chance.shuffle(events)
    moments = [START + hour * HOUR + chance.randrange(HOUR) for _, hour, _ in events]
    path = tmp_path / "sales.ndjson"
    path.write_text(
        "\n".join(
            json.dumps(
                {"user_id": "user_01", "shop_id": shop_id, "at": at / 1000, "amount": float(amount)}
                | {"kind": "sale", "no": number}
            )
            for number, ((shop_id, _, amount), at) in enumerate(zip(events, moments, strict=True))
        )
    )
    registry = with_times_in(REGISTRY, "unix")
    with fscore.connect(redis_url) as client:
        client.apply(registry)
        for _ in range(2):
            report = load(client, registry, [path])
            assert (report.rows, report.rejected) == (len(events), 0)
            table = client.prepare(features=["sold_30d", "paid_30d"]).get(
                [1, 2], as_of=max(moments)
            )
            assert table.to_dicts() == [
                {
                    "sold_30d": 20 * 24 * 3,
                    "paid_30d": float(sum(amount for one, _, amount in events if one == shop_id)),
                }
                for shop_id in (1, 2)
            ]
