"""The forms of a feature table: matrices, columns, Arrow, event times."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.event_times import RECENT_MS

T1, T2 = RECENT_MS, RECENT_MS + 500

USER = {
    "user_id": 1,
    "age": 29,
    "country": "US",
    "score": 0.07,
    "ratio": 0.1,
    "active": True,
    "seen": 1_700_000_000_123,
    "joined": 1_700_000_000_000,
    "token": b"\x00\xff",
}


@pytest.fixture
def filled(client: Any) -> Any:
    """A client; user 1 has all features stored, user 2 some, user 3 none."""
    client.write("profile", [USER, {"user_id": 2, "age": 30, "score": None}], event_time=T1)
    behaviour = {"user_id": 1, "tags": ["a"], "times": [1], "blobs": [b"x"], "taste": [1, -2.5, 0]}
    client.write("behaviour", [behaviour], event_time=T2)
    return client


def test_a_matrix_is_row_major_in_service_order(filled: Any) -> None:
    prepared = filled.prepare(features=["score", "age", "active", "seen", "joined", "taste"])
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
        (["score"], np.float64),
        (["ratio"], np.float32),
        (["taste"], np.float32),
        (["ratio", "taste"], np.float32),
        (["ratio", "score"], np.float64),
        (["ratio", "age"], np.float64),
        (["active"], np.float64),
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


def test_what_is_no_number_has_no_matrix(filled: Any) -> None:
    table = filled.prepare(features=["age", "country", "tags", "token"]).get([1])
    with pytest.raises(TypeError, match=r"country \(String\), tags \(List\[String\]\), token"):
        table.to_numpy()
    with pytest.raises(TypeError, match="float32 or float64, not int64"):
        filled.prepare(features=["age"]).get([1]).to_numpy(np.int64)


def test_columns_have_their_own_types(filled: Any) -> None:
    table = filled.prepare("everything").get([1, 2, 3])
    ms = "datetime64[ms]"
    expected: dict[str, Any] = {
        "age": np.array([29, 30, 0]),
        "score": np.array([0.07, np.nan, np.nan]),
        "ratio": np.array([0.1, np.nan, np.nan], dtype=np.float32),
        "active": np.array([True, False, False]),
        "seen": np.array([1_700_000_000_123, "NaT", "NaT"], dtype=ms),
        "joined": np.array([1_700_000_000_000, "NaT", "NaT"], dtype=ms),
        "taste": np.array([[1, -2.5, 0], [np.nan] * 3, [np.nan] * 3], dtype=np.float32),
        "level": np.array([7, 7, 7]),
    }
    zeros = {"age": 0, "active": False}
    for name, column in expected.items():
        found = table.column(name, missing=zeros.get(name, "raise"))
        assert found.dtype == column.dtype, name
        np.testing.assert_array_equal(found, column)
    for name, objects in {
        "country": ["US", None, None],
        "token": [b"\x00\xff", None, None],
        "tags": [["a"], None, None],
        "blobs": [[b"x"], None, None],
    }.items():
        assert table.column(name).dtype == object
        assert table.column(name).tolist() == objects
    with pytest.raises(KeyError, match='no feature "ages"'):
        table.column("ages")


def test_event_times_are_those_of_each_view(filled: Any) -> None:
    times = filled.prepare(features=["tags", "age", "level"]).get([1, 2, 3]).event_times
    assert times.dtype == np.dtype("datetime64[ms]")
    one, two, none = np.datetime64(T1, "ms"), np.datetime64(T2, "ms"), np.datetime64("NaT", "ms")
    expected = np.array([[two, one, none], [none, one, none], [none, none, none]])
    np.testing.assert_array_equal(times, expected)


def test_arrow_columns_are_typed_and_null_where_nothing_is(filled: Any) -> None:
    table = filled.prepare("everything").get([1, 2, 3])
    arrow = table.to_arrow()
    arrow.validate(full=True)
    assert tuple(arrow.column_names) == table.features
    types = {
        "age": pa.int64(),
        "country": pa.string(),
        "score": pa.float64(),
        "ratio": pa.float32(),
        "active": pa.bool_(),
        "seen": pa.timestamp("ms", tz="UTC"),
        "joined": pa.timestamp("ms", tz="UTC"),
        "token": pa.binary(),
        "tags": pa.list_(pa.string()),
        "counts": pa.list_(pa.int64()),
        "weights": pa.list_(pa.float64()),
        "flags": pa.list_(pa.bool_()),
        "blobs": pa.list_(pa.binary()),
        "times": pa.list_(pa.timestamp("ms", tz="UTC")),
        "taste": pa.list_(pa.float32(), 3),
    }
    assert {name: arrow.schema.field(name).type for name in types} == types
    assert arrow["age"].to_pylist() == [29, 30, None]
    assert arrow["active"].to_pylist() == [True, None, None]
    assert arrow["taste"].to_pylist() == [[1.0, -2.5, 0.0], None, None]
    assert arrow["level"].to_pylist() == [7, 7, 7]
    seen = dt.datetime(2023, 11, 14, 22, 13, 20, 123_000, tzinfo=dt.UTC)
    assert arrow["seen"].to_pylist() == [seen, None, None]
    assert arrow["times"].to_pylist()[0] == [dt.datetime(1970, 1, 1, 0, 0, 0, 1000, tzinfo=dt.UTC)]
    nulls = {name: arrow[name].null_count for name in ("country", "token", "score", "blobs")}
    assert nulls == {"country": 2, "token": 2, "score": 2, "blobs": 2}


def test_arrow_of_no_rows(client: Any) -> None:
    arrow = client.prepare("everything").get([]).to_arrow()
    arrow.validate(full=True)
    assert arrow.num_rows == 0
    assert arrow.schema.field("taste").type == pa.list_(pa.float32(), 3)


def test_a_table_is_of_its_plan(filled: Any) -> None:
    prepared = filled.prepare(features=["age", "taste"])
    table = prepared.get([1])
    assert table.features == prepared.features == ("age", "taste")
    assert table.types == prepared.types == ("Int64", "Vector[3]")
    assert prepared.service is None
    assert filled.prepare("pairs").service == "pairs"
    assert repr(prepared) == "<Prepared 'age, taste': 2 features>"
    assert repr(table).startswith("<FeatureTable 1 row x 2 features, 2 PRESENT, version 1>\n")
    assert table.all_present
