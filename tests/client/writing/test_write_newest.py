"""Writes ordered by event time: the newest row stays, however rows arrive."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fscore import ConfigError, InvalidArgument
from tests.client.driver import PATIENCE, Driver
from tests.client.kinds import DAY_MS, REGISTRY
from tests.event_times import EARLIEST_MS, PAST_MS, shortly_ahead
from tests.shop import wide_registry

T = PAST_MS
KEY = "user:{1}:v1"


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


def write(client: Any, *rows: dict[str, Any], view: str = "profile") -> int:
    """Write rows in one call; return how many changed nothing."""
    result = client.write(view, [{"user_id": 1, **row} for row in rows], ordering="event_time")
    assert result.rows == len(rows)
    unchanged: int = result.unchanged
    return unchanged


def hashed(witness: Any, key: str = KEY) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in witness.hgetall(key).items()}


def test_an_older_row_changes_nothing(client: Any, witness: Any) -> None:
    client.write("other", [{"user_id": 1, "level": 3}], event_time=T + 9)
    assert write(client, {"age": 30, "country": "US", "score": 0.5, "event_time": T}) == 0
    assert write(client, {"age": 29, "country": "DE", "event_time": T - 1}) == 1
    newest = {"age": "30", "country": "US", "score": "0.5", "_ts:profile": str(T)}
    other = {"level": "3", "_ts:other": str(T + 9)}
    assert hashed(witness) == newest | other


def test_a_newer_row_is_the_whole_row(client: Any, witness: Any) -> None:
    client.write("other", [{"user_id": 1, "level": 3}], event_time=T)
    write(client, {"age": 30, "country": "US", "score": 0.5, "event_time": T})
    assert write(client, {"age": 31, "country": None, "event_time": T + 1}) == 0
    assert hashed(witness) == {
        **{"age": "31", "_ts:profile": str(T + 1)},
        **{"level": "3", "_ts:other": str(T)},
    }
    table = client.prepare(features=["age", "country", "score"]).get([1], as_of=T + 1)
    assert table.statuses.tolist() == [[0, 1, 1]]
    assert write(client, {"event_time": T + 2}) == 0
    assert hashed(witness)["_ts:profile"] == str(T + 2)
    assert "age" not in hashed(witness)


def test_of_rows_with_equal_times_the_greatest_text_of_each_field_stays(
    client: Any, witness: Any
) -> None:
    rows: list[dict[str, Any]] = [
        {"age": 9, "country": "Z", "score": None},
        {"age": 10, "country": "é", "score": 1.5},
        {"age": None, "country": "ZZ", "score": -2.0},
    ]
    for order in itertools.permutations(rows):
        witness.delete(KEY)
        for row in order:
            write(client, {**row, "event_time": T})
        # Texts are compared by their bytes, not as numbers and not by alphabet.
        expected = {"age": "9", "country": "é", "score": "1.5", "_ts:profile": str(T)}
        assert hashed(witness) == expected
        assert write(client, *({**row, "event_time": T} for row in order)) == 3


@pytest.mark.parametrize(
    "stored",
    ["text", "", "-5", "1e99", "0x7fffffffffff", f" {T}", "9223372036854775808", "1" * 40],
)
def test_an_invalid_stored_time_is_older_than_any(client: Any, witness: Any, stored: str) -> None:
    witness.hset(KEY, mapping={"age": "1", "country": "US", "_ts:profile": stored})
    assert write(client, {"age": 2, "event_time": EARLIEST_MS}) == 0
    assert hashed(witness) == {"age": "2", "_ts:profile": str(EARLIEST_MS)}


@pytest.mark.parametrize("stored", [2**53, 2**53 + 1, 2**63 - 1], ids=str)
def test_a_row_that_others_wrote_far_ahead_stays(client: Any, witness: Any, stored: int) -> None:
    witness.hset(KEY, mapping={"age": "1", "_ts:profile": f"0{stored}"})
    assert write(client, {"age": 2, "event_time": T}) == 1
    assert hashed(witness)["age"] == "1"


@pytest.mark.parametrize("time", [EARLIEST_MS, 999_999_999_999, T], ids=str)
def test_times_are_compared_exactly(client: Any, witness: Any, time: int) -> None:
    witness.hset(KEY, mapping={"age": "1", "_ts:profile": f"00{time + 1}"})
    assert write(client, {"age": 2, "event_time": time}) == 1
    assert hashed(witness)["age"] == "1"
    witness.hset(KEY, mapping={"age": "1", "_ts:profile": f"0{time}"})
    assert write(client, {"age": 0, "event_time": time}) == 1
    assert write(client, {"age": 2, "event_time": time + 1}) == 0
    assert hashed(witness) == {"age": "2", "_ts:profile": str(time + 1)}


def test_a_key_of_another_type_fails_its_row_and_no_other(client: Any, witness: Any) -> None:
    witness.set("user:{2}:v1", "text")
    rows = [{"user_id": user, "age": user, "event_time": T} for user in range(1, 100)]
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        client.write("profile", rows, ordering="event_time")
    for user in range(1, 100):
        if user != 2:
            assert witness.hget(f"user:{{{user}}}:v1", "age") == b"%d" % user
    witness.set("user:{2}:v1:row", b"")
    witness.lpush("user:{3}:v1:row", "x")
    rows = [packed(user_id=user) for user in range(1, 100)]
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        client.write("row", rows, ordering="event_time")
    assert witness.exists(*(f"user:{{{user}}}:v1:row" for user in range(1, 100))) == 99
    # A value that is not a packed row is older than any row.
    assert witness.strlen("user:{2}:v1:row") == witness.strlen("user:{4}:v1:row")


def test_more_fields_than_a_script_may_unpack_at_once(driver: Driver, redis_url: str) -> None:
    client = driver.connect(redis_url)
    client.apply(wide_registry(9_001))
    names = [f"f{number}" for number in range(9_001)]

    def row(value: int | None, **others: Any) -> dict[str, Any]:
        return {"row_id": 1, "event_time": T, **dict.fromkeys(names, value), **others}

    def read() -> list[Any]:
        return list(client.prepare("all").get([1], as_of=T + 1).to_dicts()[0].values())

    client.write("wide", [row(5)], ordering="event_time")
    assert read() == [5] * 9_001
    client.write("wide", [row(4, f9000=9), row(6, f0=1)], ordering="event_time")
    assert read() == [5, *[6] * 8_999, 9]
    client.write("wide", [row(None, f3=7, event_time=T + 1)], ordering="event_time")
    assert read() == [None, None, None, 7, *[None] * 8_997]


def test_other_orderings_are_refused(client: Any, witness: Any) -> None:
    with pytest.raises(InvalidArgument, match="'newest'; it must be one of arrival, event_time"):
        client.write("profile", [{"user_id": 1}], ordering="newest")
    assert witness.exists(KEY) == 0


# Expiry


def test_only_a_row_that_stays_moves_the_expiry(client: Any, witness: Any) -> None:
    ahead = shortly_ahead()
    for user, rows in enumerate([[ahead, ahead - 1], [ahead - 1, ahead]]):
        for time in rows:
            client.write("row", [packed(user_id=user, event_time=time)], ordering="event_time")
        assert witness.pexpiretime(f"user:{{{user}}}:v1:row") == ahead + 30 * DAY_MS


# Packed rows


def packed(**members: Any) -> dict[str, Any]:
    whole = {"user_id": 1, "points": 1, "name": "a", "active": True, "tags": ["x"]}
    return {**whole, "event_time": T, **members}


def test_packed_rows(client: Any, witness: Any) -> None:
    prepared = client.prepare(features=["points", "name"])

    def stored() -> dict[str, Any]:
        row: dict[str, Any] = prepared.get([1], as_of=T).to_dicts()[0]
        return row

    assert client.write("row", [packed()], ordering="event_time").unchanged == 0
    older = packed(points=9, name="z", event_time=T - 1)
    assert client.write("row", [older], ordering="event_time").unchanged == 1
    assert stored() == {"points": 1, "name": "a"}
    newer = packed(points=None, name=None, event_time=T + 1)
    assert client.write("row", [newer], ordering="event_time").unchanged == 0
    assert stored() == {"points": None, "name": None}


# A time's bytes are compared in two halves; at this time the lower half starts again at 0.
EDGE = PAST_MS >> 32 << 32


@pytest.mark.parametrize("offset", [-1, 0, 255, 256, 2**31 - 1, 2**31, 2**32 - 1], ids=str)
def test_times_of_packed_rows_are_compared_exactly(client: Any, witness: Any, offset: int) -> None:
    time, key = EDGE + offset, "user:{1}:v1:row"
    early, late = packed(event_time=time, name="z"), packed(event_time=time + 1)
    client.write("row", [late], ordering="event_time")
    row = witness.get(key)
    assert client.write("row", [early, late], ordering="event_time").unchanged == 2
    assert witness.get(key) == row
    witness.delete(key)
    assert client.write("row", [early, late], ordering="event_time").unchanged == 0
    assert witness.get(key) == row


@pytest.mark.parametrize("stored", [-(2**63), -1, 0, 2**53, 2**63 - 1], ids=str)
def test_packed_rows_that_others_wrote_may_be_of_any_time(
    client: Any, witness: Any, stored: int
) -> None:
    key = "user:{1}:v1:row"
    client.write("row", [packed()])
    row = witness.get(key)
    other = row[:5] + stored.to_bytes(8, "little", signed=True) + row[13:]
    witness.set(key, other)
    stays = stored > T
    assert client.write("row", [packed()], ordering="event_time").unchanged == stays
    assert witness.get(key) == (other if stays else row)


# Rows and events in any order

TIMES = st.integers(T, T + 3)
HASH_ROWS = st.builds(
    lambda time, row: {"user_id": 1, "event_time": time, **row},
    TIMES,
    st.fixed_dictionaries(
        {},
        optional={
            "age": st.none() | st.integers(-12, 12),
            "country": st.none() | st.sampled_from(["", "a", "ab", "B", "é", "☕", "\x00"]),
            "score": st.none() | st.sampled_from([0.5, 1.5, -2.0, 100.0]),
        },
    ),
)
PACKED_ROWS = st.builds(
    lambda time, points, name: packed(event_time=time, points=points, name=name),
    TIMES,
    st.none() | st.integers(-300, 300),
    st.none() | st.sampled_from(["", "a", "ab", "é"]),
)
SOME = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def newest(rows: list[dict[str, Any]]) -> dict[bytes, bytes]:
    """Return the hash that these rows must leave, whatever their order."""
    time = max(row["event_time"] for row in rows)
    kept = {b"_ts:profile": b"%d" % time}
    for row in rows:
        for name in ("age", "country", "score"):
            if row["event_time"] == time and row.get(name) is not None:
                text = str(row[name]).encode()
                kept[name.encode()] = max(kept.get(name.encode(), b""), text)
    return kept


def scattered(client: Any, view: str, rows: list[dict[str, Any]], chance: random.Random) -> None:
    """Write rows in random order, some of them twice, in a random number of calls."""
    order = rows + chance.choices(rows, k=chance.randrange(4))
    chance.shuffle(order)
    while order:
        some = order[: chance.randrange(1, 5)]
        del order[: len(some)]
        client.write(view, some, ordering="event_time")


@given(rows=st.lists(HASH_ROWS, min_size=1, max_size=8), chance=st.randoms(use_true_random=False))
@SOME
def test_hashes_in_any_order(
    client: Any, witness: Any, rows: list[dict[str, Any]], chance: random.Random
) -> None:
    for _ in range(3):
        witness.delete(KEY)
        scattered(client, "profile", rows, chance)
        assert witness.hgetall(KEY) == newest(rows)


@given(rows=st.lists(PACKED_ROWS, min_size=1, max_size=8), chance=st.randoms(use_true_random=False))
@SOME
def test_packed_rows_in_any_order(
    client: Any, witness: Any, rows: list[dict[str, Any]], chance: random.Random
) -> None:
    key = "user:{1}:v1:row"
    candidates = []
    for row in rows:
        client.write("row", [row])
        candidates.append((row["event_time"], witness.get(key)))
    for _ in range(3):
        witness.delete(key)
        scattered(client, "row", rows, chance)
        assert witness.get(key) == max(candidates)[1]


def test_many_writers_at_once(client: Any, witness: Any) -> None:
    """The newest of all rows stays, and it is whole."""
    chance = random.Random(3)
    shares = [[T + chance.randrange(100_000) for _ in range(25)] for _ in range(8)]

    def writer(share: list[int]) -> None:
        for time in share:
            row = {"age": time - T, "country": str(time - T), "event_time": time}
            rows = [{"user_id": user, **row} for user in range(4)]
            client.write("profile", rows, ordering="event_time")

    threads = [threading.Thread(target=writer, args=(share,)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    last = max(itertools.chain(*shares))
    expected = {"age": str(last - T), "country": str(last - T), "_ts:profile": str(last)}
    for user in range(4):
        assert hashed(witness, f"user:{{{user}}}:v1") == expected
