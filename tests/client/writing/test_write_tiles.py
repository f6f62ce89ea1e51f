"""Writes of events to series with tiles: each counts once, sums are exact, old tiles go."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fscore import ConfigError
from tests.client.driver import Driver
from tests.client.kinds import DAY_MS, HOUR_MS, REGISTRY
from tests.event_times import PAST_HOUR_MS

T = PAST_HOUR_MS
"""The start of a tile."""
KEY = "tiled:user:{1}"
TILES = f"{KEY}:t{HOUR_MS}"
FIELDS = ("amount", "price", "ratio", "at")
LARGEST, SMALLEST = 2**63 - 1, -(2**63)


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


def event(offset: int = 0, **payload: Any) -> dict[str, Any]:
    return {"user_id": 1, "event_time": T + offset, **payload}


def tiles(witness: Any) -> dict[int, dict[str, str]]:
    """Return the tiles by start; each has its values by name."""
    found: dict[int, dict[str, str]] = defaultdict(dict)
    for name, value in witness.hgetall(TILES).items():
        start, of = name.decode().split(":", 1)
        found[int(start)][of] = value.decode()
    return dict(found)


def test_what_a_tile_holds(client: Any, witness: Any) -> None:
    rows = [
        event(0, amount=5, price=0.5, ratio=0.1, at=7_000, page="a"),
        event(1, amount=-7, price=-1.25, page="b"),
        event(HOUR_MS - 1, at=6_000),
        event(HOUR_MS, amount=1),
    ]
    assert client.write("tiled", rows).unchanged == 0
    assert witness.zcard(KEY) == 4
    narrow = repr(float(np.float32(0.1)))
    assert tiles(witness) == {
        T: {
            **{"n": "3", "c:amount": "2", "s:amount": "-2", "l:amount": "-7", "g:amount": "5"},
            **{"c:price": "2", "s:price": "-0.75", "l:price": "-1.25", "g:price": "0.5"},
            # Tiles add up like the events themselves: Float32s as doubles, so not exactly 0.1.
            **{"c:ratio": "1", "s:ratio": narrow, "l:ratio": narrow, "g:ratio": narrow},
            **{"c:at": "2", "s:at": "13000", "l:at": "6000", "g:at": "7000"},
        },
        T + HOUR_MS: {"n": "1", "c:amount": "1", "s:amount": "1", "l:amount": "1", "g:amount": "1"},
    }


def test_an_event_counts_once(client: Any, witness: Any) -> None:
    rows = [event(offset, amount=offset) for offset in range(5)]
    assert client.write("tiled", [*rows, rows[2]]).unchanged == 1
    first = witness.hgetall(TILES)
    assert client.write("tiled", rows[::-1]).unchanged == 5
    assert client.write("tiled", [rows[3], event(5), rows[3]]).unchanged == 2
    assert witness.hgetall(TILES) == {**first, b"%d:n" % T: b"6"}


def test_what_was_trimmed_does_not_count_again(client: Any, witness: Any) -> None:
    rows = [event(hours * HOUR_MS, amount=1) for hours in range(6)]
    client.write("tiled", rows)
    # Trimming keeps events that are less than two hours older than the newest.
    assert witness.zcard(KEY) == 2
    assert [tile["n"] for tile in tiles(witness).values()] == ["1"] * 6
    assert client.write("tiled", rows).unchanged == 6
    late = [event(3 * HOUR_MS, page="new"), event(3 * HOUR_MS + 1, page="new")]
    assert client.write("tiled", late).unchanged == 1
    assert [tile["n"] for tile in tiles(witness).values()] == ["1", "1", "1", "2", "1", "1"]


def test_integers_are_exact_to_64_bits(client: Any, witness: Any) -> None:
    amounts = [LARGEST, SMALLEST, 2**53 + 1, -(2**53) - 1, 2**40, 3, -1, 2**62]
    chance = random.Random(1)
    for _ in range(20):
        witness.delete(KEY, TILES)
        chance.shuffle(amounts)
        rows = [event(number, amount=amount) for number, amount in enumerate(amounts)]
        while rows:
            client.write(
                "tiled", [rows.pop() for _ in range(min(len(rows), chance.randrange(1, 4)))]
            )
        found = tiles(witness)[T]
        assert (found["l:amount"], found["g:amount"]) == (str(SMALLEST), str(LARGEST))
        # In some orders an intermediate sum does not fit into 64 bits.
        assert found["s:amount"] in {str(sum(amounts)), "overflow"}


def test_smallest_and_largest_of_neighbours_that_a_double_cannot_tell_apart(
    client: Any, witness: Any
) -> None:
    for base in (2**53, -(2**53) - 3, LARGEST - 3, SMALLEST):
        witness.delete(KEY, TILES)
        for offset in (1, 3, 0, 2):
            client.write("tiled", [event(offset, amount=base + offset)])
        found = tiles(witness)[T]
        assert (found["l:amount"], found["g:amount"]) == (str(base), str(base + 3))


def test_a_sum_beyond_64_bits_is_invalid_for_good(client: Any, witness: Any) -> None:
    client.write("tiled", [event(0, amount=LARGEST), event(1, amount=5)])
    assert tiles(witness)[T]["s:amount"] == "overflow"
    client.write("tiled", [event(2, amount=-5), event(3, amount=-(2**60))])
    found = tiles(witness)[T]
    assert (found["s:amount"], found["c:amount"]) == ("overflow", "4")
    assert (found["l:amount"], found["g:amount"]) == (str(-(2**60)), str(LARGEST))


def test_nan_and_infinity(client: Any, witness: Any) -> None:
    client.write("tiled", [event(0, price=math.nan)])
    assert {tiles(witness)[T][f"{part}:price"] for part in "slg"} == {"nan"}
    client.write("tiled", [event(1, price=2.0)])
    found = tiles(witness)[T]
    assert (found["s:price"], found["l:price"], found["g:price"]) == ("nan", "2.0", "2.0")
    client.write("tiled", [event(4, price=math.nan), event(5, price=2.0)])
    assert tiles(witness)[T] == {**found, "n": "4", "c:price": "4"}
    client.write("tiled", [event(2, price=-math.inf), event(3, price=3.0)])
    found = tiles(witness)[T]
    assert (found["s:price"], found["l:price"], found["g:price"]) == ("nan", "-inf", "3.0")
    client.write("tiled", [event(HOUR_MS, price=math.inf), event(HOUR_MS + 1, price=1.0)])
    found = tiles(witness)[T + HOUR_MS]
    assert (found["s:price"], found["l:price"], found["g:price"]) == ("inf", "1.0", "inf")
    client.write("tiled", [event(HOUR_MS + 2, price=-math.inf)])
    assert tiles(witness)[T + HOUR_MS]["s:price"] == "nan"


def test_tiles_go_when_their_time_is_over(client: Any, witness: Any) -> None:
    for hours in range(5):
        client.write("tiled", [event(hours * HOUR_MS, amount=1)])
    # The last tile is kept; a tile that ends at the edge is not.
    client.write("tiled", [event(30 * DAY_MS + 3 * HOUR_MS)])
    assert sorted(tiles(witness)) == [
        *(T + hours * HOUR_MS for hours in (3, 4)),
        T + 30 * DAY_MS + 3 * HOUR_MS,
    ]
    # Hour by hour, from the known times.
    client.write("tiled", [event(30 * DAY_MS + 4 * HOUR_MS - 1)])
    assert T + 3 * HOUR_MS in tiles(witness)
    client.write("tiled", [event(30 * DAY_MS + 4 * HOUR_MS)])
    assert T + 3 * HOUR_MS not in tiles(witness)
    assert T + 4 * HOUR_MS in tiles(witness)
    client.write("tiled", [event(90 * DAY_MS)])
    assert sorted(tiles(witness)) == [T + 90 * DAY_MS]


def test_tiles_go_if_the_series_has_expired(client: Any, witness: Any) -> None:
    client.write("tiled", [event(hours * HOUR_MS) for hours in range(3)])
    witness.delete(KEY)
    client.write("tiled", [event(30 * DAY_MS + 2 * HOUR_MS)])
    assert sorted(tiles(witness)) == [T + 2 * HOUR_MS, T + 30 * DAY_MS + 2 * HOUR_MS]


def test_an_event_older_than_any_tile_goes_into_none(client: Any, witness: Any) -> None:
    rows = [event(0), event(HOUR_MS), event(30 * DAY_MS + HOUR_MS)]
    assert client.write("tiled", rows).unchanged == 0
    assert sorted(tiles(witness)) == [T + HOUR_MS, T + 30 * DAY_MS + HOUR_MS]


def test_both_keys_live_as_long_as_they_count(client: Any, witness: Any) -> None:
    seconds, _ = witness.time()
    now = int(seconds) * 1000
    client.write("tiled", [{"user_id": 1, "event_time": now + 60_000}])
    assert witness.pexpiretime(KEY) == now + 60_000 + 2 * HOUR_MS
    assert witness.pexpiretime(TILES) == now + 60_000 + 30 * DAY_MS
    client.write("tiled", [{"user_id": 1, "event_time": now}])
    assert witness.pexpiretime(KEY) == now + 60_000 + 2 * HOUR_MS


def test_deleting_takes_the_tiles_too(client: Any, witness: Any) -> None:
    client.write("tiled", [event()])
    assert client.delete("tiled", [1, 2]) == 1
    assert witness.keys("tiled:*") == []


def test_a_key_of_another_type_leaves_the_other_alone(client: Any, witness: Any) -> None:
    witness.set(TILES, "text")
    rows = [event(amount=1), {**event(amount=1), "user_id": 2}]
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        client.write("tiled", rows)
    assert witness.exists(KEY) == 0
    assert witness.zcard("tiled:user:{2}") == 1
    witness.delete(TILES)
    witness.set(KEY, "text")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        client.write("tiled", rows)
    assert witness.exists(TILES) == 0


def test_many_events_of_one_entity(client: Any, witness: Any) -> None:
    """There are more events than one command takes."""
    offsets = np.arange(5_000) * 1_000
    amounts = np.arange(5_000)
    rows = {"user_id": np.ones(5_000, np.int64), "event_time": T + offsets, "amount": amounts}
    assert client.write("tiled", rows).unchanged == 0
    found = tiles(witness)
    assert sum(int(tile["n"]) for tile in found.values()) == 5_000
    assert sum(int(tile["s:amount"]) for tile in found.values()) == amounts.sum()
    assert found[T + HOUR_MS]["l:amount"] == "3600"
    assert client.write("tiled", rows).unchanged == 5_000
    assert tiles(witness) == found


# Rows and events in any order

QUARTERS = st.integers(-40, 40).map(lambda number: number / 4)
EVENTS = st.builds(
    lambda minutes, payload: event(minutes * 60_000, **payload),
    st.integers(0, 119),
    st.fixed_dictionaries(
        {},
        optional={
            "amount": st.none()
            | st.integers(-(2**58), 2**58)
            | st.sampled_from([2**53, 2**53 + 1, -(2**53) - 1, 0]),
            "price": st.none() | QUARTERS,
            "ratio": st.none() | QUARTERS,
            "at": st.none() | st.integers(0, 2**50),
            "page": st.sampled_from(["a", "b"]),
        },
    ),
)


def added_up(rows: list[dict[str, Any]]) -> dict[int, dict[str, float]]:
    """Return the tiles of these events as numbers; each event counts once."""
    whole = [{**dict.fromkeys((*FIELDS, "page")), **row} for row in rows]
    distinct = {tuple(row.values()) for row in whole}
    found: dict[int, dict[str, float]] = {}
    for values in distinct:
        row = dict(zip(whole[0], values, strict=True))
        tile = found.setdefault(row["event_time"] // HOUR_MS * HOUR_MS, {"n": 0})
        tile["n"] += 1
        for field in FIELDS:
            if (value := row[field]) is not None:
                tile[f"c:{field}"] = tile.get(f"c:{field}", 0) + 1
                tile[f"s:{field}"] = tile.get(f"s:{field}", 0) + value
                tile[f"l:{field}"] = min(tile.get(f"l:{field}", value), value)
                tile[f"g:{field}"] = max(tile.get(f"g:{field}", value), value)
    return found


def number(name: str, text: str) -> float:
    return float(text) if name.endswith(("price", "ratio")) else int(text)


@given(rows=st.lists(EVENTS, min_size=1, max_size=15), chance=st.randoms(use_true_random=False))
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_tiles_in_any_order(
    client: Any, witness: Any, rows: list[dict[str, Any]], chance: random.Random
) -> None:
    expected = added_up(rows)
    stored = []
    for _ in range(3):
        witness.delete(KEY, TILES)
        order = rows + chance.choices(rows, k=chance.randrange(5))
        chance.shuffle(order)
        while order:
            some = order[: chance.randrange(1, 6)]
            del order[: len(some)]
            client.write("tiled", some)
        stored.append((witness.zrange(KEY, 0, -1, withscores=True), witness.hgetall(TILES)))
        read = {
            start: {name: number(name, text) for name, text in tile.items()}
            for start, tile in tiles(witness).items()
        }
        assert read == expected
    assert stored[0] == stored[1] == stored[2]
