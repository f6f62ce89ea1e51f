"""The forms of a feature table: matrices, columns, Arrow, event times."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.event_times import RECENT_MS

T1, T2 = RECENT_MS, RECENT_MS + 500

CUSTOMER = {
    "customer_id": 1,
    "orders": 29,
    "region": "US",
    "rating": 0.07,
    "discount": 0.1,
    "loyal": True,
    "seen": 1_700_000_000_123,
    "joined": 1_700_000_000_000,
    "photo": b"\x00\xff",
}


@pytest.fixture
def filled(client: Any) -> Any:
    """A client; customer 1 has all features stored, customer 2 some, customer 3 none."""
    second = {"customer_id": 2, "orders": 30, "rating": None}
    client.write("customer", [CUSTOMER, second], event_time=T1)
    behaviour = {"tags": ["a"], "times": [1], "blobs": [b"x"], "taste": [1, -2.5, 0]}
    client.write("behaviour", [{"customer_id": 1, **behaviour}], event_time=T2)
    return client


def test_a_matrix_is_row_major_in_service_order(filled: Any) -> None:
    prepared = filled.prepare(features=["rating", "orders", "loyal", "seen", "joined", "taste"])
    matrix = prepared.get([1, 2, 3]).to_numpy()
    assert matrix.dtype == np.float64
    assert matrix.flags.c_contiguous
    nan = np.nan
    expected = [
        [0.07, 29, 1, 1_700_000_000_123, 1_700_000_000_000, 1, -2.5, 0],
        [nan, 30, nan, nan, nan, nan, nan, nan],
        [nan] * 8,
    ]
    np.testing.assert_array_equal(matrix, expected)


@pytest.mark.parametrize(
    ("features", "dtype"),
    [
        (["rating"], np.float64),
        (["discount"], np.float32),
        (["taste"], np.float32),
        (["discount", "taste"], np.float32),
        (["discount", "rating"], np.float64),
        (["discount", "orders"], np.float64),
        (["loyal"], np.float64),
    ],
)
def test_the_dtype_follows_from_the_types(filled: Any, features: list[str], dtype: Any) -> None:
    table = filled.prepare(features=features).get([1, 3])
    matrix = table.to_numpy()
    assert matrix.dtype == dtype
    assert np.isnan(matrix[1]).all()
    assert not np.isnan(matrix[0]).any()
    for chosen in (np.float32, "float64"):
        converted = table.to_numpy(chosen)
        assert converted.dtype == chosen
        np.testing.assert_array_equal(converted, matrix.astype(chosen))


def test_defaults_are_in_the_matrix(filled: Any) -> None:
    table = filled.prepare(features=["level", "credit", "vip"]).get([3])
    np.testing.assert_array_equal(table.to_numpy(), [[7, 0.5, 1]])
    assert table.statuses.tolist() == [[2, 2, 2]]


def test_features_that_are_not_numbers_have_no_matrix(filled: Any) -> None:
    table = filled.prepare(features=["orders", "region", "tags", "photo"]).get([1])
    with pytest.raises(TypeError, match=r"region \(String\), tags \(List\[String\]\), photo"):
        table.to_numpy()
    with pytest.raises(TypeError, match="float32 or float64, not int64"):
        filled.prepare(features=["orders"]).get([1]).to_numpy(np.int64)


def test_columns_have_their_own_types(filled: Any) -> None:
    table = filled.prepare("overview").get([1, 2, 3])
    ms = "datetime64[ms]"
    expected: dict[str, Any] = {
        "orders": np.array([29, 30, 0]),
        "rating": np.array([0.07, np.nan, np.nan]),
        "discount": np.array([0.1, np.nan, np.nan], dtype=np.float32),
        "loyal": np.array([True, False, False]),
        "seen": np.array([1_700_000_000_123, "NaT", "NaT"], dtype=ms),
        "joined": np.array([1_700_000_000_000, "NaT", "NaT"], dtype=ms),
        "taste": np.array([[1, -2.5, 0], [np.nan] * 3, [np.nan] * 3], dtype=np.float32),
        "level": np.array([7, 7, 7]),
    }
    zeros = {"orders": 0, "loyal": False}
    for name, column in expected.items():
        found = table.column(name, missing=zeros.get(name, "raise"))
        assert found.dtype == column.dtype, name
        np.testing.assert_array_equal(found, column)
    for name, objects in {
        "region": ["US", None, None],
        "photo": [b"\x00\xff", None, None],
        "tags": [["a"], None, None],
        "blobs": [[b"x"], None, None],
    }.items():
        assert table.column(name).dtype == object
        assert table.column(name).tolist() == objects
    with pytest.raises(KeyError, match='no feature "ages"'):
        table.column("ages")


def test_event_times_are_those_of_each_view(filled: Any) -> None:
    times = filled.prepare(features=["tags", "orders", "level"]).get([1, 2, 3]).event_times
    assert times.dtype == np.dtype("datetime64[ms]")
    one, two, none = np.datetime64(T1, "ms"), np.datetime64(T2, "ms"), np.datetime64("NaT", "ms")
    expected = np.array([[two, one, none], [none, one, none], [none, none, none]])
    np.testing.assert_array_equal(times, expected)


def test_arrow_columns_are_typed_and_null_without_a_value(filled: Any) -> None:
    table = filled.prepare("overview").get([1, 2, 3])
    arrow = table.to_arrow()
    arrow.validate(full=True)
    assert tuple(arrow.column_names) == table.features
    types = {
        "orders": pa.int64(),
        "region": pa.string(),
        "rating": pa.float64(),
        "discount": pa.float32(),
        "loyal": pa.bool_(),
        "seen": pa.timestamp("ms", tz="UTC"),
        "joined": pa.timestamp("ms", tz="UTC"),
        "photo": pa.binary(),
        "tags": pa.list_(pa.string()),
        "counts": pa.list_(pa.int64()),
        "weights": pa.list_(pa.float64()),
        "flags": pa.list_(pa.bool_()),
        "blobs": pa.list_(pa.binary()),
        "times": pa.list_(pa.timestamp("ms", tz="UTC")),
        "taste": pa.list_(pa.float32(), 3),
    }
    assert {name: arrow.schema.field(name).type for name in types} == types
    assert arrow["orders"].to_pylist() == [29, 30, None]
    assert arrow["loyal"].to_pylist() == [True, None, None]
    assert arrow["taste"].to_pylist() == [[1.0, -2.5, 0.0], None, None]
    assert arrow["level"].to_pylist() == [7, 7, 7]
    seen = dt.datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=dt.UTC)
    assert arrow["seen"].to_pylist() == [seen, None, None]
    assert arrow["times"].to_pylist()[0] == [dt.datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=dt.UTC)]
    nulls = {name: arrow[name].null_count for name in ("region", "photo", "rating", "blobs")}
    assert nulls == {"region": 2, "photo": 2, "rating": 2, "blobs": 2}


def test_arrow_of_no_rows(client: Any) -> None:
    arrow = client.prepare("overview").get([]).to_arrow()
    arrow.validate(full=True)
    assert arrow.num_rows == 0
    assert arrow.schema.field("taste").type == pa.list_(pa.float32(), 3)


def test_a_table_has_the_features_and_types_of_its_plan(filled: Any) -> None:
    prepared = filled.prepare(features=["orders", "taste"])
    table = prepared.get([1])
    assert table.features == prepared.features == ("orders", "taste")
    assert table.types == prepared.types == ("Int64", "Vector[3]")
    assert prepared.service is None
    assert filled.prepare("offers").service == "offers"
    assert repr(prepared) == "<Prepared 'orders, taste': 2 features>"
    assert repr(table).startswith("<FeatureTable 1 row x 2 features, 2 PRESENT, version 1>\n")
    assert table.all_present
