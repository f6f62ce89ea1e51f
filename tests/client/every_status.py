"""Definitions of every type, and a table of them that has a row of each status."""

from __future__ import annotations

from typing import Any, Literal

from fscore import (
    Bool,
    Bytes,
    DeadlineExceeded,
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Float32,
    Float64,
    Int64,
    List,
    Registry,
    Status,
    String,
    Timestamp,
    Vector,
)
from tests.client.driver import PATIENCE, Driver
from tests.client.proxy import FaultProxy
from tests.event_times import PAST_MS, RECENT_MS

user = Entity("user", join_keys={"user_id": Int64, "region": String})


class Kinds(FeatureView, entity=user, ttl="1h"):
    whole: Int64
    double: Float64
    single: Float32
    flag: Bool
    text: String
    raw: Bytes
    at: Timestamp
    at_s: Timestamp[Literal["s"]]
    numbers: List[Int64]
    words: List[String]
    vector: Vector[Literal[3]]


class Defaults(FeatureView, entity=user, ttl="1h"):
    level: Int64 = Feature(default=7)
    vip: Bool = Feature(default=True)


REGISTRY = Registry.from_definitions([FeatureService("all", features=[Kinds, Defaults])])

VALUES: dict[str, Any] = {
    "whole": 29,
    "double": 0.5,
    "single": 0.1,
    "flag": True,
    "text": "a",
    "raw": b"\xff",
    "at": 1_700_000_000_123,
    "at_s": 1_700_000_000_000,
    "numbers": [1, 2],
    "words": ["b", ""],
    "vector": [1.0, -2.5, 0.0],
}


def keys(rows: int) -> dict[str, Any]:
    """Return the join keys of the first rows."""
    return {"user_id": list(range(rows)), "region": ["eu"] * rows}


def read_every_status(driver: Driver, redis_url: str, port: int, witness: Any) -> Any:
    """Return a table of every type with a row of each status: the status of row n is n."""
    client = driver.connect(redis_url)
    client.apply(REGISTRY)
    for row in (Status.PRESENT, Status.INVALID, Status.UNAVAILABLE):
        client.write("kinds", [{"user_id": row, "region": "eu", **VALUES}], event_time=RECENT_MS)
    nothing = dict.fromkeys(VALUES)
    null = {"user_id": Status.NULL, "region": "eu", **nothing}
    client.write("kinds", [null], event_time=RECENT_MS)
    expired = {"user_id": Status.EXPIRED, "region": "eu", **VALUES}
    client.write("kinds", [expired], event_time=PAST_MS)
    witness.hset("user:{4,eu}:v1", mapping=dict.fromkeys(VALUES, b"\xff"))
    # Longer deadlines are for machines that are busy.
    for timeout in (0.1, 1.0, 10.0):
        with FaultProxy(port) as proxy:
            found = _read_without_last_row(driver, proxy, timeout)
        if found is not None and not (found.statuses[:5] == Status.UNAVAILABLE).any():
            break
    assert found is not None
    statuses = found.statuses[:, : len(VALUES)]
    # Any bytes are Bytes.
    statuses[Status.INVALID, found.features.index("raw")] = Status.INVALID
    assert statuses.tolist() == [[status] * len(VALUES) for status in Status]
    return found


def _read_without_last_row(driver: Driver, proxy: FaultProxy, timeout: float) -> Any:
    """Return the result of a read of which the last byte does not arrive, or None if none did."""
    prepared = driver.connect(proxy.url, registry_poll=3600).prepare("all")
    before = proxy.passed
    prepared.get(keys(6), timeout=PATIENCE)
    proxy.pass_bytes(proxy.passed - before - 1)
    try:
        return prepared.get(keys(6), timeout=timeout)
    except DeadlineExceeded:
        return None
    finally:
        proxy.release()
