"""The mean over all events: exact, whatever the order of the events, in files of every format."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fscore
from fscore import (
    Entity,
    EventSource,
    Feature,
    FeatureView,
    Float64,
    Int64,
    InvalidValue,
    Registry,
    String,
    count,
    mean,
)
from fscore_server.ingest import aggregate, load
from fscore_server.ingest.exact_mean import ExactMean
from fscore_server.ingest.writing import ClientWriter
from tests.server.ingest.sink import Sink

user = Entity("user", join_keys={"user_id": String})
orders = EventSource("orders", event_time="at")


class Orders(FeatureView, entity=user, source=orders):
    amount_mean: Float64 = Feature(mean("amount"))
    amount_mean_a: Float64 = Feature(mean("amount", where={"kind": "a"}), default=-1.0)


class Packed(FeatureView, entity=user, source=orders, layout="packed"):
    packed_mean: Float64 = mean("amount")
    packed_count: Int64 = count()


REGISTRY = Registry.from_definitions([Orders, Packed])
# Added as floats in this order they give 0, in another one 1 or 2.
CANCELLING = [1e16, 1.0, -1e16, 1.0]
Event = tuple[str, float | None, str]
EVENTS: list[Event] = [
    *(("ann", value, "a") for value in CANCELLING),
    *(("bob", 0.1, "b") for _ in range(10)),
    ("bob", None, "a"),
    ("cid", None, "a"),
    *(("dan", value, "a") for value in (2.0**-1074, 2.0**1023, 3.0, -0.0)),
]
MEANS = {"ann": (0.5, 0.5), "bob": (0.1, None), "cid": (None, None), "dan": (2.0**1021,) * 2}


def exact(values: Sequence[float]) -> float:
    return float(sum(map(Fraction, values)) / len(values))


# The first call imports what it needs.
@settings(deadline=None)
@given(
    st.lists(
        st.lists(
            st.tuples(
                st.sampled_from("ab"),
                st.floats(allow_nan=False, allow_infinity=False) | st.floats(-10, 10),
            )
        ),
        max_size=4,
    )
)
def test_it_is_the_quotient_of_integers_rounded_once(
    batches: list[list[tuple[str, float]]],
) -> None:
    every = [pair for batch in batches for pair in batch]
    expected = {
        entity: exact([value for found, value in every if found == entity])
        for entity in {entity for entity, _ in every}
    }
    for order in (batches, [list(reversed(every))]):
        computed = ExactMean(["key"])
        for batch in order or [[]]:
            entities = pl.DataFrame({"key": [entity for entity, _ in batch]}, {"key": pl.String})
            computed.add(entities, pl.Series([value for _, value in batch], dtype=pl.Float64))
        assert dict(computed.means("mean").iter_rows()) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([math.inf, 1.0], math.inf),
        ([-math.inf, -1.0, 1e308], -math.inf),
        ([math.inf, -math.inf], math.nan),
        ([math.nan, 1.0, math.inf], math.nan),
        ([1.7976931348623157e308] * 3, 1.7976931348623157e308),
        ([5e-324] * 3, 5e-324),
    ],
)
def test_floats_at_the_edges(values: list[float], expected: float) -> None:
    for order in (values, values[::-1]):
        computed = ExactMean(["key"])
        for value in order:
            computed.add(pl.DataFrame({"key": [1]}), pl.Series([value]))
        ((_, found),) = computed.means("mean").iter_rows()
        assert found == expected or (math.isnan(found) and math.isnan(expected))


def written(folder: Path, ending: str, events: Sequence[Event]) -> Path:
    path = folder / f"orders{ending}"
    rows: list[dict[str, Any]] = [
        {"user_id": user, "at": "2024-03-01T10:00:00Z", "amount": amount, "kind": kind}
        for user, amount, kind in events
    ]
    if ending == ".parquet":
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(path)
    elif ending == ".ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        lines = [["" if cell is None else str(cell) for cell in row.values()] for row in rows]
        path.write_text("\n".join(",".join(line) for line in [list(rows[0]), *lines]))
    return path


@pytest.mark.parametrize("ending", [".csv", ".ndjson", ".parquet"])
@pytest.mark.parametrize("batch", [1, 3, 1000])
def test_a_load_has_the_same_mean_in_any_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, batch: int
) -> None:
    monkeypatch.setattr(aggregate, "_BATCH_ROWS", batch)
    shuffled = random.Random(batch)
    for _ in range(5):
        events = shuffled.sample(EVENTS, len(EVENTS))
        sink = Sink()
        assert load(sink, REGISTRY, [written(tmp_path, ending, events)]).rejected == 0
        found = {
            name: (row["amount_mean"], row["amount_mean_a"])
            for name, row in sink.views["orders"].items()
        }
        assert found == MEANS
        assert [row["packed_mean"] for row in sink.views["packed"].values()] == [
            mean for mean, _ in MEANS.values()
        ]


@pytest.mark.parametrize("ending", [".csv", ".ndjson"])
def test_it_is_read_in_both_layouts(redis_url: str, tmp_path: Path, ending: str) -> None:
    with fscore.connect(redis_url) as client:
        client.apply(REGISTRY)
        load(ClientWriter(client, None), REGISTRY, [written(tmp_path, ending, EVENTS)])
        read = client.prepare(features=["amount_mean", "amount_mean_a", "packed_mean"])
        assert read.get(list(MEANS)).to_dicts() == [
            {
                "amount_mean": mean,
                "amount_mean_a": -1.0 if of_a is None else of_a,
                "packed_mean": mean,
            }
            for mean, of_a in MEANS.values()
        ]
        event = {"user_id": "ann", "at": "2024-03-01T10:00:00Z", "amount": 1.0, "kind": "a"}
        with pytest.raises(InvalidValue, match=r"amount_mean is mean\(\) over all events, which"):
            client.push("orders", [event])


def test_a_cell_that_is_not_a_number_is_rejected(tmp_path: Path, sink: Sink) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(
        "user_id,at,amount,kind\n"
        "ann,2024-03-01,1.5,a\nann,2024-03-01,much,a\nann,2024-03-01, 2.5 ,a\n"
    )
    report = load(sink, REGISTRY, [path])
    assert report.rejected == 1
    assert sink.views["orders"]["ann"]["amount_mean"] == 2.0
