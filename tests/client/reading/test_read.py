"""Reading: every type, every status, keys of every kind."""

from __future__ import annotations

import json
import math
import struct
import time
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest

from fscore import (
    Bool,
    Bytes,
    Entity,
    EntityNotFound,
    Feature,
    FeatureNotFound,
    FeatureServiceNotFound,
    FeatureView,
    Float32,
    Float64,
    Int64,
    InvalidArgument,
    InvalidKeys,
    List,
    Registry,
    RequestTooLarge,
    Status,
    String,
    Timestamp,
    Vector,
)
from tests.client.driver import Driver
from tests.event_times import RECENT_MS
from tests.shop import HOUR_MS, REGISTRY, wide_registry

NOW = RECENT_MS

CUSTOMER = {
    "orders": "29",
    "region": "US",
    "rating": "0.07",
    "discount": "0.1",
    "loyal": "1",
    "seen": "1700000000123",
    "joined": "1700000000",
    "photo": b"\x00\xff\r\n",
}
CUSTOMER_VALUES = {
    "orders": 29,
    "region": "US",
    "rating": 0.07,
    "discount": 0.1,
    "loyal": True,
    "seen": 1_700_000_000_123,
    "joined": 1_700_000_000_000,
    "photo": b"\x00\xff\r\n",
}
BEHAVIOUR: dict[str, Any] = {
    "tags": '["a","b\\"c","☕"]',
    "counts": "[1,-2]",
    "weights": "[0.5,1]",
    "flags": "[true,false]",
    "blobs": '["AP8="]',
    "times": "[1700000000123]",
    "taste": struct.pack("<3f", 1.0, -2.5, 0.1),
}
BEHAVIOUR_VALUES = {
    "tags": ["a", 'b"c', "☕"],
    "counts": [1, -2],
    "weights": [0.5, 1.0],
    "flags": [True, False],
    "blobs": [b"\x00\xff"],
    "times": [1_700_000_000_123],
    "taste": [1.0, -2.5, 0.1],
}
STANDING_DEFAULTS = {"level": 7, "tier": "none", "credit": 0.5, "vip": True}


def statuses(table: Any, row: int = 0) -> dict[str, str]:
    """Return the names of the statuses of a row."""
    codes = table.statuses[row]
    return {name: Status(code).name for name, code in zip(table.features, codes, strict=True)}


def test_every_type(client: Any, witness: Any) -> None:
    witness.hset("customer:{1}:v1", mapping={**CUSTOMER, **BEHAVIOUR, "_ts:customer": NOW})
    table = client.prepare("overview").get([1])
    assert table.to_dicts() == [{**CUSTOMER_VALUES, **STANDING_DEFAULTS, **BEHAVIOUR_VALUES}]
    assert {type(value) for value in table.to_dicts()[0].values()} == {
        int,
        str,
        float,
        bool,
        bytes,
        list,
    }


def test_what_was_written_by_hand_is_served(client: Any, witness: Any) -> None:
    witness.execute_command("HSET customer:{1234}:v1 orders 29 region US")
    table = client.prepare(features=["orders", "region", "rating"]).get([1234])
    assert table.to_dicts() == [{"orders": 29, "region": "US", "rating": None}]
    assert statuses(table) == {"orders": "PRESENT", "region": "PRESENT", "rating": "NOT_FOUND"}
    assert np.isnat(table.event_times).all()
    assert not table.all_present


