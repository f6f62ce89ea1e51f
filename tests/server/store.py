"""What the server's tests store: the shop's definitions, views of every kind, and rows."""

from __future__ import annotations

import struct
import time
from typing import Any

import redis

import fscore
from fscore import Registry
from tests import shop
from tests.server import kinds

REGISTRY = Registry.from_definitions([*shop.SERVICES, *kinds.SERVICES])

NOW_MS = int(time.time() * 1000)
TWO_HOURS_AGO = NOW_MS - 2 * 3600 * 1000

PROFILE_1 = {"age": "29", "country": "US", "score": "0.5", "active": "1", "_ts:profile": NOW_MS}
ACTIVITY_1: dict[str | bytes, Any] = {
    "clicks": "7",
    "last_seen": "1700000000123",
    "recent": '["a","b\\"c"]',
    "embedding": struct.pack("<3f", 1.0, -2.5, 0.25),
    "token": b"\x00\xffok",
    "ratio": "0.1",
    "_ts:activity": NOW_MS,
}

# Written field by field after the storage format, so that tests do not rely on fscore's own writes.
ROWS: dict[str, dict[Any, Any]] = {
    "user:{u1}:v1": {**PROFILE_1, **ACTIVITY_1},
    "user:{u1}:v2": {**PROFILE_1, "age": "30"},
    "user:{null}:v1": {"age": "31", "_ts:profile": NOW_MS},
    "user:{invalid}:v1": {"age": "many", "score": "nan", "clicks": "1.5", "_ts:profile": NOW_MS},
    "user:{expired}:v1": {**PROFILE_1, **ACTIVITY_1, "_ts:activity": TWO_HOURS_AGO},
    "user:{a%7Bb%7D%3A%25}:v1": {"age": "1", "_ts:profile": NOW_MS},
    "item:{7}:v1": {"price": "9.5", "title": "Kettle ☕", "_ts:product": NOW_MS},
    "item:{-7}:v1": {"price": "-9.5", "_ts:product": NOW_MS},
    "basket:{u1,7}:v1": {"quantity": "3", "_ts:in_basket": NOW_MS},
}


def fill(url: str) -> None:
    """Empty the store, apply the definitions and write the rows."""
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
        for key, row in ROWS.items():
            connection.hset(key, mapping=row)
        # A row's key, but a string and not a hash.
        connection.set("user:{wrong}:v1", "text")
        kinds.fill(connection)
    with fscore.connect(url) as client:
        client.apply(REGISTRY)
