"""Writes of flags: each sets the bit whose number is in the entity's id."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fscore import ConfigError, InvalidKeys, InvalidValue
from tests.client.driver import Driver
from tests.client.kinds import REGISTRY


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


def flags(witness: Any, feature: str) -> set[int]:
    """Return the numbers whose bit is set."""
    found = set()
    for key in witness.keys(f"flag:{feature}:*"):
        shard = int(key.rpartition(b":")[2].strip(b"{}"))
        bits = np.unpackbits(np.frombuffer(witness.get(key), np.uint8))
        found |= {shard * 65_536 + int(offset) for offset in np.flatnonzero(bits)}
    return found


def test_bits_are_where_the_format_says(client: Any, witness: Any) -> None:
    ids = [0, 7, 65_535, 65_536, 70_000, 2**40]
    result = client.write("consents", [{"user_id": one, "consent": True} for one in ids])
    assert (result.rows, result.unchanged, result.versions) == (6, 0, ())
    assert sorted(witness.keys("*consent:*")) == [
        *(b"flag:consent:{0}", b"flag:consent:{16777216}", b"flag:consent:{1}"),
    ]
    assert witness.getbit("flag:consent:{1}", 70_000 - 65_536) == 1
    assert flags(witness, "consent") == set(ids)
    assert all(witness.strlen(key) <= 8_192 for key in witness.keys("flag:*"))


def test_none_leaves_a_flag_and_false_clears_it(client: Any, witness: Any) -> None:
    rows = [
        {"member_id": "user_0001", "has_seen": True, "has_bought": True},
        {"member_id": "user_12345", "has_seen": True},
    ]
    client.write("promotions", rows)
    client.write("promotions", [{"member_id": "user_0001", "has_seen": None, "has_bought": False}])
    assert flags(witness, "has_seen") == {1, 12_345}
    assert flags(witness, "has_bought") == set()
    client.write("promotions", [{"member_id": "user_0001"}])
    prepared = client.prepare(features=["has_seen", "has_bought"])
    assert prepared.get(["user_0001", "user_12345", "user_0002"]).to_dicts() == [
        {"has_seen": True, "has_bought": False},
        {"has_seen": True, "has_bought": False},
        {"has_seen": False, "has_bought": False},
    ]


@pytest.mark.parametrize("form", [lambda columns: columns, pa.table], ids=["NumPy", "Arrow"])
def test_columns(client: Any, witness: Any, form: Any) -> None:
    chance = random.Random(5)
    ids = np.array([chance.randrange(300_000) for _ in range(5_000)])
    values = np.array([chance.random() < 0.7 for _ in ids])
    assert client.write("consents", form({"user_id": ids, "consent": values})).rows == 5_000
    expected: dict[int, bool] = {}
    # The last row of an entity counts.
    expected.update(zip(ids.tolist(), values.tolist(), strict=True))
    assert flags(witness, "consent") == {one for one, value in expected.items() if value}


def test_a_column_with_nulls(client: Any, witness: Any) -> None:
    client.write("consents", {"user_id": [1, 2], "consent": [True, True]})
    nulls = pa.table({"user_id": [1, 2, 3], "consent": pa.array([None, False, True])})
    client.write("consents", nulls)
    assert flags(witness, "consent") == {1, 3}


@pytest.mark.parametrize(
    "wrong", ["user_1", "user_00001", "User_0001", "user_", "user_-001", "0001"]
)
def test_ids_that_the_pattern_does_not_write(client: Any, witness: Any, wrong: str) -> None:
    rows = [{"member_id": one, "has_seen": True} for one in ("user_0001", wrong)]
    with pytest.raises(InvalidKeys, match=r"member_id \(row 1\).*user_%04d") as caught:
        client.write("promotions", rows)
    assert (caught.value.join_key, caught.value.row) == ("member_id", 1)
    with pytest.raises(InvalidKeys, match=r"row 0"):
        client.delete("promotions", [wrong])
    assert witness.keys("flag:*") == []


def test_wrong_flags(client: Any, witness: Any) -> None:
    with pytest.raises(InvalidKeys, match=r"user_id \(row 1\) is negative"):
        client.write("consents", [{"user_id": one, "consent": True} for one in (1, -1)])
    for wrong in (1, "true"):
        with pytest.raises(InvalidValue, match=r"consents:consent \(row 0\) must be Bool"):
            client.write("consents", [{"user_id": 1, "consent": wrong}])
    with pytest.raises(InvalidValue, match='no feature "consents"'):
        client.write("consents", [{"user_id": 1, "consents": True}])
    assert witness.keys("flag:*") == []


def test_deleting_clears_every_flag_of_the_view(client: Any, witness: Any) -> None:
    ids = [f"user_{number:04}" for number in range(5)]
    client.write("promotions", {"member_id": ids, "has_seen": [True] * 5, "has_bought": [True] * 5})
    client.write("consents", {"user_id": [1], "consent": [True]})
    # The last member has no flags, and the first is named twice.
    assert client.delete("promotions", [ids[1], ids[3], ids[1], "user_0099"]) == 2
    assert flags(witness, "has_seen") == flags(witness, "has_bought") == {0, 2, 4}
    assert flags(witness, "consent") == {1}


def test_a_key_of_another_type(client: Any, witness: Any) -> None:
    witness.lpush("flag:consent:{0}", "x")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        client.write("consents", {"user_id": [1, 70_000], "consent": [True, True]})
    assert witness.getbit("flag:consent:{1}", 70_000 - 65_536) == 1