def test_each_status_and_its_default(client: Any, witness: Any) -> None:
    old = 1_000
    defaulted = {"level": 7, "tier": "none", "credit": 0.5, "vip": True}
    rows: dict[int, dict[str, Any]] = {
        1: {"level": "3", "tier": "gold", "credit": "1.5", "vip": "0", "_ts:standing": NOW},
        2: {"_ts:standing": NOW},
        3: {},
        4: {"level": "3", "tier": "gold", "credit": "1.5", "vip": "0", "_ts:standing": old},
        5: {"level": "x", "tier": b"\xff", "credit": "", "vip": "yes", "_ts:standing": NOW},
        6: {"level": "3", "tier": "gold", "credit": "1.5", "vip": "0", "_ts:standing": "soon"},
    }
    for row, fields in rows.items():
        if fields:
            witness.hset(f"customer:{{{row}}}:v1", mapping=fields)
    witness.set("customer:{7}:v1", "no hash")
    table = client.prepare(features=["level", "tier", "credit", "vip"]).get([1, 2, 3, 4, 5, 6, 7])
    empty = dict.fromkeys(defaulted)
    assert table.to_dicts() == [
        {"level": 3, "tier": "gold", "credit": 1.5, "vip": False},
        defaulted,
        defaulted,
        defaulted,
        empty,
        empty,
        empty,
    ]
    found = [set(statuses(table, row).values()) for row in range(7)]
    assert found == [
        {"PRESENT"},
        {"NULL"},
        {"NOT_FOUND"},
        {"EXPIRED"},
        {"INVALID"},
        {"INVALID"},
        {"INVALID"},
    ]
    assert table.invalid == 12
    assert table.count_statuses() == [4, 4, 4, 4, 12, 0]
    assert [(row, feature) for row, feature, _ in table.problems] == [
        (4, "level"),
        (4, "tier"),
        (4, "credit"),
        (4, "vip"),
        (5, None),
        (6, None),
    ]
    assert "'x'" in table.problems[0][2] or '"x"' in table.problems[0][2]
    counts = "4 PRESENT, 4 NULL, 4 NOT_FOUND, 4 EXPIRED, 12 INVALID"
    assert repr(table).startswith(f"<FeatureTable 7 rows x 4 features, {counts}, version 1>\n")


@pytest.mark.parametrize("service", ["all", "one"])
def test_wrong_values_do_not_disturb_their_neighbours(
    driver: Driver, redis_url: str, witness: Any, service: str
) -> None:
    client = driver.connect(redis_url)
    client.apply(wide_registry(30))
    for row in range(5):
        witness.hset(f"row:{{{row}}}:v1", mapping={f"f{n}": f"{row}{n}" for n in range(30)})
    witness.hset("row:{2}:v1", "f0", "1.5")
    witness.delete("row:{3}:v1")
    witness.lpush("row:{3}:v1", "a list")
    table = client.prepare(service).get([0, 1, 2, 3, 4])
    assert [row["f0"] for row in table.to_dicts()] == [0, 10, None, None, 40]
    assert table.statuses[:, 0].tolist() == [0, 0, 4, 4, 0]
    assert table.event_times.shape == table.shape


def test_hmget_and_hgetall_answer_alike(driver: Driver, redis_url: str, witness: Any) -> None:
    client = driver.connect(redis_url)
    client.apply(wide_registry(40))
    for row in range(8):
        # Some fields are missing, some invalid, some unknown to the view; the order is reversed.
        fields = {f"f{n}": str(row * n) for n in reversed(range(40)) if (row + n) % 3}
        witness.hset(f"row:{{{row}}}:v1", mapping={**fields, "stray": "?", "f7": "seven"})
    witness.hset("row:{3}:v1", "_ts:wide", 1_000)
    rows = list(range(10))
    whole, parts = client.prepare("all"), []
    assert whole.strategies == {"row": "HGETALL"}
    for start in range(0, 40, 5):
        some = client.prepare(features=[f"f{n}" for n in range(start, start + 5)])
        assert some.strategies == {"row": "HMGET"}
        parts.append(some.get(rows))
    at_once = whole.get(rows)
    assert np.array_equal(at_once.statuses, np.hstack([part.statuses for part in parts]))
    assert at_once.to_dicts() == [
        {name: value for row in same for name, value in row.items()}
        for same in zip(*(part.to_dicts() for part in parts), strict=True)
    ]
    assert set(at_once.statuses.ravel()) == {0, 1, 2, 4}
    assert np.array_equal(
        at_once.event_times, np.hstack([part.event_times for part in parts]), equal_nan=True
    )


