"""Writes of dicts, columns, NumPy and Arrow; a refused write writes nothing."""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fscore import FeatureViewNotFound, InvalidKeys, InvalidValue
from tests.client.driver import Driver
from tests.event_times import RECENT_MS

T1 = RECENT_MS


def row(witness: Any, key: str) -> dict[str, bytes]:
    """Return a hash as it is stored."""
    return {name.decode(): value for name, value in witness.hgetall(key).items()}


def test_dicts_are_stored_as_the_format_says(client: Any, witness: Any) -> None:
    result = client.write(
        "customer",
        [
            {
                "customer_id": 1,
                "orders": 29,
                "region": "Curaçao",
                "rating": 0.1,
                "discount": np.float32(0.1),
                "loyal": True,
                "seen": dt.datetime(2023, 11, 14, 22, 13, 20, 123_999, tzinfo=dt.UTC),
                "joined": 1_700_000_000_999,
                "photo": b"\x00\xff",
            }
        ],
        event_time=T1,
    )
    assert result.rows == 1
    assert row(witness, "customer:{1}:v1") == {
        "orders": b"29",
        "region": "Curaçao".encode(),
        "rating": b"0.1",
        "discount": b"0.1",
        "loyal": b"1",
        "seen": b"1700000000123",
        "joined": b"1700000000",
        "photo": b"\x00\xff",
        "_ts:customer": b"%d" % T1,
    }
    client.write(
        "behaviour",
        [
            {
                "customer_id": 1,
                "tags": ("a", 'b"'),
                "counts": np.array([1, -2]),
                "weights": [0.5, float("nan"), 1],
                "flags": [True, np.False_],
                "blobs": [b"\x00", bytearray(b"\xff")],
                "times": [0, dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)],
                "taste": np.array([1, -2.5, 0.1], dtype=np.float32),
            }
        ],
        event_time=T1,
    )
    stored = row(witness, "customer:{1}:v1")
    assert stored["tags"] == b'["a","b\\""]'
    assert stored["counts"] == b"[1,-2]"
    assert stored["weights"] == b"[0.5,NaN,1.0]"
    assert stored["flags"] == b"[true,false]"
    assert stored["blobs"] == b'["AA==","/w=="]'
    assert stored["times"] == b"[0,1000]"
    assert stored["taste"] == np.array([1, -2.5, 0.1], dtype="<f4").tobytes()


def test_none_is_null_and_what_is_absent_stays(client: Any, witness: Any) -> None:
    whole = {"customer_id": 1, "orders": 29, "region": "US"}
    client.write("customer", [whole], event_time=T1 - 1_000)
    client.write("customer", [{"customer_id": 1, "orders": None}], event_time=T1)
    assert row(witness, "customer:{1}:v1") == {"region": b"US", "_ts:customer": b"%d" % T1}
    table = client.prepare(features=["orders", "region", "rating"]).get([1])
    assert table.statuses.tolist() == [[1, 0, 1]]
    client.write("customer", [{"customer_id": 2}], event_time=T1)
    assert row(witness, "customer:{2}:v1") == {"_ts:customer": b"%d" % T1}


def test_later_rows_of_a_call_win(client: Any) -> None:
    rows = [{"customer_id": 1, "orders": orders} for orders in [*range(10), None, 99]]
    client.write("customer", rows)
    assert client.prepare(features=["orders"]).get([1]).to_dicts() == [{"orders": 99}]


def test_now_is_the_event_time_if_none_is_given(client: Any, witness: Any) -> None:
    before = time.time_ns() // 1_000_000
    client.write("customer", [{"customer_id": 1, "orders": 1}])
    client.write("customer", {"customer_id": [2], "orders": [1]})
    client.write("customer", [{"customer_id": 3, "orders": 1, "event_time": None}])
    after = time.time_ns() // 1_000_000
    for customer in (1, 2, 3):
        assert before <= int(row(witness, f"customer:{{{customer}}}:v1")["_ts:customer"]) <= after


