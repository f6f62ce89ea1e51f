"""Definitions for the server's tests: every type, three entities, every kind of view."""

from __future__ import annotations

from typing import Literal

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
from tests.server import kinds

user = Entity("user", join_keys={"user_id": String})
item = Entity("item", join_keys={"item_id": Int64})
basket = Entity("basket", join_keys={"user_id": String, "item_id": Int64})


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


ranking = FeatureService(
    "ranking", features=[Profile.age, Profile.country, Profile.score, Activity.clicks]
)
everything = FeatureService("everything", features=[Profile, Activity])
pairs = FeatureService(
    "pairs", features=[Profile.age, Product.price, InBasket.quantity], description="Two entities."
)

REGISTRY = Registry.from_definitions([ranking, everything, pairs, *kinds.SERVICES])
