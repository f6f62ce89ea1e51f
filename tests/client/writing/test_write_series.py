"""Writes of events to series without tiles: members, repeats, trimming, expiry."""

from __future__ import annotations

import datetime as dt
import random
import time
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fscore import ConfigError, InvalidKeys, InvalidValue
from tests.client.driver import Driver
from tests.client.kinds import DAY_MS, REGISTRY
from tests.event_times import PAST_MS, shortly_ahead

T = PAST_MS
CLICKS = "clicks:user:{1}"


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


def events(witness: Any, key: str = CLICKS) -> list[tuple[str, int]]:
    """Return members and times, oldest first."""
    stored = witness.zrange(key, 0, -1, withscores=True)
    return [(member.decode(), int(score)) for member, score in stored]


def test_members_are_as_the_format_says(client: Any, witness: Any) -> None:
    rows = [
        {"user_id": 1, "page": "/a", "price": 0.5, "event_time": T},
        {"user_id": 1, "page": "100%, #1", "price": None, "event_time": T + 1},
        {"user_id": 1, "event_time": T + 2},
        {"user_id": 1, "page": "é\n{}", "price": 1e300, "event_time": T + 3},
    ]
    result = client.write("clicks", rows)
    assert (result.rows, result.unchanged, result.versions) == (4, 0, ())
    assert events(witness) == [
        (f"/a,0.5#{T}", T),
        (f"100%25%2C %231,%N#{T + 1}", T + 1),
        (f"%N,%N#{T + 2}", T + 2),
        (f"é\n{{}},1e+300#{T + 3}", T + 3),
    ]
    client.write("plain", [{"user_id": 1}], event_time=T)
    assert events(witness, "plain:user:{1}") == [(f"#{T}", T)]


def test_the_same_event_again_is_one_event(client: Any, witness: Any) -> None:
    row = {"user_id": 1, "page": "/a", "event_time": T}
    assert client.write("clicks", [row]).unchanged == 0
    assert client.write("clicks", [row, {**row, "price": None}, row]).unchanged == 3
    assert len(events(witness)) == 1
    assert client.write("clicks", [{**row, "event_time": T + 1}]).unchanged == 0
    assert client.write("clicks", [{**row, "price": 1.0}]).unchanged == 0
    assert len(events(witness)) == 3


def test_ids_tell_events_apart(client: Any, witness: Any) -> None:
    row: dict[str, Any] = {"user_id": 1, "sku": "a,b", "amount": 5, "event_time": T}
    rows = [
        {**row, "event_id": "o#1"},
        {**row, "event_id": 17},
        {**row, "event_id": "o#1"},
        {**row, "event_id": None},
        row,
    ]
    assert client.write("orders", rows).unchanged == 2
    key = "orders:pair:{1,a%2Cb}"
    assert events(witness, key) == [("5#17", T), (f"5#{T}", T), ("5#o%231", T)]
    # If an id comes with several times, the newest counts, whatever their order.
    for times in ([T + 1, T + 2], [T + 2, T + 1]):
        witness.delete(key)
        for time_ms in times:
            client.write("orders", [{**row, "event_id": 1, "event_time": time_ms}])
        assert events(witness, key) == [("5#1", T + 2)]


@pytest.mark.parametrize(
    "ids",
    [["a", None, "7"], np.array([8, 9, 10]), pa.array(["a", None, "b"]), pa.array([1, None, 3])],
    ids=["objects", "NumPy", "strings", "integers"],
)
def test_columns_of_ids(client: Any, witness: Any, ids: Any) -> None:
    columns = {"user_id": [1, 2, 3], "sku": ["s"] * 3, "amount": [1, None, 3], "event_id": ids}
    rows: Any = pa.table(columns) if isinstance(ids, pa.Array) else columns
    client.write("orders", rows, event_time=T)
    known = [one if one is not None else T for one in getattr(ids, "tolist", lambda: ids)()]
    payload = ["1", "%N", "3"]
    for number, (one, amount) in enumerate(zip(known, payload, strict=True), 1):
        assert events(witness, f"orders:pair:{{{number},s}}") == [(f"{amount}#{one}", T)]


def test_a_payload_that_repeats_moves(client: Any, witness: Any) -> None:
    key = "seen:user:{1}"
    rows = [{"user_id": 1, "product": product} for product in ("a", "b", "a")]
    for offset, row in enumerate(rows):
        assert client.write("seen", [row], event_time=T + offset).unchanged == 0
    assert events(witness, key) == [("b", T + 1), ("a", T + 2)]
    assert client.write("seen", [rows[0]], event_time=T).unchanged == 1
    assert events(witness, key) == [("b", T + 1), ("a", T + 2)]
    assert client.prepare(features=["last_seen"]).get([1], as_of=T + 9).to_dicts() == [
        {"last_seen": ["a", "b"]}
    ]


def test_events_are_trimmed_by_age_and_by_number(client: Any, witness: Any) -> None:
    old = [{"user_id": 1, "event_time": T - 7 * DAY_MS + offset} for offset in (-1, 0, 1)]
    client.write("clicks", old)
    assert len(events(witness)) == 3
    client.write("clicks", [{"user_id": 1, "event_time": T}])
    assert [when for _, when in events(witness)] == [T - 7 * DAY_MS + 1, T]
    many = [{"user_id": 1, "event_time": T + offset} for offset in range(60)]
    client.write("clicks", many[::-1])
    assert [when for _, when in events(witness)] == [T + offset for offset in range(10, 60)]
    client.write("clicks", many)
    assert [when for _, when in events(witness)] == [T + offset for offset in range(10, 60)]