AWARE = dt.datetime.fromtimestamp(T1 // 1_000, dt.UTC)
ELSEWHERE = AWARE.astimezone(dt.timezone(dt.timedelta(hours=-7)))


@pytest.mark.parametrize(
    "times",
    [
        [T1, AWARE, ELSEWHERE],
        np.array([T1] * 3),
        np.array([T1] * 3, dtype="datetime64[ms]"),
        np.array([T1 * 1_000_000 + 999] * 3, dtype="datetime64[ns]"),
        np.array([T1 // 1000] * 3, dtype="datetime64[s]"),
        pa.array([T1 * 1000] * 3, type=pa.timestamp("us", tz="UTC")),
    ],
    ids=["objects", "int64", "ms", "ns", "s", "arrow"],
)
def test_event_times_of_rows(client: Any, witness: Any, times: Any) -> None:
    rows: Any = {"customer_id": [1, 2, 3], "event_time": times}
    if isinstance(times, pa.Array):
        rows = pa.table({"customer_id": [1, 2, 3], "event_time": times})
    client.write("customer", rows)
    assert {row(witness, f"customer:{{{n}}}:v1")["_ts:customer"] for n in (1, 2, 3)} == {b"%d" % T1}
    if isinstance(times, list):
        ids = [4, 5, 6]
        dicts = [{"customer_id": n, "event_time": t} for n, t in zip(ids, times, strict=True)]
        client.write("customer", dicts)
        assert {row(witness, f"customer:{{{n}}}:v1")["_ts:customer"] for n in ids} == {b"%d" % T1}


def test_one_event_time_for_all(client: Any, witness: Any) -> None:
    for customer, given in enumerate((T1, AWARE, ELSEWHERE)):
        client.write("customer", [{"customer_id": customer}], event_time=given)
        client.write("customer", {"customer_id": [customer + 10]}, event_time=given)
        for stored in (customer, customer + 10):
            assert row(witness, f"customer:{{{stored}}}:v1") == {"_ts:customer": b"%d" % T1}


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "now", dt.datetime(2030, 1, 1), 2**63], ids=str)
def test_wrong_event_times(client: Any, witness: Any, wrong: Any) -> None:
    with pytest.raises(InvalidValue, match="event_time"):
        client.write("customer", [{"customer_id": 1}], event_time=wrong)
    with pytest.raises(InvalidValue, match="event_time"):
        client.write("customer", {"customer_id": [1], "event_time": [wrong]})
    with pytest.raises(InvalidValue, match="event_time") as caught:
        client.write("customer", [{"customer_id": 1}, {"customer_id": 1, "event_time": wrong}])
    assert (caught.value.feature, caught.value.row) == ("event_time", 1)
    assert witness.keys("customer:*") == []


NUMPY_COLUMNS: dict[str, Any] = {
    "customer_id": np.array([1, 2], dtype=np.int32),
    "orders": np.array([29, 30], dtype=np.uint8),
    "region": np.array(["US", "DE"]),
    "rating": np.array([0.07, 1], dtype=np.float32),
    "discount": np.array([0.1, np.inf]),
    "loyal": np.array([True, False]),
    "seen": np.array([1_700_000_000_123, "NaT"], dtype="datetime64[ms]"),
    "joined": np.array([1_700_000_000, "NaT"], dtype="datetime64[s]"),
    "photo": np.array([b"a", b"b"], dtype=object),
}
STORED = [
    {
        "orders": 29,
        "region": "US",
        "rating": float(np.float32(0.07)),
        "discount": 0.1,
        "loyal": True,
        "seen": 1_700_000_000_123,
        "joined": 1_700_000_000_000,
        "photo": b"a",
    },
    {
        "orders": 30,
        "region": "DE",
        "rating": 1.0,
        "discount": float("inf"),
        "loyal": False,
        "seen": None,
        "joined": None,
        "photo": b"b",
    },
]


def test_numpy_columns(client: Any) -> None:
    assert client.write("customer", NUMPY_COLUMNS).rows == 2
    table = client.prepare("customer").get([1, 2])
    assert table.to_dicts() == STORED
    assert table.statuses[1].tolist() == [0, 0, 0, 0, 0, 1, 1, 0]


def test_a_structured_array(client: Any) -> None:
    columns = {name: values for name, values in NUMPY_COLUMNS.items() if name != "photo"}
    array = np.empty(2, dtype=[(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        array[name] = values
    client.write("customer", array)
    expected = [{**stored, "photo": None} for stored in STORED]
    assert client.prepare("customer").get([1, 2]).to_dicts() == expected


def test_lists_of_columns(client: Any, witness: Any) -> None:
    client.write(
        "behaviour",
        {
            "customer_id": [1, 2, 3],
            "tags": [["a"], [], None],
            "taste": np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=np.float64),
        },
    )
    table = client.prepare(features=["tags", "taste"]).get([1, 2, 3])
    assert table.column("tags").tolist() == [["a"], [], None]
    assert table.column("taste").tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert b"tags" not in witness.hgetall("customer:{3}:v1")


@pytest.mark.parametrize("as_batch", [False, True], ids=["table", "record batch"])
def test_arrow(client: Any, as_batch: bool) -> None:
    columns = {
        "customer_id": pa.array([1, 2, 3], type=pa.int16()),
        "orders": pa.array([29, None, 31], type=pa.uint32()),
        "region": pa.array(["US", None, "US"]).dictionary_encode(),
        "rating": pa.array([0.5, None, 1.5], type=pa.float32()),
        "discount": pa.array([0.1, 0.2, None]),
        "loyal": pa.array([True, None, False]),
        "seen": pa.array([1, None, 3], type=pa.timestamp("s", tz="UTC")),
        "joined": pa.array([1_999, 2_000, None], type=pa.timestamp("ms")),
        "photo": pa.array([b"\x00", b"", None], type=pa.large_binary()),
        "event_time": pa.array([T1, T1 + 1, T1 + 2], type=pa.timestamp("ms", tz="UTC")),
    }
    rows: Any = (
        pa.record_batch(columns)
        if as_batch
        else pa.concat_tables([pa.table(columns).slice(0, 1), pa.table(columns).slice(1)])
    )
    assert client.write("customer", rows).rows == 3
    table = client.prepare("customer").get([1, 2, 3])
    assert table.to_dicts() == [
        {
            "orders": 29,
            "region": "US",
            "rating": 0.5,
            "discount": 0.1,
            "loyal": True,
            "seen": 1_000,
            "joined": 1_000,
            "photo": b"\x00",
        },
        {
            "orders": None,
            "region": None,
            "rating": None,
            "discount": 0.2,
            "loyal": None,
            "seen": None,
            "joined": 2_000,
            "photo": b"",
        },
        {
            "orders": 31,
            "region": "US",
            "rating": 1.5,
            "discount": None,
            "loyal": False,
            "seen": 3_000,
            "joined": None,
            "photo": None,
        },
    ]
    assert set(table.statuses.ravel()) == {0, 1}
    assert table.event_times[:, 0].astype(np.int64).tolist() == [T1, T1 + 1, T1 + 2]


def test_what_was_read_as_arrow_can_be_written(client: Any) -> None:
    client.write("customer", NUMPY_COLUMNS)
    behaviour = {"tags": ["a"], "blobs": [b"x"], "taste": [1, 2, 3]}
    client.write("behaviour", [{"customer_id": 1, **behaviour}])
    for view, features in {"customer": None, "behaviour": ["tags", "blobs", "taste"]}.items():
        names = client.prepare("customer").features if features is None else features
        prepared = client.prepare(features=list(names))
        first = prepared.get([1, 2])
        arrow = first.to_arrow().append_column("customer_id", pa.array([11, 12]))
        client.write(view, arrow)
        again = prepared.get([11, 12])
        assert again.to_dicts() == first.to_dicts()


WRONG_VALUES: dict[str, tuple[str, Any]] = {
    "a string for an integer": ("orders", "29"),
    "a float for an integer": ("orders", 29.0),
    "a boolean for an integer": ("orders", True),
    "a NumPy boolean for an integer": ("orders", np.True_),
    "an integer of 65 bits": ("orders", 2**63),
    "a number for a string": ("region", 1),
    "bytes for a string": ("region", b"US"),
    "a lone surrogate": ("region", "\ud800"),
    "a string for a float": ("rating", "0.5"),
    "a boolean for a float": ("rating", False),
    "a float beyond Float32": ("discount", 1e39),
    "an integer for a boolean": ("loyal", 1),
    "a naive datetime": ("seen", dt.datetime(2023, 1, 1)),
    "a float for a timestamp": ("seen", 1.5),
    "a string for bytes": ("photo", "x"),
}
WRONG_LISTS: dict[str, tuple[str, Any]] = {
    "no list": ("tags", "a"),
    "an element of another type": ("tags", ["a", 1]),
    "a null element": ("counts", [1, None]),
    "a vector too short": ("taste", [1, 2]),
    "a vector too long": ("taste", np.zeros(4, dtype=np.float32)),
    "a vector of strings": ("taste", ["a", "b", "c"]),
}


@pytest.mark.parametrize("case", [*WRONG_VALUES, *WRONG_LISTS])
@pytest.mark.parametrize("as_columns", [False, True], ids=["dicts", "columns"])
def test_wrong_values_name_feature_and_row(
    client: Any, witness: Any, case: str, as_columns: bool
) -> None:
    name, wrong = {**WRONG_VALUES, **WRONG_LISTS}[case]
    view = "customer" if case in WRONG_VALUES else "behaviour"
    rows: Any = [{"customer_id": n, name: None} for n in range(3000)]
    rows[2345][name] = wrong
    if as_columns:
        rows = {"customer_id": list(range(3000)), name: [one[name] for one in rows]}
    with pytest.raises(InvalidValue, match=rf"{view}:{name} \(row 2345\)") as caught:
        client.write(view, rows)
    assert (caught.value.feature, caught.value.row) == (name, 2345)
    assert witness.keys("customer:*") == []


def test_wrong_arrays_name_the_row(client: Any, witness: Any) -> None:
    customers = np.arange(3000)
    with pytest.raises(InvalidValue, match=r"customer:orders \(row 0\) must be Int64, not float"):
        client.write("customer", {"customer_id": customers, "orders": np.zeros(3000)})
    discount = np.zeros(3000)
    discount[2345] = 1e39
    with pytest.raises(InvalidValue, match=r"customer:discount \(row 2345\).*Float32"):
        client.write("customer", {"customer_id": customers, "discount": discount})
    big = np.array([2**63], dtype=np.uint64)
    with pytest.raises(InvalidValue, match=r"customer:orders \(row 0\) is beyond 64 bits"):
        client.write("customer", {"customer_id": [1], "orders": big})
    assert witness.keys("customer:*") == []


def test_rows_that_are_not_of_the_view(client: Any, witness: Any) -> None:
    with pytest.raises(FeatureViewNotFound, match="customer"):
        client.write("customers", [])
    with pytest.raises(InvalidValue, match='row 1: view customer has no feature "order"') as value:
        client.write("customer", [{"customer_id": 1}, {"customer_id": 1, "order": 1}])
    assert (value.value.feature, value.value.row) == ("order", 1)
    with pytest.raises(InvalidValue, match='no feature "order"'):
        client.write("customer", {"customer_id": [1], "order": [1]})
    missing = "row 1 of view customer has no join key customer_id"
    with pytest.raises(InvalidKeys, match=missing) as key:
        client.write("customer", [{"customer_id": 1}, {"orders": 1}])
    assert (key.value.join_key, key.value.row) == ("customer_id", 1)
    with pytest.raises(InvalidKeys, match="no column customer_id"):
        client.write("customer", {"orders": [1]})
    with pytest.raises(InvalidValue, match="row 1 of view customer is not a dict"):
        client.write("customer", [{"customer_id": 1}, (1, 2)])
    with pytest.raises(InvalidValue, match="2 values for 3 rows"):
        client.write("customer", {"customer_id": [1, 2, 3], "orders": [1, 2]})
    with pytest.raises(InvalidKeys, match="Int64, not str"):
        client.write("customer", {"customer_id": ["1"], "orders": [1]})
    for unusable in ("rows", 5, None, np.zeros(3)):
        with pytest.raises(InvalidValue, match="customer"):
            client.write("customer", unusable)
    assert witness.keys("customer:*") == []


def test_a_key_that_is_null(client: Any, witness: Any) -> None:
    for customers in (pa.array([1, None]), np.array([1, "NaT"], dtype="datetime64[ms]")):
        rows: Any = {"customer_id": customers}
        if isinstance(customers, pa.Array):
            rows = pa.table(rows)
        with pytest.raises(InvalidKeys, match=r"customer_id \(row 1\) is null") as caught:
            client.write("customer", rows)
        assert (caught.value.join_key, caught.value.row) == ("customer_id", 1)
    with pytest.raises(InvalidKeys, match="row 1"):
        client.write("customer", [{"customer_id": 1}, {"customer_id": None}])
    assert witness.keys("customer:*") == []


def test_row_numbers_are_those_of_the_call(client: Any, witness: Any) -> None:
    rows: list[dict[str, Any]] = [{"customer_id": n, "orders": n} for n in range(4500)]
    rows[4321] = {"customer_id": "x"}
    with pytest.raises(InvalidKeys) as key:
        client.write("customer", rows)
    assert key.value.row == 4321
    rows[4321] = {"customer_id": 1, "event_time": -5}
    with pytest.raises(InvalidValue) as value:
        client.write("customer", rows)
    assert value.value.row == 4321
    columns = {"customer_id": [n if n != 4321 else "x" for n in range(4500)]}
    with pytest.raises(InvalidKeys) as key:
        client.write("customer", columns)
    assert key.value.row == 4321
    assert "row 4321" in str(key.value)
    assert witness.dbsize() == 1


def test_thousands_of_entities(client: Any, witness: Any) -> None:
    count = 12_345
    customers = np.arange(count)
    columns = {"customer_id": customers, "orders": customers * 2}
    assert client.write("customer", columns).rows == count
    # In each of the two versions that services read; the last key is the registry.
    assert witness.dbsize() == 2 * count + 1
    dicts = [{"customer_id": n, "region": f"c{n}"} for n in range(count)]
    assert client.write("customer", dicts).rows == count
    table = client.prepare(features=["orders", "region"]).get(customers)
    assert np.array_equal(table.column("orders"), customers * 2)
    assert table.column("region").tolist() == [f"c{n}" for n in range(count)]
    assert client.delete("customer", customers) == count
    assert witness.dbsize() == 1


def test_more_bytes_than_may_be_in_flight(driver: Driver, redis_url: str, client: Any) -> None:
    small = driver.connect(redis_url, max_bytes_in_flight=1 << 20)
    rows = [{"customer_id": n, "region": f"{n:05}" * 200} for n in range(10_000)]
    assert small.write("customer", rows).rows == 10_000
    # Wide rows need more batches than their number alone would.
    wide = [{"customer_id": n, "photo": bytes([n]) * (1 << 20)} for n in range(20)]
    assert small.write("customer", wide).rows == 20
    table = client.prepare(features=["region", "photo"]).get(list(range(20)), timeout=20)
    assert table.column("region").tolist() == [row["region"] for row in rows[:20]]
    assert table.column("photo").tolist() == [row["photo"] for row in wide]


def test_no_rows(client: Any, witness: Any) -> None:
    no_ids = pa.array([], type=pa.int64())
    none: list[Any] = [[], {"customer_id": []}, pa.table({"customer_id": no_ids})]
    for empty in none:
        assert client.write("customer", empty).rows == 0
    assert client.delete("customer", []) == 0
    assert witness.keys("customer:*") == []


def test_deleting_takes_one_view_only(client: Any, witness: Any) -> None:
    for customer in (1, 2):
        client.write("customer", [{"customer_id": customer, "orders": 1}], event_time=T1)
    client.write("standing", [{"customer_id": 1, "level": 5}], event_time=T1)
    witness.hset("customer:{2}:v1", "stray", "x")
    witness.hset("customer:{3}:v1", "level", "1")
    # The third customer has no row of this view, the fourth has no rows at all.
    assert client.delete("customer", {"customer_id": [1, 2, 3, 4, 1]}) == 2
    assert row(witness, "customer:{1}:v1") == {"level": b"5", "_ts:standing": b"%d" % T1}
    assert row(witness, "customer:{2}:v1") == {"stray": b"x"}
    assert row(witness, "customer:{3}:v1") == {"level": b"1"}
    table = client.prepare(features=["orders", "level"]).get([1])
    assert table.statuses.tolist() == [[2, 0]]


def test_a_key_of_another_type(client: Any, witness: Any) -> None:
    witness.set("customer:{2}:v1", "text")
    with pytest.raises(Exception, match="WRONGTYPE"):
        client.write("customer", [{"customer_id": n, "orders": n} for n in (1, 2, 3)])
