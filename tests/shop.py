"""Definitions of a shop, for the tests of the clients and of the server.

They have every type, ids that are integers and ids that are text, and composite keys. No two views
have a feature of the same name, so tests need not say of which view a feature is.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Literal

from fscore import (
    Bool,
    Bytes,
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Float32,
    Float64,
    Int64,
    List,
    Registry,
    String,
    Timestamp,
    Vector,
)

HOUR_MS = 3_600_000

user = Entity("user", join_keys={"user_id": String})
item = Entity("item", join_keys={"item_id": Int64})
basket = Entity("basket", join_keys={"user_id": String, "item_id": Int64})
customer = Entity("customer", join_keys={"customer_id": Int64})
member = Entity("member", join_keys={"member_id": String})
article = Entity("article", join_keys={"sku": String})
affinity = Entity("affinity", join_keys={"customer_id": Int64, "sku": String})


class Profile(FeatureView, entity=user, owner="growth", description="Who they are."):
    age: Int64
    country: String = Feature(default="unknown")
    score: Float64
    active: Bool


class Activity(FeatureView, entity=user, ttl="1h"):
    clicks: Int64
    last_seen: Timestamp
    recent: List[String]
    embedding: Vector[Literal[3]]
    token: Bytes
    ratio: Float32


class Product(FeatureView, entity=item):
    price: Float64
    title: String


class InBasket(FeatureView, entity=basket):
    quantity: Int64


class Customer(FeatureView, entity=customer, ttl="1h"):
    orders: Int64
    region: String
    rating: Float64
    discount: Float32
    loyal: Bool
    seen: Timestamp
    joined: Timestamp[Literal["s"]]
    photo: Bytes


class Standing(FeatureView, entity=customer, ttl="1h"):
    """A view whose features all have a default."""

    level: Int64 = Feature(default=7)
    tier: String = Feature(default="none")
    credit: Float64 = Feature(default=0.5)
    vip: Bool = Feature(default=True)


class Behaviour(FeatureView, entity=customer):
    tags: List[String]
    counts: List[Int64]
    weights: List[Float64]
    flags: List[Bool]
    blobs: List[Bytes]
    times: List[Timestamp]
    taste: Vector[Literal[3]]


class Membership(FeatureView, entity=member):
    rank: Int64
    note: String


class Stock(FeatureView, entity=article):
    cost: Float64
    left: Int64


class Affinity(FeatureView, entity=affinity):
    likes: Int64


SERVICES = [
    FeatureService(
        "ranking", features=[Profile.age, Profile.country, Profile.score, Activity.clicks]
    ),
    FeatureService("everything", features=[Profile, Activity]),
    FeatureService(
        "pairs",
        features=[Profile.age, Product.price, InBasket.quantity],
        description="Two entities.",
    ),
    FeatureService("overview", features=[Customer, Standing, Behaviour]),
    FeatureService("customer", features=[Customer]),
    FeatureService(
        "offers", features=[Stock.cost, Customer.orders, Affinity.likes.alias("liked"), Stock.left]
    ),
    FeatureService("second", features=[Customer.orders, Customer.region], version=2),
]
REGISTRY = Registry.from_definitions([*SERVICES, Membership])


@functools.cache
def wide_registry(width: int) -> Registry:
    """Return an entity with this many Int64 features, a service of all, and one of the first."""
    row = Entity("row", join_keys={"row_id": Int64})
    namespace = {"__annotations__": {f"f{number}": Int64 for number in range(width)}}
    view: Any = types.new_class(
        "Wide", (FeatureView,), {"entity": row}, lambda body: body.update(namespace)
    )
    return Registry.from_definitions(
        [FeatureService("all", features=[view]), FeatureService("one", features=[view.f0])]
    )
