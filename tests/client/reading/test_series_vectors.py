"""The vectors of series, tiles and flags through real servers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fscore import InvalidKeys, Registry, Status
from tests.client.driver import Driver

FILE = Path(__file__).parents[2] / "vectors" / "storage" / "series.json"
VECTORS: dict[str, list[dict[str, Any]]] = json.loads(FILE.read_text("utf-8"))
HOUR_MS = 3_600_000
PLAIN: dict[str, Any] = {"description": "", "tags": {}}


def registry(name: str, view: dict[str, Any], join_key: str = "Int64") -> Registry:
    """Return definitions of the entity `user` with this view, from the registry's JSON form."""
    whole = {"entity": "user", "owner": "", "source": None, **PLAIN, **view}
    entity = {"join_keys": [["user_id", join_key]], **PLAIN}
    document = {"format": 1, "entities": {"user": entity}, "views": {name: whole}, "services": {}}
    return Registry.from_json(json.dumps(document))


def series(payload: list[list[str]], features: list[dict[str, Any]], **view: Any) -> dict[str, Any]:
    """Return the JSON of a series with these features: name, type and window of each."""
    return {
        "kind": "series",
        "payload": [{"name": name, "type": kind, "column": name} for name, kind in payload],
        "features": [{"default": None, **PLAIN, **feature} for feature in features],
        **{"where": {}, "retention_ms": 0, "max_events": 0, "repeats": "count", "event_id": None},
        **{"tile_ms": 0, "tile_retention_ms": 0, **view},
    }


def window(op: str, field: str | None, window_ms: int) -> dict[str, Any]:
    return {"op": op, "field": field, "window_ms": window_ms, "n": 0, "gap_ms": 0}


@pytest.mark.parametrize("case", VECTORS["members"], ids=lambda case: case["name"])
def test_members(driver: Driver, redis_url: str, witness: Any, case: dict[str, Any]) -> None:
    count = {"name": "count", "type": "Int64", "window": window("count", None, 0)}
    with_id = case["event_id"] is not None
    view = series(
        case["payload"], [count], repeats=case["repeats"], event_id="id" if with_id else None
    )
    client = driver.connect(redis_url)
    client.apply(registry("clicks", view))
    payload = dict(zip((name for name, _ in case["payload"]), case["values"], strict=True))
    row = {"user_id": 7, "event_time": case["event_time"], **payload}
    if with_id:
        row["event_id"] = case["event_id"]
    client.write("clicks", [row])
    member = case["member"].encode()
    stored = witness.zrange("clicks:user:{7}", 0, -1, withscores=True)
    assert stored == [(member, case["event_time"])]


@pytest.mark.parametrize("case", VECTORS["tiles"], ids=lambda case: case["name"])
def test_tiles(driver: Driver, redis_url: str, witness: Any, case: dict[str, Any]) -> None:
    week = 168 * HOUR_MS
    features = [
        {"name": "amounts", "type": "Int64", "window": window("sum", "amount", week)},
        {"name": "prices", "type": "Float64", "window": window("sum", "price", week)},
    ]
    kept = {"retention_ms": 2 * HOUR_MS, "tile_ms": HOUR_MS, "tile_retention_ms": week}
    view = series([["amount", "Int64"], ["price", "Float64"]], features, **kept)
    client = driver.connect(redis_url)
    client.apply(registry("tiled", view))
    rows = [
        {"user_id": 1, **event, "price": None if event["price"] is None else float(event["price"])}
        for event in case["events"]
    ]
    for _ in range(2):
        client.write("tiled", rows)
        tiles = witness.hgetall(f"tiled:user:{{1}}:t{HOUR_MS}")
        assert {name.decode(): value.decode() for name, value in tiles.items()} == case["tiles"]


@pytest.mark.parametrize("case", VECTORS["flags"], ids=lambda case: f"{case['ids']} {case['id']}")
def test_flags(driver: Driver, redis_url: str, witness: Any, case: dict[str, Any]) -> None:
    feature = {"name": "seen", "type": "Bool", "default": None, "mapping": None, **PLAIN}
    view = {"kind": "flags", "ids": case["ids"], "features": [feature]}
    client = driver.connect(redis_url)
    join_key = "Int64" if case["ids"] is None else "String"
    client.apply(registry("promotions", view, join_key))
    prepared = client.prepare(features=["seen"])
    if "refused" in case:
        with pytest.raises(InvalidKeys):
            client.write("promotions", [{"user_id": case["id"], "seen": True}])
        assert prepared.get([case["id"]]).statuses.tolist() == [[Status.NOT_FOUND]]
        return
    client.write("promotions", [{"user_id": case["id"], "seen": True}])
    key = f"flag:seen:{{{case['shard']}}}"
    assert witness.keys("flag:*") == [key.encode()]
    assert witness.bitpos(key, 1) == case["offset"]
    assert prepared.get([case["id"]]).to_dicts() == [{"seen": True}]