def test_the_ttl_ends_to_the_millisecond(client: Any) -> None:
    client.write("customer", [{"customer_id": 1, "orders": 29}], event_time=NOW)
    prepared = client.prepare(features=["orders"])
    last = datetime.fromtimestamp((NOW + HOUR_MS - 1) / 1000, UTC)
    assert statuses(prepared.get([1], as_of=last)) == {"orders": "PRESENT"}
    table = prepared.get([1], as_of=NOW + HOUR_MS)
    assert statuses(table) == {"orders": "EXPIRED"}
    assert table.to_dicts() == [{"orders": None}]
    assert table.event_times.tolist() == [[np.datetime64(NOW, "ms").astype(object)]]


@pytest.mark.parametrize("as_of", [-1, 1.5, True, "now", datetime(2026, 1, 1)])
def test_an_invalid_as_of_is_refused(client: Any, as_of: Any) -> None:
    with pytest.raises(InvalidArgument, match="as_of"):
        client.prepare(features=["orders"]).get([1], as_of=as_of)


def test_duplicates_are_answered_in_order_and_read_once(client: Any, witness: Any) -> None:
    for row in range(3):
        witness.hset(f"customer:{{{row}}}:v1", "orders", row)
    prepared = client.prepare(features=["orders", "region"])
    witness.config_resetstat()
    table = prepared.get([2, 0, 2, 2, 1, 0])
    assert table.column("orders").tolist() == [2, 0, 2, 2, 1, 0]
    assert witness.info("commandstats")["cmdstat_hmget"]["calls"] == 3


def test_a_problem_of_a_duplicate_names_its_first_row(client: Any, witness: Any) -> None:
    witness.hset("customer:{5}:v1", "orders", "many")
    table = client.prepare(features=["orders"]).get([1, 5, 5])
    assert table.statuses.ravel().tolist() == [2, 4, 4]
    assert [(row, name) for row, name, _ in table.problems] == [(1, "orders")]
    assert table.invalid == 2


def test_a_service_of_several_entities(client: Any, witness: Any) -> None:
    witness.hset("customer:{1}:v1", "orders", "29")
    witness.hset("article:{a%2Fb}:v1".replace("%2F", "/"), mapping={"cost": "9.5", "left": "3"})
    witness.hset("affinity:{1,a/b}:v1", "likes", "12")
    prepared = client.prepare("offers")
    assert prepared.join_keys == {"sku": "String", "customer_id": "Int64"}
    assert prepared.features == ("cost", "orders", "liked", "left")
    witness.config_resetstat()
    table = prepared.get({"customer_id": [1, 1, 2], "sku": ["a/b", "z", "a/b"]})
    assert table.to_dicts() == [
        {"cost": 9.5, "orders": 29, "liked": 12, "left": 3},
        {"cost": None, "orders": 29, "liked": None, "left": None},
        {"cost": 9.5, "orders": None, "liked": None, "left": 3},
    ]
    # Two customers, two articles, three pairs.
    assert witness.info("commandstats")["cmdstat_hmget"]["calls"] == 7


def test_composite_keys_are_joined_in_declared_order(client: Any, witness: Any) -> None:
    rows = [
        {"sku": "x,1", "customer_id": 7, "likes": 1},
        {"sku": "1", "customer_id": -7, "likes": 2},
    ]
    assert client.write("affinity", rows).rows == 2
    keys = {bytes(key) for key in witness.keys("affinity:*")}
    assert keys == {b"affinity:{7,x%2C1}:v1", b"affinity:{-7,1}:v1"}
    table = client.prepare(entity="affinity").get({"customer_id": [-7, 7], "sku": ["1", "x,1"]})
    assert table.to_dicts() == [{"likes": 2}, {"likes": 1}]


