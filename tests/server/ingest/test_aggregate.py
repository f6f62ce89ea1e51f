"""Every operation, compared with a model in plain Python on random events and batches."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fscore
from fscore import (
    Entity,
    EventSource,
    Feature,
    FeatureView,
    Float64,
    Int64,
    Registry,
    String,
    Timestamp,
    WriteResult,
    count,
    distinct,
    first,
    latest,
    mean,
)
from fscore_server.ingest import InputError, aggregate, load
from fscore_server.ingest.formats import bytes as stream
from tests.event_times import PAST_MS
from tests.server.ingest.sink import Sink

pair = Entity("pair", join_keys={"user_id": String, "shop_id": Int64})
events = EventSource(
    "events", event_time="at", timestamp_format="unix_ms", keys={"shop_id": "shop"}
)
COLUMNS = ("user_id", "shop", "at", "kind", "amount")


class Everything(FeatureView, entity=pair, source=events):
    latest_kind: String = Feature(latest("kind"))
    latest_amount_a: Int64 = Feature(latest("amount", where={"kind": "a"}))
    first_kind: String = Feature(first("kind"))
    first_amount_a: Int64 = Feature(first("amount", where={"kind": "a"}))
    rows: Int64 = Feature(count())
    rows_of_some: Int64 = Feature(count(where={"kind": ["a", None], "amount": [1, 2, 3]}))
    rows_without_kind: Float64 = Feature(count(where={"kind": None}))
    kinds: Int64 = Feature(distinct("kind"))
    amounts_of_a: Int64 = Feature(distinct("amount", where={"kind": "a"}))
    amount_sum: Int64 = Feature(fscore.sum("amount"))
    amount_sum_a: Float64 = Feature(fscore.sum("amount", where={"kind": "a"}))
    amount_mean: Float64 = Feature(mean("amount"))
    amount_mean_a: Float64 = Feature(mean("amount", where={"kind": "a"}))
    least: Int64 = Feature(fscore.min("amount"))
    most: Int64 = Feature(fscore.max("amount", where={"kind": ["a", "b"]}))
    alphabetically_first: String = Feature(fscore.min("kind"))
    last_b: Timestamp = Feature(latest("at", where={"kind": "b"}))
    first_at: Timestamp = Feature(fscore.min("at"))


DEFINITIONS = Registry.from_definitions([Everything])

Event = dict[str, Any]
event_lists = st.lists(
    st.fixed_dictionaries(
        {
            "user_id": st.sampled_from(["ann", "bob"]),
            "shop": st.integers(1, 2),
            "at": st.integers(PAST_MS, PAST_MS + 5),
            "kind": st.sampled_from(["a", "b", "c", None]),
            "amount": st.none() | st.integers(0, 5) | st.just(2**62),
        }
    ),
    min_size=1,
    max_size=40,
)


def exact_mean(values: list[float]) -> float | None:
    return float(sum(map(Fraction, values)) / len(values)) if values else None


def modelled(own: list[Event]) -> Event:
    ordered = sorted(own, key=lambda event: event["at"])

    def column(name: str, *kinds: str) -> list[Any]:
        chosen = [event for event in ordered if not kinds or event["kind"] in kinds]
        return [event[name] for event in chosen if event[name] is not None]

    return {
        "latest_kind": ([None, *column("kind")])[-1],
        "latest_amount_a": ([None, *column("amount", "a")])[-1],
        "first_kind": ([*column("kind"), None])[0],
        "first_amount_a": ([*column("amount", "a"), None])[0],
        "rows": len(own),
        "rows_of_some": sum(e["kind"] in ("a", None) and e["amount"] in (1, 2, 3) for e in own),
        "rows_without_kind": float(sum(event["kind"] is None for event in own)),
        "kinds": len(set(column("kind"))),
        "amounts_of_a": len(set(column("amount", "a"))),
        "amount_sum": sum(column("amount")),
        "amount_sum_a": math.fsum(column("amount", "a")),
        "amount_mean": exact_mean(column("amount")),
        "amount_mean_a": exact_mean(column("amount", "a")),
        "least": min(column("amount"), default=None),
        "most": max(column("amount", "a", "b"), default=None),
        "alphabetically_first": min(column("kind"), default=None),
        "last_b": ([None, *column("at", "b")])[-1],
        "first_at": min(column("at")),
        "event_time": max(column("at")),
    }


# Each example writes and reads files, which is slow on a busy machine.
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(sample=event_lists, batch=st.sampled_from([1, 3, 1000]), csv=st.booleans())
def test_every_operation_is_what_the_model_says(sample: list[Event], batch: int, csv: bool) -> None:
    groups: dict[tuple[str, int], list[Event]] = {}
    for event in sample:
        groups.setdefault((event["user_id"], event["shop"]), []).append(event)
    expected = {key: modelled(own) for key, own in groups.items()}
    too_large = any(row["amount_sum"] >= 2**63 for row in expected.values())
    written: dict[tuple[str, int], Event] = {}

    class Pairs:
        def write(
            self, view: str, rows: Mapping[str, Any], /, *, ordering: str = "arrival"
        ) -> WriteResult:
            for values in zip(*rows.values(), strict=True):
                row = dict(zip(rows, values, strict=True))
                written[row.pop("user_id"), row.pop("shop_id")] = row
            return WriteResult(len(rows["user_id"]))

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        # Small blocks and batches, so that partial results are merged.
        patch.setattr(stream, "READ_BYTES", 200)
        patch.setattr(aggregate, "_BATCH_ROWS", batch)
        path = write_events(Path(folder), sample, csv)
        if too_large:
            with pytest.raises(InputError, match="does not fit into 64 bits"):
                load(Pairs(), DEFINITIONS, [path])
            return
        assert load(Pairs(), DEFINITIONS, [path]).failure is None
    for row in (*written.values(), *expected.values()):
        row["amount_sum_a"] = pytest.approx(row["amount_sum_a"]).expected
    assert written == expected


def write_events(folder: Path, sample: list[Event], csv: bool) -> Path:
    if not csv:
        path = folder / "in.ndjson"
        path.write_text("".join(json.dumps(event) + "\n" for event in sample))
        return path
    path = folder / "in.csv"
    rows = [[event[name] for name in COLUMNS] for event in sample]
    lines = [",".join("" if value is None else str(value) for value in row) for row in rows]
    path.write_text("\n".join([",".join(COLUMNS), *lines]))
    return path


def test_rows_are_written_in_parts_of_thousands(tmp_path: Path, sink: Sink) -> None:
    user = Entity("user", join_keys={"user_id": Int64})

    class Counted(FeatureView, entity=user, source=EventSource("events", event_time="at")):
        rows: Int64 = Feature(count())

    path = tmp_path / "in.csv"
    path.write_text("user_id,at\n" + "".join(f"{n},2024-01-01\n" for n in range(12_345)))
    definitions = Registry.from_definitions([Counted])
    load(sink, definitions, [path])
    assert sink.batches == [5_000, 5_000, 2_345]
    assert list(sink.views["counted"]) == list(range(12_345))


def test_the_source_is_chosen_by_name(tmp_path: Path, sink: Sink) -> None:
    user = Entity("user", join_keys={"user_id": String})

    class Clicks(FeatureView, entity=user, source=EventSource("clicks", event_time="at")):
        clicks: Int64 = Feature(count())

    class Orders(FeatureView, entity=user, source=EventSource("orders", event_time="at")):
        orders: Int64 = Feature(count())

    class Manual(FeatureView, entity=user):
        age: Int64

    path = tmp_path / "in.csv"
    path.write_text("user_id,at\nann,2024-01-01\n")

    def definitions(*views: type[FeatureView]) -> Registry:
        return Registry.from_definitions(views)

    with pytest.raises(InputError, match="with --source: clicks, orders"):
        load(sink, definitions(Clicks, Orders, Manual), [path])
    with pytest.raises(InputError, match="no view has a source named sales; there is: clicks"):
        load(sink, definitions(Clicks, Orders), [path], source="sales")
    with pytest.raises(InputError, match="no view of these definitions has a source"):
        load(sink, definitions(Manual), [path])
    load(sink, definitions(Clicks, Orders, Manual), [path], source="orders")
    assert set(sink.views) == {"orders"}


def test_features_may_have_any_name_that_definitions_allow(tmp_path: Path, sink: Sink) -> None:
    user = Entity("user", join_keys={"user_id": String})

    class Named(FeatureView, entity=user, source=EventSource("s", event_time="at")):
        time: String = Feature(latest("page"))
        key: Int64 = Feature(count())
        cell: Float64 = Feature(mean("n"))
        count: Float64 = Feature(fscore.sum("n"))
        other: Int64 = Feature(distinct("n"))
        sum: String = Feature(first("page"))

    path = tmp_path / "in.csv"
    path.write_text("user_id,at,page,n\nann,2024-01-01,a,1\nann,2024-01-02,b,2\n")
    load(sink, Registry.from_definitions([Named]), [path])
    row = sink.views["named"]["ann"]
    assert row["time"] == "b"
    assert [row[name] for name in ("key", "cell", "count", "other", "sum")] == [2, 1.5, 3.0, 2, "a"]


def test_entities_that_are_expired_already_are_counted(tmp_path: Path, sink: Sink) -> None:
    user = Entity("user", join_keys={"user_id": String})

    class Brief(FeatureView, entity=user, source=EventSource("s", event_time="at"), ttl="1d"):
        rows: Int64 = Feature(count())

    path = tmp_path / "in.csv"
    path.write_text("user_id,at\nann,2024-01-01\n")
    definitions = Registry.from_definitions([Brief])
    assert load(sink, definitions, [path]).views[0].expired == 1
