"""Definitions for the tests of writing: a view of every kind and layout."""

from __future__ import annotations

from fscore import (
    Bool,
    Entity,
    FeatureView,
    FlagView,
    Float32,
    Float64,
    Int64,
    List,
    Payload,
    Registry,
    SeriesView,
    String,
    Timestamp,
    window,
)

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

user = Entity("user", join_keys={"user_id": Int64})
member = Entity("member", join_keys={"member_id": String})
pair = Entity("pair", join_keys={"user_id": Int64, "sku": String})


class Profile(FeatureView, entity=user):
    age: Int64
    country: String
    score: Float64


class Other(FeatureView, entity=user):
    """Another view in the same hash."""

    level: Int64


class Row(FeatureView, entity=user, layout="packed", ttl="30d"):
    points: Int64
    name: String
    active: Bool
    tags: List[String]


class Plain(SeriesView, entity=user):
    """Keeps every event for ever, without a payload."""

    plain_count: Int64 = window.count("7d")


class Clicks(SeriesView, entity=user, retention="7d", max_events=50):
    page: String = Payload()
    price: Float64 = Payload()
    clicks: Int64 = window.count("1d")


class Orders(SeriesView, entity=pair, event_id="order_id"):
    amount: Int64 = Payload()
    orders: Int64 = window.count("7d")


class Seen(SeriesView, entity=user, repeats="collapse", max_events=20):
    product: String = Payload()
    last_seen: List[String] = window.last(5, "product")


class Tiled(SeriesView, entity=user, retention="2h", tile="1h", tile_retention="30d"):
    amount: Int64 = Payload()
    price: Float64 = Payload()
    ratio: Float32 = Payload()
    at: Timestamp = Payload()
    page: String = Payload()
    amount_7d: Int64 = window.sum("amount", "7d")
    price_7d: Float64 = window.mean("price", "7d")
    ratio_7d: Float64 = window.sum("ratio", "7d")
    first_at_7d: Timestamp = window.min("at", "7d")


class Promotions(FlagView, entity=member, ids="user_%04d"):
    has_seen: Bool
    has_bought: Bool


class Consents(FlagView, entity=user):
    consent: Bool


VIEWS = (Profile, Other, Row, Plain, Clicks, Orders, Seen, Tiled, Promotions, Consents)
REGISTRY = Registry.from_definitions(VIEWS)
