"""A view of every kind for one entity, and two visitors' keys after the storage format."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

import redis

from fscore import (
    Bool,
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    FlagView,
    Float64,
    Int64,
    List,
    Payload,
    RequestView,
    SeriesView,
    String,
    Timestamp,
    request,
    window,
)
from fscore import functions as fn

AT = 1_717_243_200_000
"""2024-06-01T12:00:00Z: the tests read as of this time."""
MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000

visitor = Entity("visitor", join_keys={"visitor_id": String})


class Device(FeatureView, entity=visitor):
    platform: String = Feature(ttl="1h")
    screens: Int64 = Feature(default=1)


class Account(FeatureView, entity=visitor, layout="packed", ttl="1d"):
    plan: String
    balance: Float64
    signed_up: Timestamp


class Browsing(SeriesView, entity=visitor, retention="1d", tile="1h", tile_retention="30d"):
    product: String = Payload("product_id")
    price: Float64 = Payload()
    seen_1h: Int64 = window.count("1h")
    spent_7d: Float64 = window.sum("price", "7d")
    last_3: List[String] = window.last(3, "product")
    last_3_times: List[Timestamp] = window.last_times(3)
    dearest_1d: Float64 = window.max("price", "1d")
    since_seen: Int64 = window.time_since_last()
    session: Int64 = window.session_length(gap="30m")


class Campaigns(FlagView, entity=visitor, ids="v%04d"):
    seen_summer: Bool
    seen_winter: Bool


class Quote(RequestView, entity=visitor, request={"amount": Float64, "coupon": String}):
    share: Float64 = Feature(request["amount"] / Browsing.dearest_1d, default=1.0)
    tenure: Int64 = Feature((request.now - Account.signed_up) // DAY)
    is_welcome: Bool = Feature(fn.is_in(request["coupon"], ["WELCOME", "HELLO"]))


visits = FeatureService("visits", features=[Device, Account, Browsing, Campaigns])
# The features that Quote is computed from are read, but not returned.
quotes = FeatureService("quotes", features=[Quote, Device.platform])
tenure = FeatureService("tenure", features=[Quote.tenure])

SERVICES = [visits, quotes, tenure]


def _packed(columns: str, written: int, null_bits: int, fixed: bytes, tail: bytes) -> bytes:
    fingerprint = hashlib.sha256(columns.encode()).digest()[3::-1]
    return b"\x01" + fingerprint + struct.pack("<qB", written, null_bits) + fixed + tail


def fill(connection: redis.Redis) -> None:
    """Write all keys of visitor v0042, and only events of visitor v0007."""
    device: dict[Any, Any] = {"platform": "ios", "screens": 2, "_ts:device": AT - HOUR // 2}
    connection.hset("visitor:{v0042}:v1", mapping=device)
    row = _packed(
        *("plan:String\nbalance:Float64\nsigned_up:Timestamp\n", AT - HOUR, 0b010),
        struct.pack("<Iqq", 4, 0, AT - 90 * DAY),
        b"gold",
    )
    connection.set("visitor:{v0042}:v1:account", row)
    events: dict[Any, Any] = {
        f"kettle,9.5#{AT - 90 * MINUTE}": AT - 90 * MINUTE,
        f"te%2Ca,4.25#{AT - 20 * MINUTE}": AT - 20 * MINUTE,
        f"cup,%N#{AT - MINUTE}": AT - MINUTE,
        # Later than the time that the tests read as of.
        f"spoon,1.0#{AT + MINUTE}": AT + MINUTE,
    }
    connection.zadd("browsing:visitor:{v0042}", events)
    week_ago = AT - 5 * DAY
    buckets = {AT - 2 * HOUR: 9.5, AT - HOUR: 4.25, week_ago: 100.0}
    tiles: dict[Any, Any] = {}
    for start, price in buckets.items():
        tiles |= {f"{start}:n": 1, f"{start}:c:price": 1}
        tiles |= {f"{start}:{part}:price": price for part in "slg"}
    connection.hset(f"browsing:visitor:{{v0042}}:t{HOUR}", mapping=tiles)
    connection.setbit("flag:seen_summer:{0}", 42, 1)
    connection.zadd("browsing:visitor:{v0007}", {f"cup,2.0#{AT}": AT})


VISITOR_42 = {
    "platform": "ios",
    "screens": 2,
    "plan": "gold",
    "balance": None,
    "signed_up": AT - 90 * DAY,
    "seen_1h": 2,
    "spent_7d": 113.75,
    "last_3": ["cup", "te,a", "kettle"],
    "last_3_times": [AT - MINUTE, AT - 20 * MINUTE, AT - 90 * MINUTE],
    "dearest_1d": 9.5,
    "since_seen": MINUTE,
    "session": 19 * MINUTE,
    "seen_summer": True,
    "seen_winter": False,
}
"""The values of `visits` for visitor v0042 as of AT; the balance is NULL."""