STRANGE_IDS = {
    "plain": "plain",
    "a{b}c": "a%7Bb%7Dc",
    "a:b": "a%3Ab",
    "100%": "100%25",
    "nul\x00": "nul%00",
    "cr\rlf\n": "cr%0Dlf%0A",
    "two words": "two%20words",
    "☕": "%E2%98%95",
    "👩‍🚀": "%F0%9F%91%A9%E2%80%8D%F0%9F%9A%80",
    "%7B": "%257B",
    "x" * 512: "x" * 512,
    "}" * 512: "%7D" * 512,
}


def test_strange_ids(client: Any, witness: Any) -> None:
    ids = list(STRANGE_IDS)
    client.write("membership", [{"member_id": one, "rank": n} for n, one in enumerate(ids)])
    stored = {key.decode() for key in witness.keys("member:*")}
    assert stored == {f"member:{{{escaped}}}:v1" for escaped in STRANGE_IDS.values()}
    table = client.prepare(entity="member").get({"member_id": ids})
    assert table.column("rank").tolist() == list(range(len(ids)))
    assert client.delete("membership", ids) == len(ids)
    assert witness.keys("member:*") == []


@pytest.mark.parametrize("bad", ["", "x" * 513, "☕" * 171])
def test_ids_that_cannot_be_part_of_a_key(client: Any, bad: str) -> None:
    prepared = client.prepare(entity="member")
    for call in (
        lambda: prepared.get(["fine", bad]),
        lambda: client.write("membership", [{"member_id": "fine"}, {"member_id": bad}]),
        lambda: client.delete("membership", ["fine", bad]),
    ):
        with pytest.raises(InvalidKeys, match="member_id") as caught:
            call()
        assert (caught.value.join_key, caught.value.row) == ("member_id", 1)


@pytest.mark.parametrize(
    "ids",
    [
        [9223372036854775807, -9223372036854775808, 0],
        (1, 2, 3),
        np.array([1, 2, 3]),
        np.array([1, 2, 3], dtype=np.int32),
        np.array([1, 2, 3], dtype=np.uint64),
        np.arange(6)[::2],
        [np.int64(3), 4, 5],
        range(3, 6),
        pa.array([3, 4, 5], type=pa.int16()),
        pa.chunked_array([[3], [4, 5]]),
    ],
    ids=[
        *("limits", "tuple", "int64", "int32", "uint64", "strided", "scalars", "range"),
        *("arrow", "chunked"),
    ],
)
def test_integer_keys(client: Any, witness: Any, ids: Any) -> None:
    plain = [int(str(one)) for one in ids]
    for one in plain:
        witness.hset(f"customer:{{{one}}}:v1", "region", str(one))
    prepared = client.prepare(features=["region"])
    expected = [str(one) for one in plain]
    assert prepared.get(ids).column("region").tolist() == expected
    for columns in ({"customer_id": ids}, MappingProxyType({"customer_id": ids})):
        assert prepared.get(columns).column("region").tolist() == expected


def test_no_keys_no_rows(client: Any) -> None:
    started = time.monotonic()
    table = client.prepare("overview").get([], timeout=20)
    assert time.monotonic() - started < 10
    assert (len(table), table.shape, table.to_dicts()) == (0, (0, 19), [])
    assert table.all_present
    none = np.array([], dtype=np.int64)
    assert client.prepare(features=["orders"]).get(none).to_numpy().shape == (0, 1)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["1"], "Int64, not str"),
        ([True], "Int64, not bool"),
        ([1.0], "Int64, not float"),
        ([None], r"customer_id \(row 0\) is null"),
        ([1, 2**63], "row 1.*64 bits"),
        (np.array([2**63], dtype=np.uint64), "row 0.*64 bits"),
        ({"uid": [1]}, "uid"),
        ({}, "customer_id"),
        ({"customer_id": 1}, "list"),
        ("1", "list"),
        (1, "list"),
        ({1: [1]}, "strings"),
    ],
)
def test_wrong_keys(client: Any, keys: Any, said: str) -> None:
    with pytest.raises(InvalidKeys, match=said):
        client.prepare(features=["orders"]).get(keys)


