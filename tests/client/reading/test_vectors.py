"""The storage vectors through real servers, and hash slots as a real cluster node computes them."""

from __future__ import annotations

import base64
import json
import math
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from fscore import InvalidKeys, Registry, Status
from fscore._fscore import key_slot
from tests.client.driver import Driver
from tests.redis_server import RedisServer

VECTORS = Path(__file__).parents[2] / "vectors" / "storage"


def vectors(file: str, section: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads((VECTORS / file).read_text("utf-8"))[section]
    return listed


def registry(
    entity: str, join_keys: list[list[str]], features: list[dict[str, Any]], ttl_ms: int = 0
) -> Registry:
    """Return definitions of one entity with the view `profile`, from the registry's JSON form."""
    described = [
        {"default": None, "description": "", "tags": {}, "mapping": None, "ttl_ms": 0, **feature}
        for feature in features
    ]
    plain = {"description": "", "tags": {}}
    view = {
        **{"entity": entity, "ttl_ms": ttl_ms, "layout": "hash", "owner": "", "source": None},
        **{"kind": "features", "migrating_from": None, "features": described, **plain},
    }
    return Registry.from_json(
        json.dumps(
            {
                "format": 1,
                "entities": {entity: {"join_keys": join_keys, **plain}},
                "views": {"profile": view},
                "services": {},
            }
        )
    )


@pytest.mark.parametrize("case", vectors("keys.json", "cases"), ids=lambda case: case["name"])
def test_keys(driver: Driver, redis_url: str, witness: Any, case: dict[str, Any]) -> None:
    client = driver.connect(redis_url, key_prefix=case["prefix"])
    client.apply(registry(case["entity"], case["join_keys"], [{"name": "f", "type": "Int64"}]))
    names = [name for name, _ in case["join_keys"]]
    row = dict(zip(names, case["ids"], strict=True))
    client.write("profile", [{**row, "f": 7}], version=case["version"])
    key = case["key"].encode()
    assert witness.hget(key, "f") == b"7"
    assert key_slot(key) == case["slot"]
    keys = {name: [value] for name, value in row.items()}
    prepared = client.prepare(features=["f"])
    assert prepared.get(keys, version=case["version"]).to_dicts() == [{"f": 7}]
    assert client.delete("profile", keys, version=case["version"]) == 1
    assert witness.exists(key) == 0


@pytest.mark.parametrize("case", vectors("keys.json", "refused"), ids=lambda case: case["name"])
def test_refused_keys(driver: Driver, redis_url: str, witness: Any, case: dict[str, Any]) -> None:
    client = driver.connect(redis_url)
    client.apply(registry("user", case["join_keys"], [{"name": "f", "type": "Int64"}]))
    names = [name for name, _ in case["join_keys"]]
    row = dict(zip(names, case["ids"], strict=True))
    with pytest.raises(InvalidKeys):
        client.write("profile", [{**row, "f": 7}])
    with pytest.raises(InvalidKeys):
        client.prepare(features=["f"]).get({name: [value] for name, value in row.items()})
    assert witness.keys("user:*") == []


def stored_text(case: dict[str, Any]) -> bytes:
    return base64.b64decode(case["base64"]) if "base64" in case else case["text"].encode()


def from_json(kind: str, value: Any) -> Any:
    """Convert a value of the vectors to the form that results have."""
    if isinstance(value, list):
        inner = "Float32" if kind.startswith("Vector") else kind[5:-1]
        return [from_json(inner, one) for one in value]
    if kind == "Bytes":
        return base64.b64decode(value)
    return float(value) if kind in ("Float32", "Float64") else value


def close(one: Any, other: Any) -> bool:
    """Return whether two values are equal; NaN equals itself, Float32s are shortest decimals."""
    if isinstance(one, list):
        return len(one) == len(other) and all(map(close, one, other))
    if isinstance(one, float):
        return math.isnan(one) == math.isnan(other) and (
            math.isnan(one) or math.isclose(one, other, rel_tol=1e-7, abs_tol=1e-45)
        )
    return type(one) is type(other) and bool(one == other)


def test_values(driver: Driver, redis_url: str, witness: Any) -> None:
    cases = vectors("values.json", "cases")
    features = [{"name": f"f{n}", "type": case["type"]} for n, case in enumerate(cases)]
    client = driver.connect(redis_url)
    client.apply(registry("user", [["user_id", "Int64"]], features))
    witness.hset("user:{1}:v1", mapping={f"f{n}": stored_text(c) for n, c in enumerate(cases)})
    table = client.prepare(entity="user").get([1])
    assert table.all_present, table.problems
    read = table.to_dicts()[0]
    for number, case in enumerate(cases):
        assert close(read[f"f{number}"], from_json(case["type"], case["value"])), case
    # A value that is written again is stored as its canonical text.
    client.write("profile", [{"user_id": 2, **read}])
    for number, case in enumerate(cases):
        if case["canonical"]:
            assert witness.hget("user:{2}:v1", f"f{number}") == stored_text(case), case


def test_invalid_values(driver: Driver, redis_url: str, witness: Any) -> None:
    cases = vectors("values.json", "invalid")
    features = [
        {"name": f"f{n}", "type": case["type"], "default": None} for n, case in enumerate(cases)
    ]
    client = driver.connect(redis_url)
    client.apply(registry("user", [["user_id", "Int64"]], features))
    witness.hset("user:{1}:v1", mapping={f"f{n}": stored_text(c) for n, c in enumerate(cases)})
    table = client.prepare(entity="user").get([1])
    codes = dict(zip(table.features, table.statuses[0], strict=True))
    for number, case in enumerate(cases):
        assert codes[f"f{number}"] == Status.INVALID, case
    assert set(table.to_dicts()[0].values()) == {None}
    assert table.invalid == len(cases)


@pytest.mark.parametrize("case", vectors("rows.json", "cases"), ids=lambda case: case["name"])
@pytest.mark.parametrize("width", [0, 40], ids=["HMGET", "HGETALL"])
def test_rows(
    driver: Driver,
    redis_url: str,
    witness: Any,
    case: dict[str, Any],
    width: int,
) -> None:
    features: list[dict[str, Any]] = json.loads((VECTORS / "rows.json").read_text())["features"]
    more = [{"name": f"more{n}", "type": "Int64"} for n in range(width)]
    client = driver.connect(redis_url)
    client.apply(registry("user", [["user_id", "Int64"]], [*features, *more], case["ttl_ms"]))
    if case["hash"]:
        witness.hset("user:{1}:v1", mapping=case["hash"])
    prepared = client.prepare(entity="user")
    assert prepared.strategies == {"user": "HGETALL" if width else "HMGET"}
    table = prepared.get([1], as_of=case["now_ms"])
    found = [
        {"status": Status(code).name, "value": table.to_dicts()[0][feature["name"]]}
        for code, feature in zip(table.statuses[0], features, strict=False)
    ]
    assert found == case["expected"]


# Hash slots


@pytest.fixture(scope="module")
def cluster_node(redis_server: RedisServer) -> Iterator[Any]:
    """A server in cluster mode, which answers CLUSTER KEYSLOT."""
    with (
        RedisServer(redis_server.kind, ["--cluster-enabled", "yes"]) as node,
        redis.Redis.from_url(node.url) as connection,
    ):
        yield connection


def test_slots_of_random_keys(cluster_node: Any) -> None:
    chance = random.Random(20)
    parts = [b"{", b"}", b"{}", b"user:", b":v1", b"\x00", b"\r\n", "☕".encode(), b"a", b"42"]
    keys = [
        b"".join(
            chance.choice(parts) if chance.random() < 0.7 else chance.randbytes(chance.randrange(9))
            for _ in range(chance.randrange(1, 9))
        )
        for _ in range(10_000)
    ]
    with cluster_node.pipeline(transaction=False) as pipeline:
        for key in keys:
            pipeline.execute_command("CLUSTER", "KEYSLOT", key)
        slots = pipeline.execute()
    assert [key_slot(key) for key in keys] == slots
    assert len(set(slots)) > 5_000
