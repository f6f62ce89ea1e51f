"""Redis reclaims entities whose views have all expired, and never sooner."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fscore import Entity, FeatureService, FeatureView, Int64, Registry
from tests.client.driver import Driver

DAY_MS = 86_400_000

user = Entity("user", join_keys={"user_id": Int64})
device = Entity("device", join_keys={"device_id": Int64})
shop = Entity("shop", join_keys={"shop_id": Int64})


class Clicks(FeatureView, entity=user, ttl="1d"):
    clicks: Int64


class Habits(FeatureView, entity=user, ttl="30d"):
    habit: Int64


class Battery(FeatureView, entity=device, ttl="1d"):
    level: Int64


class Visits(FeatureView, entity=shop, ttl="1d"):
    visits: Int64


class Address(FeatureView, entity=shop):
    street: Int64


REGISTRY = Registry.from_definitions(
    [FeatureService("all", features=[Clicks, Habits, Battery, Visits, Address])]
)


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


def lives_for(witness: Any, key: str) -> int:
    """Days until the key expires, rounded; -1 for ever."""
    left: int = witness.pttl(key)
    return left if left < 0 else round(left / DAY_MS)


def test_a_key_of_one_view_lives_as_long_as_the_last_row(client: Any, witness: Any) -> None:
    client.write("battery", [{"device_id": 1, "level": 5}])
    assert lives_for(witness, "device:{1}:v1") == 1
    ahead = datetime.now(UTC) + timedelta(days=2)
    client.write("battery", [{"device_id": 1, "level": 5}], event_time=ahead)
    assert lives_for(witness, "device:{1}:v1") == 3
    client.write("battery", {"device_id": [1], "level": [6]})
    assert lives_for(witness, "device:{1}:v1") == 1


def test_a_shared_key_lives_as_long_as_its_longest_view(client: Any, witness: Any) -> None:
    client.write("clicks", [{"user_id": 1, "clicks": 5}])
    assert lives_for(witness, "user:{1}:v1") == 1
    client.write("habits", [{"user_id": 1, "habit": 5}])
    assert lives_for(witness, "user:{1}:v1") == 30
    client.write("clicks", [{"user_id": 1, "clicks": 6}])
    assert lives_for(witness, "user:{1}:v1") == 30


def test_a_key_with_a_view_that_never_expires_is_kept(client: Any, witness: Any) -> None:
    client.write("address", [{"shop_id": 1, "street": 5}])
    client.write("visits", [{"shop_id": 1, "visits": 5}])
    assert lives_for(witness, "shop:{1}:v1") == -1


def test_a_late_row_is_expired_but_deletes_nothing(client: Any, witness: Any) -> None:
    """What others have in the same key is not gone because one row was old when it came."""
    witness.hset("user:{1}:v1", "habit", "7")
    long_ago = int(time.time() * 1000) - 10 * DAY_MS
    client.write("clicks", [{"user_id": 1, "clicks": 5}], event_time=long_ago)
    prepared = client.prepare(features=["clicks", "habit"], entity="user")
    assert prepared.get([1]).to_dicts() == [{"clicks": None, "habit": 7}]
    assert lives_for(witness, "user:{1}:v1") == 1