def test_wrong_keys_of_several(client: Any) -> None:
    prepared = client.prepare("offers")
    with pytest.raises(InvalidKeys, match="sku has 1 values, and customer_id has 2"):
        prepared.get({"customer_id": [1, 2], "sku": ["a"]})
    with pytest.raises(InvalidKeys, match="sku is missing"):
        prepared.get({"customer_id": [1, 2]})
    with pytest.raises(InvalidKeys, match="several join keys"):
        prepared.get([1, 2])


def test_too_many_rows(driver: Driver, redis_url: str, client: Any) -> None:
    small = driver.connect(redis_url, max_keys=10)
    prepared = small.prepare(features=["orders"])
    assert len(prepared.get(list(range(10)))) == 10
    with pytest.raises(RequestTooLarge, match="10") as caught:
        prepared.get(list(range(11)))
    assert caught.value.limit == 10


def test_names_and_options_of_a_read_must_exist(client: Any) -> None:
    with pytest.raises(FeatureServiceNotFound, match="customer"):
        client.prepare("customers")
    with pytest.raises(FeatureNotFound, match="orders"):
        client.prepare(features=["order"])
    with pytest.raises(EntityNotFound, match="customer"):
        client.prepare(entity="customers")
    with pytest.raises(InvalidArgument, match="list of names"):
        client.prepare(features="orders")
    with pytest.raises(InvalidArgument, match="consistency"):
        client.prepare(features=["orders"]).get([1], consistency="strong")


def test_versions_are_apart(client: Any, witness: Any) -> None:
    for version in (1, 2, 3):
        row = {"customer_id": 1, "orders": version}
        client.write("customer", [row], version=version)
    prepared = client.prepare("second")
    assert prepared.version == 2
    assert prepared.get([1]).column("orders").tolist() == [2]
    assert prepared.get([1]).version == 2
    pinned = prepared.get([1], version=3)
    assert (pinned.column("orders").tolist(), pinned.version) == ([3], 3)
    assert client.delete("customer", [1], version=3) == 1
    assert prepared.get([1], version=3).statuses.tolist() == [[2, 2]]
    assert prepared.get([1], version=2, consistency="primary").column("orders").tolist() == [2]
    for wrong in (0, -1, True, "2", 1.0, 2**63):
        with pytest.raises(InvalidArgument, match="version"):
            prepared.get([1], version=wrong)


def test_a_prefix_keeps_tenants_apart(driver: Driver, redis_url: str, witness: Any) -> None:
    tenants = {
        name: driver.connect(redis_url, key_prefix=f"{name}:") for name in ("acme", "globex")
    }
    for orders, (name, tenant) in enumerate(tenants.items()):
        assert tenant.revision == 0
        tenant.apply(REGISTRY)
        tenant.write("customer", [{"customer_id": 1, "orders": orders}])
        assert witness.hget(f"{name}:customer:{{1}}:v1", "orders") == str(orders).encode()
    for orders, tenant in enumerate(tenants.values()):
        assert tenant.prepare(features=["orders"]).get([1]).to_dicts() == [{"orders": orders}]
    assert {key.partition(b":")[0] for key in witness.keys("*")} == {b"acme", b"globex"}


def test_nan_and_infinity_make_valid_json(client: Any, witness: Any) -> None:
    text = 'quote " backslash \\ \x00\x1f\u2028 ☕'
    fields = {"rating": "nan", "discount": "inf", "region": text, "photo": b"\xff\x00"}
    witness.hset("customer:{1}:v1", mapping=fields)
    witness.hset("customer:{1}:v1", mapping={"weights": "[NaN,-Infinity,0.1]"})
    prepared = client.prepare(features=["rating", "discount", "region", "photo", "weights"])
    table = prepared.get([1])

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    document = json.loads(table.to_json(), parse_constant=refuse)
    assert document["features"] == ["rating", "discount", "region", "photo", "weights"]
    assert document["entities"] == {"customer_id": [1]}
    assert document["values"] == [[None, None, text, "/wA=", [None, None, 0.1]]]
    one = json.loads(table.to_json_one(), parse_constant=refuse)
    assert one["features"]["region"] == text
    assert one["features"]["rating"] is None
    values = table.to_dicts()[0]
    assert math.isnan(values["rating"])
    assert values["discount"] == math.inf
    with_times = json.loads(table.to_json(timestamps=True), parse_constant=refuse)
    assert with_times["values"] == document["values"]
    with pytest.raises(ValueError, match="no rows"):
        prepared.get([]).to_json_one()


