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
        "profile",
        [
            {
                "user_id": 1,
                "age": 29,
                "country": "Curaçao",
                "score": 0.1,
                "ratio": np.float32(0.1),
                "active": True,
                "seen": dt.datetime(2023, 11, 14, 22, 13, 20, 123_999, tzinfo=dt.UTC),
                "joined": 1_700_000_000_999,
                "token": b"\x00\xff",
            }
        ],
        event_time=T1,
    )
    assert result.rows == 1
    assert row(witness, "user:{1}:v1") == {
        "age": b"29",
        "country": "Curaçao".encode(),
        "score": b"0.1",
        "ratio": b"0.1",
        "active": b"1",
        "seen": b"1700000000123",
        "joined": b"1700000000",
        "token": b"\x00\xff",
        "_ts:profile": b"%d" % T1,
    }
    client.write(
        "behaviour",
        [
            {
                "user_id": 1,
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
    stored = row(witness, "user:{1}:v1")
    assert stored["tags"] == b'["a","b\\""]'
    assert stored["counts"] == b"[1,-2]"
    assert stored["weights"] == b"[0.5,NaN,1.0]"
    assert stored["flags"] == b"[true,false]"
    assert stored["blobs"] == b'["AA==","/w=="]'
    assert stored["times"] == b"[0,1000]"
    assert stored["taste"] == np.array([1, -2.5, 0.1], dtype="<f4").tobytes()


def test_none_is_null_and_what_is_absent_stays(client: Any, witness: Any) -> None:
    client.write("profile", [{"user_id": 1, "age": 29, "country": "US"}], event_time=T1 - 1_000)
    client.write("profile", [{"user_id": 1, "age": None}], event_time=T1)
    assert row(witness, "user:{1}:v1") == {"country": b"US", "_ts:profile": b"%d" % T1}
    table = client.prepare(features=["age", "country", "score"]).get([1])
    assert table.statuses.tolist() == [[1, 0, 1]]
    client.write("profile", [{"user_id": 2}], event_time=T1)
    assert row(witness, "user:{2}:v1") == {"_ts:profile": b"%d" % T1}


def test_later_rows_of_a_call_win(client: Any) -> None:
    rows = [{"user_id": 1, "age": age} for age in range(10)]
    client.write("profile", [*rows, {"user_id": 1, "age": None}, {"user_id": 1, "age": 99}])
    assert client.prepare(features=["age"]).get([1]).to_dicts() == [{"age": 99}]


def test_now_is_the_event_time_if_none_is_given(client: Any, witness: Any) -> None:
    before = time.time_ns() // 1_000_000
    client.write("profile", [{"user_id": 1, "age": 1}])
    client.write("profile", {"user_id": [2], "age": [1]})
    client.write("profile", [{"user_id": 3, "age": 1, "event_time": None}])
    after = time.time_ns() // 1_000_000
    for user in (1, 2, 3):
        assert before <= int(row(witness, f"user:{{{user}}}:v1")["_ts:profile"]) <= after


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
    rows: Any = {"user_id": [1, 2, 3], "event_time": times}
    if isinstance(times, pa.Array):
        rows = pa.table({"user_id": [1, 2, 3], "event_time": times})
    client.write("profile", rows)
    assert {row(witness, f"user:{{{n}}}:v1")["_ts:profile"] for n in (1, 2, 3)} == {b"%d" % T1}
    if isinstance(times, list):
        ids = [4, 5, 6]
        dicts = [{"user_id": n, "event_time": t} for n, t in zip(ids, times, strict=True)]
        client.write("profile", dicts)
        assert {row(witness, f"user:{{{n}}}:v1")["_ts:profile"] for n in ids} == {b"%d" % T1}


def test_one_event_time_for_all(client: Any, witness: Any) -> None:
    for user, given in enumerate((T1, AWARE, ELSEWHERE)):
        client.write("profile", [{"user_id": user}], event_time=given)
        client.write("profile", {"user_id": [user + 10]}, event_time=given)
        for stored in (user, user + 10):
            assert row(witness, f"user:{{{stored}}}:v1") == {"_ts:profile": b"%d" % T1}


@pytest.mark.parametrize("wrong", [-1, True, 1.5, "now", dt.datetime(2030, 1, 1), 2**63], ids=str)
def test_wrong_event_times(client: Any, witness: Any, wrong: Any) -> None:
    with pytest.raises(InvalidValue, match="event_time"):
        client.write("profile", [{"user_id": 1}], event_time=wrong)
    with pytest.raises(InvalidValue, match="event_time"):
        client.write("profile", {"user_id": [1], "event_time": [wrong]})
    with pytest.raises(InvalidValue, match="event_time") as caught:
        client.write("profile", [{"user_id": 1}, {"user_id": 1, "event_time": wrong}])
    assert (caught.value.feature, caught.value.row) == ("event_time", 1)
    assert witness.keys("user:*") == []


NUMPY_COLUMNS: dict[str, Any] = {
    "user_id": np.array([1, 2], dtype=np.int32),
    "age": np.array([29, 30], dtype=np.uint8),
    "country": np.array(["US", "DE"]),
    "score": np.array([0.07, 1], dtype=np.float32),
    "ratio": np.array([0.1, np.inf]),
    "active": np.array([True, False]),
    "seen": np.array([1_700_000_000_123, "NaT"], dtype="datetime64[ms]"),
    "joined": np.array([1_700_000_000, "NaT"], dtype="datetime64[s]"),
    "token": np.array([b"a", b"b"], dtype=object),
}
STORED = [
    {
        "age": 29,
        "country": "US",
        "score": float(np.float32(0.07)),
        "ratio": 0.1,
        "active": True,
        "seen": 1_700_000_000_123,
        "joined": 1_700_000_000_000,
        "token": b"a",
    },
    {
        "age": 30,
        "country": "DE",
        "score": 1.0,
        "ratio": float("inf"),
        "active": False,
        "seen": None,
        "joined": None,
        "token": b"b",
    },
]


def test_numpy_columns(client: Any) -> None:
    assert client.write("profile", NUMPY_COLUMNS).rows == 2
    table = client.prepare("profile").get([1, 2])
    assert table.to_dicts() == STORED
    assert table.statuses[1].tolist() == [0, 0, 0, 0, 0, 1, 1, 0]


def test_a_structured_array(client: Any) -> None:
    columns = {name: values for name, values in NUMPY_COLUMNS.items() if name != "token"}
    array = np.empty(2, dtype=[(name, values.dtype) for name, values in columns.items()])
    for name, values in columns.items():
        array[name] = values
    client.write("profile", array)
    expected = [{**stored, "token": None} for stored in STORED]
    assert client.prepare("profile").get([1, 2]).to_dicts() == expected


def test_lists_of_columns(client: Any, witness: Any) -> None:
    client.write(
        "behaviour",
        {
            "user_id": [1, 2, 3],
            "tags": [["a"], [], None],
            "taste": np.array([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=np.float64),
        },
    )
    table = client.prepare(features=["tags", "taste"]).get([1, 2, 3])
    assert table.column("tags").tolist() == [["a"], [], None]
    assert table.column("taste").tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert b"tags" not in witness.hgetall("user:{3}:v1")


@pytest.mark.parametrize("as_batch", [False, True], ids=["table", "record batch"])
def test_arrow(client: Any, as_batch: bool) -> None:
    columns = {
        "user_id": pa.array([1, 2, 3], type=pa.int16()),
        "age": pa.array([29, None, 31], type=pa.uint32()),
        "country": pa.array(["US", None, "US"]).dictionary_encode(),
        "score": pa.array([0.5, None, 1.5], type=pa.float32()),
        "ratio": pa.array([0.1, 0.2, None]),
        "active": pa.array([True, None, False]),
        "seen": pa.array([1, None, 3], type=pa.timestamp("s", tz="UTC")),
        "joined": pa.array([1_999, 2_000, None], type=pa.timestamp("ms")),
        "token": pa.array([b"\x00", b"", None], type=pa.large_binary()),
        "event_time": pa.array([T1, T1 + 1, T1 + 2], type=pa.timestamp("ms", tz="UTC")),
    }
    rows: Any = (
        pa.record_batch(columns)
        if as_batch
        else pa.concat_tables([pa.table(columns).slice(0, 1), pa.table(columns).slice(1)])
    )
    assert client.write("profile", rows).rows == 3
    table = client.prepare("profile").get([1, 2, 3])
    assert table.to_dicts() == [
        {
            "age": 29,
            "country": "US",
            "score": 0.5,
            "ratio": 0.1,
            "active": True,
            "seen": 1_000,
            "joined": 1_000,
            "token": b"\x00",
        },
        {
            "age": None,
            "country": None,
            "score": None,
            "ratio": 0.2,
            "active": None,
            "seen": None,
            "joined": 2_000,
            "token": b"",
        },
        {
            "age": 31,
            "country": "US",
            "score": 1.5,
            "ratio": None,
            "active": False,
            "seen": 3_000,
            "joined": None,
            "token": None,
        },
    ]
    assert set(table.statuses.ravel()) == {0, 1}
    assert table.event_times[:, 0].astype(np.int64).tolist() == [T1, T1 + 1, T1 + 2]


def test_what_was_read_as_arrow_can_be_written(client: Any) -> None:
    client.write("profile", NUMPY_COLUMNS)
    client.write("behaviour", [{"user_id": 1, "tags": ["a"], "blobs": [b"x"], "taste": [1, 2, 3]}])
    for view, features in {"profile": None, "behaviour": ["tags", "blobs", "taste"]}.items():
        names = client.prepare("profile").features if features is None else features
        prepared = client.prepare(features=list(names))
        first = prepared.get([1, 2])
        arrow = first.to_arrow().append_column("user_id", pa.array([11, 12]))
        client.write(view, arrow)
        again = prepared.get([11, 12])
        assert again.to_dicts() == first.to_dicts()


WRONG_VALUES: dict[str, tuple[str, Any]] = {
    "a string for an integer": ("age", "29"),
    "a float for an integer": ("age", 29.0),
    "a boolean for an integer": ("age", True),
    "a NumPy boolean for an integer": ("age", np.True_),
    "an integer of 65 bits": ("age", 2**63),
    "a number for a string": ("country", 1),
    "bytes for a string": ("country", b"US"),
    "a lone surrogate": ("country", "\ud800"),
    "a string for a float": ("score", "0.5"),
    "a boolean for a float": ("score", False),
    "a float beyond Float32": ("ratio", 1e39),
    "an integer for a boolean": ("active", 1),
    "a naive datetime": ("seen", dt.datetime(2023, 1, 1)),
    "a float for a timestamp": ("seen", 1.5),
    "a string for bytes": ("token", "x"),
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
    view = "profile" if case in WRONG_VALUES else "behaviour"
    rows: Any = [{"user_id": n, name: None} for n in range(3000)]
    rows[2345][name] = wrong
    if as_columns:
        rows = {"user_id": list(range(3000)), name: [one[name] for one in rows]}
    with pytest.raises(InvalidValue, match=rf"{view}:{name} \(row 2345\)") as caught:
        client.write(view, rows)
    assert (caught.value.feature, caught.value.row) == (name, 2345)
    assert witness.keys("user:*") == []


def test_wrong_arrays_name_the_row(client: Any, witness: Any) -> None:
    users = np.arange(3000)
    with pytest.raises(InvalidValue, match=r"profile:age \(row 0\) must be Int64, not float"):
        client.write("profile", {"user_id": users, "age": np.zeros(3000)})
    ratio = np.zeros(3000)
    ratio[2345] = 1e39
    with pytest.raises(InvalidValue, match=r"profile:ratio \(row 2345\).*Float32"):
        client.write("profile", {"user_id": users, "ratio": ratio})
    big = np.array([2**63], dtype=np.uint64)
    with pytest.raises(InvalidValue, match="Int64"):
        client.write("profile", {"user_id": [1], "age": big})
    assert witness.keys("user:*") == []


def test_rows_that_are_not_of_the_view(client: Any, witness: Any) -> None:
    with pytest.raises(FeatureViewNotFound, match="profile"):
        client.write("profiles", [])
    with pytest.raises(InvalidValue, match='row 1: view profile has no feature "agee"') as value:
        client.write("profile", [{"user_id": 1}, {"user_id": 1, "agee": 1}])
    assert (value.value.feature, value.value.row) == ("agee", 1)
    with pytest.raises(InvalidValue, match='no feature "agee"'):
        client.write("profile", {"user_id": [1], "agee": [1]})
    with pytest.raises(InvalidKeys, match="row 1 of view profile has no join key user_id") as key:
        client.write("profile", [{"user_id": 1}, {"age": 1}])
    assert (key.value.join_key, key.value.row) == ("user_id", 1)
    with pytest.raises(InvalidKeys, match="no column user_id"):
        client.write("profile", {"age": [1]})
    with pytest.raises(InvalidValue, match="row 1 of view profile is not a dict"):
        client.write("profile", [{"user_id": 1}, (1, 2)])
    with pytest.raises(InvalidValue, match="2 values for 3 rows"):
        client.write("profile", {"user_id": [1, 2, 3], "age": [1, 2]})
    with pytest.raises(InvalidKeys, match="Int64, not str"):
        client.write("profile", {"user_id": ["1"], "age": [1]})
    for unusable in ("rows", 5, None, np.zeros(3)):
        with pytest.raises(InvalidValue, match="profile"):
            client.write("profile", unusable)
    assert witness.keys("user:*") == []


def test_a_key_that_is_null(client: Any, witness: Any) -> None:
    for users in (pa.array([1, None]), np.array([1, "NaT"], dtype="datetime64[ms]")):
        rows: Any = {"user_id": users}
        if isinstance(users, pa.Array):
            rows = pa.table(rows)
        with pytest.raises(InvalidKeys, match=r"user_id \(row 1\) is null") as caught:
            client.write("profile", rows)
        assert (caught.value.join_key, caught.value.row) == ("user_id", 1)
    with pytest.raises(InvalidKeys, match="row 1"):
        client.write("profile", [{"user_id": 1}, {"user_id": None}])
    assert witness.keys("user:*") == []


def test_row_numbers_are_those_of_the_call(client: Any, witness: Any) -> None:
    rows: list[dict[str, Any]] = [{"user_id": n, "age": n} for n in range(4500)]
    rows[4321] = {"user_id": "x"}
    with pytest.raises(InvalidKeys) as key:
        client.write("profile", rows)
    assert key.value.row == 4321
    rows[4321] = {"user_id": 1, "event_time": -5}
    with pytest.raises(InvalidValue) as value:
        client.write("profile", rows)
    assert value.value.row == 4321
    columns = {"user_id": [n if n != 4321 else "x" for n in range(4500)]}
    with pytest.raises(InvalidKeys) as key:
        client.write("profile", columns)
    assert key.value.row == 4321
    assert "row 4321" in str(key.value)
    assert witness.dbsize() == 1


def test_thousands_of_entities(client: Any, witness: Any) -> None:
    count = 12_345
    users = np.arange(count)
    assert client.write("profile", {"user_id": users, "age": users * 2}).rows == count
    # In each of the two versions that services read; the last key is the registry.
    assert witness.dbsize() == 2 * count + 1
    dicts = [{"user_id": n, "country": f"c{n}"} for n in range(count)]
    assert client.write("profile", dicts).rows == count
    table = client.prepare(features=["age", "country"]).get(users)
    assert np.array_equal(table.column("age"), users * 2)
    assert table.column("country").tolist() == [f"c{n}" for n in range(count)]
    assert client.delete("profile", users) == count
    assert witness.dbsize() == 1


def test_more_bytes_than_may_be_in_flight(driver: Driver, redis_url: str, client: Any) -> None:
    small = driver.connect(redis_url, max_bytes_in_flight=1 << 20)
    rows = [{"user_id": n, "country": f"{n:05}" * 200} for n in range(10_000)]
    assert small.write("profile", rows).rows == 10_000
    # Wide rows need more batches than their number alone would.
    wide = [{"user_id": n, "token": bytes([n]) * (1 << 20)} for n in range(20)]
    assert small.write("profile", wide).rows == 20
    table = client.prepare(features=["country", "token"]).get(list(range(20)), timeout=20)
    assert table.column("country").tolist() == [row["country"] for row in rows[:20]]
    assert table.column("token").tolist() == [row["token"] for row in wide]


def test_no_rows(client: Any, witness: Any) -> None:
    none: list[Any] = [[], {"user_id": []}, pa.table({"user_id": pa.array([], type=pa.int64())})]
    for empty in none:
        assert client.write("profile", empty).rows == 0
    assert client.delete("profile", []) == 0
    assert witness.keys("user:*") == []


def test_deleting_takes_one_view_only(client: Any, witness: Any) -> None:
    for user in (1, 2):
        client.write("profile", [{"user_id": user, "age": 1}], event_time=T1)
    client.write("standing", [{"user_id": 1, "level": 5}], event_time=T1)
    witness.hset("user:{2}:v1", "stray", "x")
    witness.hset("user:{3}:v1", "level", "1")
    # The third user has no row of this view, the fourth has no rows at all.
    assert client.delete("profile", {"user_id": [1, 2, 3, 4, 1]}) == 2
    assert row(witness, "user:{1}:v1") == {"level": b"5", "_ts:standing": b"%d" % T1}
    assert row(witness, "user:{2}:v1") == {"stray": b"x"}
    assert row(witness, "user:{3}:v1") == {"level": b"1"}
    table = client.prepare(features=["age", "level"]).get([1])
    assert table.statuses.tolist() == [[2, 0]]


def test_a_key_of_another_type(client: Any, witness: Any) -> None:
    witness.set("user:{2}:v1", "text")
    with pytest.raises(Exception, match="WRONGTYPE"):
        client.write("profile", [{"user_id": n, "age": n} for n in (1, 2, 3)])
