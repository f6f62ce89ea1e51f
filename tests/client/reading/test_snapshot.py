"""Snapshots: writers keep several keys consistent, and no snapshot sees them inconsistent."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import pytest
import redis

from fscore import (
    Entity,
    EventSource,
    FeatureService,
    FeatureView,
    Int64,
    Registry,
    SeriesView,
    window,
)
from fscore.model.fingerprint import fingerprint
from fscore.types import Status
from tests.client.driver import PATIENCE, Driver

READS = int(os.environ.get("FSCORE_SNAPSHOT_READS", "40000"))
"""Snapshots of one entity that each test takes; a million by hand."""
ENTITIES = list(range(400))
"""So many that the server reads a request in several pieces, and serves the writers in between."""
AT = 1_700_000_000_000

user = Entity("user", join_keys={"user_id": Int64})
shop = EventSource("shop", event_time="at")


class Counter(FeatureView, entity=user):
    counted: Int64


class Compact(FeatureView, entity=user, layout="packed"):
    packed_count: Int64


class Clicks(SeriesView, entity=user, source=shop):
    clicks: Int64 = window.count()
    newest: Int64 = window.time_since_last()


same = FeatureService("same", features=[Counter, Compact, Clicks])
REGISTRY = Registry.from_definitions([same])


def packed_row(count: int) -> bytes:
    """Return a row of `Compact` as it is stored, made without fscore."""
    number = fingerprint([("packed_count", "Int64")])
    return (
        b"\x01"
        + number.to_bytes(4, "little")
        + AT.to_bytes(8, "little")
        + b"\0"
        + (count.to_bytes(8, "little"))
    )


@contextmanager
def writers(port: int) -> Iterator[None]:
    """Run writers that add events and store the count in two other keys in one transaction."""
    stop = threading.Event()

    def write(own: list[int]) -> None:
        with redis.Redis(port=port) as connection:
            count = 0
            while not stop.is_set():
                count += 1
                for entity in own:
                    with connection.pipeline(transaction=True) as transaction:
                        transaction.zadd(f"clicks:user:{{{entity}}}", {f"#{count}": AT + count})
                        transaction.hset(f"user:{{{entity}}}:v1", "counted", count)
                        transaction.set(f"user:{{{entity}}}:v1:compact", packed_row(count))
                        transaction.execute()

    threads = [threading.Thread(target=write, args=(ENTITIES[part::2],)) for part in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def broken(table: Any) -> int:
    """Return how many rows have counts that differ from each other."""
    there = (table.statuses == Status.PRESENT).all(axis=1)
    counts = np.stack([table.column(n, missing=0) for n in ("counted", "packed_count", "clicks")])
    return int((there & (counts.min(axis=0) != counts.max(axis=0))).sum())


@pytest.mark.parametrize("consistency", ["snapshot", "eventual"])
def test_a_snapshot_never_sees_half_of_a_transaction(
    driver: Driver, redis_url: str, consistency: Literal["snapshot", "eventual"]
) -> None:
    client = driver.connect(redis_url, timeout=10.0)
    client.apply(REGISTRY)
    prepared = client.prepare("same")
    seen = whole = reads = 0
    deadline = time.monotonic() + PATIENCE
    with writers(client.endpoint.port):
        # Plain reads soon see differing counts, which proves that this test can detect them.
        while (reads < READS) if consistency == "snapshot" else not seen:
            assert consistency == "snapshot" or time.monotonic() < deadline
            table = prepared.get(ENTITIES, as_of=AT + 10**9, consistency=consistency)
            whole += int((table.statuses == Status.PRESENT).all(axis=1).sum())
            seen += broken(table)
            reads += len(ENTITIES)
    assert whole > 0
    assert (seen == 0) == (consistency == "snapshot"), seen


def test_a_snapshot_follows_a_pointer_that_the_client_has_not_heard_of(
    driver: Driver, redis_url: str, witness: Any
) -> None:
    client = driver.connect(redis_url, registry_poll=3600.0)
    client.apply(REGISTRY)
    prepared = client.prepare("same")
    witness.hset("user:{1}:v1", "counted", 1)
    witness.hset("user:{1}:v2", "counted", 2)
    witness.set("feature_version:same", 2)
    assert prepared.get([1]).version == 1
    table = prepared.get([1], consistency="snapshot")
    assert (table.version, table.pointer) == (2, 2)
    assert table.column("counted")[0] == 2
    pinned = prepared.get([1], consistency="snapshot", version=1)
    assert (pinned.version, pinned.pointer, pinned.column("counted")[0]) == (1, None, 1)