def test_json_has_statuses_if_something_is_missing(client: Any) -> None:
    client.write("customer", [{"customer_id": 1, "orders": 29, "region": None}], event_time=NOW)
    prepared = client.prepare(features=["orders", "region"])
    document = json.loads(prepared.get([1, 2]).to_json())
    assert document["statuses"] == [["PRESENT", "NULL"], ["NOT_FOUND", "NOT_FOUND"]]
    assert document["version"] == 1
    whole = json.loads(client.prepare(features=["orders"]).get([1]).to_json())
    assert "statuses" not in whole
    one = json.loads(prepared.get([1]).to_json_one())
    assert one == {
        "entity": {"customer_id": 1},
        "features": {"orders": 29, "region": None},
        "statuses": {"orders": "PRESENT", "region": "NULL"},
        "version": 1,
    }


def test_the_first_problems_are_reported_and_all_are_counted(client: Any, witness: Any) -> None:
    for customer in range(50):
        witness.hset(f"customer:{{{customer}}}:v1", "orders", f"x{customer}" * 100)
    table = client.prepare(features=["orders"]).get(list(range(50)))
    assert table.invalid == 50
    assert [row for row, _, _ in table.problems] == list(range(32))
    # A message shows only the beginning of a long value.
    assert all(len(reason) < 200 for _, _, reason in table.problems)


class Defaults(FeatureView, entity=Entity("user", join_keys={"user_id": Int64})):
    whole: Int64 = Feature(default=-1)
    real: Float64 = Feature(default=0.1)
    single: Float32 = Feature(default=0.1)
    flag: Bool = Feature(default=False)
    text: String = Feature(default="☕")
    raw: Bytes = Feature(default=b"\x00\xff")
    moment: Timestamp = Feature(default=1_700_000_000_123)
    second: Timestamp[Literal["s"]] = Feature(default=1_700_000_000_000)
    words: List[String] = Feature(default=["a", "☕"])
    numbers: List[Int64] = Feature(default=[])
    taste: Vector[Literal[2]] = Feature(default=[0.1, -1])


def test_defaults_of_every_type(driver: Driver, redis_url: str, witness: Any) -> None:
    client = driver.connect(redis_url)
    client.apply(Registry.from_definitions([Defaults]))
    expected = {
        "whole": -1,
        "real": 0.1,
        "single": 0.1,
        "flag": False,
        "text": "☕",
        "raw": b"\x00\xff",
        "moment": 1_700_000_000_123,
        "second": 1_700_000_000_000,
        "words": ["a", "☕"],
        "numbers": [],
        "taste": [0.1, -1.0],
    }
    prepared = client.prepare(entity="user")
    witness.hset("user:{2}:v1", mapping={"whole": "5", "text": "x", "_ts:defaults": NOW})
    table = prepared.get([1, 2, 1])
    assert table.to_dicts() == [expected, {**expected, "whole": 5, "text": "x"}, expected]
    assert table.count_statuses() == [2, 9, 22, 0, 0, 0]
    assert table.to_arrow()["words"].to_pylist() == [["a", "☕"]] * 3
    assert table.column("taste").tolist() == np.full((3, 2), [0.1, -1], dtype=np.float32).tolist()
    # The defaults are the same with a registry that was read back from Redis.
    assert driver.connect(redis_url).prepare(entity="user").get([1]).to_dicts() == [expected]
