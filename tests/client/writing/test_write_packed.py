"""Writes of packed rows, and of rows in both layouts during a migration."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fscore import InvalidValue, Registry
from tests.client.driver import Driver
from tests.client.kinds import DAY_MS, REGISTRY
from tests.event_times import PAST_MS, shortly_ahead

T = PAST_MS
KEY = "user:{1}:v1:row"
ROW = {"points": 7, "name": "é", "active": True, "tags": ["a", "b"]}


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


def read(client: Any, user: int = 1) -> dict[str, Any]:
    prepared = client.prepare(features=list(ROW))
    row: dict[str, Any] = prepared.get([user], as_of=T).to_dicts()[0]
    return row


def test_a_row_is_one_string(client: Any, witness: Any) -> None:
    assert client.write("row", [{"user_id": 1, **ROW}], event_time=T).versions == (1,)
    stored = witness.get(KEY)
    # Format, fingerprint, event time, bitmap, 8 bytes, two ends, a byte, the tail.
    assert len(stored) == 1 + 4 + 8 + 1 + 8 + 4 + 1 + 4 + len("é".encode()) + len('["a","b"]')
    assert stored[5:13] == T.to_bytes(8, "little")
    assert witness.exists("user:{1}:v1") == 0
    assert read(client) == ROW
    client.write("row", [{"user_id": 1, **dict.fromkeys(ROW)}], event_time=T - 9)
    # The last row to arrive stays, even if it is older.
    assert read(client) == dict.fromkeys(ROW)


def test_columns(client: Any) -> None:
    columns = {
        "user_id": np.array([1, 2]),
        "points": np.array([7, 8]),
        "name": ["é", None],
        "active": np.array([True, False]),
        "tags": [["a", "b"], []],
    }
    client.write("row", columns, event_time=T)
    second: dict[str, Any] = {"points": 8, "name": None, "active": False, "tags": []}
    assert [read(client, user) for user in (1, 2)] == [ROW, second]
    table = pa.table({**columns, "user_id": [3, 4], "points": pa.array([None, 8])})
    client.write("row", table, event_time=T)
    assert [read(client, user) for user in (3, 4)] == [{**ROW, "points": None}, second]


@pytest.mark.parametrize("ordering", ["arrival", "event_time"])
def test_a_row_brings_every_feature(client: Any, witness: Any, ordering: str) -> None:
    rows: list[dict[str, Any]] = [{"user_id": user, **ROW} for user in range(3_000)]
    del rows[2345]["active"]
    with pytest.raises(InvalidValue, match=r"row:active \(row 2345\) is missing") as caught:
        client.write("row", rows, ordering=ordering)
    assert (caught.value.feature, caught.value.row) == ("active", 2345)
    with pytest.raises(InvalidValue, match=r"row:points \(row 0\) is missing"):
        client.write("row", {"user_id": [1], "name": ["a"]}, ordering=ordering)
    assert witness.keys("user:*") == []


def test_a_row_lives_as_long_as_it_counts(client: Any, witness: Any) -> None:
    now = int(time.time() * 1000)
    ahead = shortly_ahead()
    client.write("row", [{"user_id": 1, **ROW}], event_time=ahead)
    assert witness.pexpiretime(KEY) == ahead + 30 * DAY_MS
    client.write("row", [{"user_id": 1, **ROW}], event_time=now - 90 * DAY_MS)
    assert 0 <= witness.pexpiretime(KEY) - now - 30 * DAY_MS < 60_000


def test_deleting(client: Any, witness: Any) -> None:
    client.write("row", [{"user_id": user, **ROW} for user in (1, 2)])
    client.write("profile", [{"user_id": 1, "age": 5}])
    assert client.delete("row", [1, 3, 1]) == 1
    assert sorted(witness.keys("user:*")) == [b"user:{1}:v1", b"user:{2}:v1:row"]


@pytest.mark.parametrize("ordering", ["arrival", "event_time"])
def test_both_layouts_are_written_during_a_migration(
    client: Any, witness: Any, ordering: str
) -> None:
    data = json.loads(REGISTRY.to_json())
    data["views"]["row"]["migrating_from"] = "hash"
    client.apply(Registry.from_json(json.dumps(data)), allow_unsafe=True)
    result = client.write("row", [{"user_id": 1, **ROW}], event_time=T, ordering=ordering)
    assert (result.rows, result.unchanged) == (1, 0)
    assert read(client) == ROW
    hashed = {
        **{b"points": b"7", b"name": "é".encode(), b"active": b"1", b"tags": b'["a","b"]'},
        b"_ts:row": b"%d" % T,
    }
    assert witness.hgetall("user:{1}:v1") == hashed
    older = {"user_id": 1, **dict.fromkeys(ROW)}
    client.write("row", [older], event_time=T - 1, ordering="event_time")
    assert read(client) == ROW
    assert witness.hgetall("user:{1}:v1") == hashed
    assert client.delete("row", [1]) == 1
    assert witness.keys("user:*") == []