def test_a_series_lives_as_long_as_its_newest_event_counts(client: Any, witness: Any) -> None:
    now = int(time.time() * 1000)
    client.write("clicks", [{"user_id": 1, "event_time": now - 3 * DAY_MS}])
    assert 0 <= witness.pexpiretime(CLICKS) - now - 7 * DAY_MS < 60_000
    ahead = shortly_ahead()
    client.write("clicks", [{"user_id": 1, "event_time": ahead}])
    assert witness.pexpiretime(CLICKS) == ahead + 7 * DAY_MS
    client.write("clicks", [{"user_id": 1, "event_time": now}])
    assert witness.pexpiretime(CLICKS) == ahead + 7 * DAY_MS
    client.write("plain", [{"user_id": 1}])
    assert witness.pttl("plain:user:{1}") == -1


def test_many_events_of_many_entities(client: Any, witness: Any) -> None:
    count = 4_321
    users = np.arange(count) % 7
    rows = {"user_id": users, "event_time": T + np.arange(count)}
    result = client.write("plain", rows)
    assert (result.rows, result.unchanged) == (count, 0)
    for user in range(7):
        expected = [T + offset for offset in range(count) if offset % 7 == user]
        assert [when for _, when in events(witness, f"plain:user:{{{user}}}")] == expected
    assert client.write("plain", rows).unchanged == count


def test_deleting_a_series(client: Any, witness: Any) -> None:
    client.write("clicks", [{"user_id": user, "page": "/"} for user in (1, 2)])
    assert client.delete("clicks", [1, 3, 1]) == 1
    assert witness.keys("clicks:*") == [b"clicks:user:{2}"]


WRONG: dict[str, tuple[str, Any]] = {
    "payload": ("page", 5),
    "time in seconds": ("event_time", T // 1_000),
    "time that a score cannot hold": ("event_time", 2**53 + 1),
    "naive time": ("event_time", dt.datetime(2030, 1, 1)),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_events(client: Any, witness: Any, case: str) -> None:
    name, value = WRONG[case]
    rows = [{"user_id": 1, "event_time": T}, {"user_id": 1, name: value}]
    with pytest.raises(InvalidValue, match=rf"clicks:{name} \(row 1\)") as caught:
        client.write("clicks", rows)
    assert (caught.value.feature, caught.value.row) == (name, 1)
    with pytest.raises(InvalidValue, match=name):
        client.write("clicks", {"user_id": [1, 1], name: [None, value]})
    assert witness.exists(CLICKS) == 0


def test_what_is_not_of_the_series(client: Any, witness: Any) -> None:
    with pytest.raises(InvalidValue, match='row 0: view clicks has no feature "event_id"'):
        client.write("clicks", [{"user_id": 1, "event_id": "a"}])
    with pytest.raises(InvalidValue, match='no feature "clicks"; it has page, price'):
        client.write("clicks", {"user_id": [1], "clicks": [5]})
    for wrong in (1.5, b"a", True):
        with pytest.raises(InvalidValue, match=r"event_id \(row 0\).*string or an integer"):
            client.write("orders", [{"user_id": 1, "sku": "a", "event_id": wrong}])
    with pytest.raises(InvalidKeys, match="row 0 of view orders has no join key sku"):
        client.write("orders", [{"user_id": 1}])
    assert witness.keys("*:{*") == []


def test_a_key_of_another_type(client: Any, witness: Any) -> None:
    witness.set("clicks:user:{2}", "text")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        client.write("clicks", [{"user_id": user, "page": "/"} for user in (1, 2, 3)])
    assert witness.zcard("clicks:user:{1}") == witness.zcard("clicks:user:{3}") == 1


# Rows and events in any order

EVENTS = st.builds(
    lambda offset, page: {"user_id": 1, "page": page, "event_time": T + offset},
    st.integers(0, 80),
    st.none() | st.sampled_from(["/a", "/b", ",#%"]),
)


@given(
    rows=st.lists(EVENTS, min_size=1, max_size=80),
    view=st.sampled_from(["clicks", "seen"]),
    chance=st.randoms(use_true_random=False),
)
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_events_in_any_order(
    client: Any, witness: Any, rows: list[dict[str, Any]], view: str, chance: random.Random
) -> None:
    if view == "seen":
        rows = [{"product": row.pop("page", None), **row} for row in map(dict, rows)]
    key = f"{view}:user:{{1}}"
    found = []
    for _ in range(3):
        witness.delete(key)
        order = rows + chance.choices(rows, k=chance.randrange(9))
        chance.shuffle(order)
        while order:
            some = order[: chance.randrange(1, 30)]
            del order[: len(some)]
            client.write(view, some)
        found.append(events(witness, key))
    assert found[0] == found[1] == found[2]
    distinct = {tuple(sorted(row.items(), key=str)) for row in rows}
    expected = len(distinct) if view == "clicks" else len({row["product"] for row in rows})
    assert len(found[0]) == min(expected, 50)
