"""The vectors of docs/storage-format.md, through both drivers and against a witness."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fscore
import fscore.aio._client
from fscore._fscore import key_slot
from fscore.types import DataType
from tests.client.driver import Driver
from tests.client.test_roundtrip import same

VECTORS = Path(__file__).resolve().parent.parent / "vectors/storage"


def vectors(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((VECTORS / f"{name}.json").read_text())
    return loaded


def registry(
    entity: str, join_keys: list[list[str]], features: list[tuple[str, str, Any]], ttl_ms: int = 0
) -> fscore.Registry:
    """Definitions of one view, `profile`; features are name, type and default."""
    described = {"description": "", "tags": {}}
    view = described | {"entity": entity, "ttl_ms": ttl_ms, "owner": ""}
    return fscore.Registry.from_json(
        json.dumps(
            {
                "format": 1,
                "entities": {entity: described | {"join_keys": join_keys}},
                "views": {
                    "profile": view
                    | {
                        "layout": "hash",
                        "source": None,
                        "features": [
                            described
                            | {"name": name, "type": kind, "default": default, "mapping": None}
                            for name, kind, default in features
                        ],
                    }
                },
                "services": {},
            }
        )
    )


def named(case: dict[str, Any]) -> str:
    return str(case["name"])


@pytest.mark.parametrize("case", vectors("keys")["cases"], ids=named)
def test_keys(driver: Driver, redis_url: str, witness: Any, case: dict[str, Any]) -> None:
    client = driver.connect(redis_url, key_prefix=case["prefix"])
    client.apply(registry(case["entity"], case["join_keys"], [("age", "Int64", None)]))
    keys = dict(zip((name for name, _ in case["join_keys"]), case["ids"], strict=True))
    client.write("profile", [keys | {"age": 29}], version=case["version"])
    assert witness.hget(case["key"], "age") == b"29"
    columns = {name: [value] for name, value in keys.items()}
    table = client.prepare(features=["age"]).get(columns, version=case["version"])
    assert table.to_dicts() == [{"age": 29}]
    assert key_slot(case["key"].encode()) == case["slot"]


@pytest.mark.parametrize("case", vectors("keys")["refused"], ids=named)
def test_refused_keys(driver: Driver, redis_url: str, case: dict[str, Any]) -> None:
    client = driver.connect(redis_url)
    client.apply(registry("user", case["join_keys"], [("age", "Int64", None)]))
    keys = dict(zip((name for name, _ in case["join_keys"]), case["ids"], strict=True))
    with pytest.raises(fscore.InvalidKeys):
        client.prepare(features=["age"]).get({name: [value] for name, value in keys.items()})
    with pytest.raises(fscore.InvalidKeys):
        client.write("profile", [keys | {"age": 29}])


def stored(case: dict[str, Any]) -> bytes:
    if "text" in case:
        text: str = case["text"]
        return text.encode()
    return base64.b64decode(case["base64"])


def widened(value: Any) -> Any:
    """Single floats as doubles; dicts have the shortest decimal that reads back as the single."""
    return [widened(one) for one in value] if isinstance(value, list) else float(np.float32(value))


def test_values(driver: Driver, redis_url: str, witness: Any) -> None:
    cases = {f"f{number}": case for number, case in enumerate(vectors("values")["cases"])}
    client = driver.connect(redis_url)
    features = [(name, case["type"], None) for name, case in cases.items()]
    client.apply(registry("user", [["user_id", "Int64"]], features))
    witness.hset("user:{1}:v1", mapping={name: stored(case) for name, case in cases.items()})
    table = client.prepare(entity="user").get([1])
    (row,) = table.to_dicts()
    for name, case in cases.items():
        expected = DataType.parse(case["type"]).from_json(case["value"])
        single = "Float32" in case["type"] or "Vector" in case["type"]
        assert same(widened(row[name]) if single else row[name], expected), case
    assert table.all_present

    canonical = {name: stored(case) for name, case in cases.items() if case["canonical"]}
    client.write("profile", [{"user_id": 2} | {name: row[name] for name in canonical}])
    written = witness.hgetall("user:{2}:v1")
    assert {name: written[name.encode()] for name in canonical} == canonical


def test_invalid_values(driver: Driver, redis_url: str, witness: Any) -> None:
    cases = {f"f{number}": case for number, case in enumerate(vectors("values")["invalid"])}
    client = driver.connect(redis_url)
    features = [(name, case["type"], None) for name, case in cases.items()]
    client.apply(registry("user", [["user_id", "Int64"]], features))
    witness.hset("user:{1}:v1", mapping={name: stored(case) for name, case in cases.items()})
    table = client.prepare(entity="user").get([1])
    read = dict(zip(table.features, table.statuses[0].tolist(), strict=True))
    assert {cases[name]["type"] for name in read if read[name] != fscore.Status.INVALID} == set()
    assert set(table.to_dicts()[0].values()) == {None}


@pytest.mark.parametrize("case", vectors("rows")["cases"], ids=named)
def test_rows(
    driver: Driver,
    redis_url: str,
    witness: Any,
    monkeypatch: pytest.MonkeyPatch,
    case: dict[str, Any],
) -> None:
    features = [
        (each["name"], each["type"], each["default"]) for each in vectors("rows")["features"]
    ]
    client = driver.connect(redis_url)
    client.apply(registry("user", [["user_id", "Int64"]], features, case["ttl_ms"]))
    if case["hash"]:
        witness.hset("user:{1}:v1", mapping=case["hash"])
    prepared = client.prepare(entity="user")
    for module in (fscore._blocking, fscore.aio._client):
        monkeypatch.setattr(module, "now_ms", lambda: case["now_ms"])
    table = prepared.get([1])
    (row,) = table.to_dicts()
    read = [
        {"status": fscore.Status(status).name, "value": row[name]}
        for name, status in zip(table.features, table.statuses[0].tolist(), strict=True)
    ]
    assert read == case["expected"]
