"""Redis reclaims entities whose views have all expired, and never sooner."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fscore import Entity, Feature, FeatureService, FeatureView, Int64, Registry
from tests.client.driver import Driver, until
from tests.event_times import PAST_MS, shortly_ahead
from tests.redis_server import RedisServer

DAY_MS = 86_400_000

user = Entity("user", join_keys={"user_id": Int64})
device = Entity("device", join_keys={"device_id": Int64})
shop = Entity("shop", join_keys={"shop_id": Int64})
session = Entity("session", join_keys={"session_id": Int64})
brief = Entity("brief", join_keys={"brief_id": Int64})


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


class Attention(FeatureView, entity=session, ttl="1d"):
    pages: Int64
    hovered: Int64 = Feature(ttl="5m")
    scrolled: Int64 = Feature(ttl="5m")


class Glimpse(FeatureView, entity=brief):
    seen: Int64 = Feature(ttl="1s")
    known: Int64


REGISTRY = Registry.from_definitions(
    [FeatureService("all", features=[Clicks, Habits, Battery, Visits, Address, Attention, Glimpse])]
)


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    return connected


def lives_for(witness: Any, key: str) -> int:
    """Return the days until the key expires, rounded; -1 means for ever."""
    left: int = witness.pttl(key)
    return left if left < 0 else round(left / DAY_MS)


def test_a_key_of_one_view_lives_as_long_as_the_last_row(client: Any, witness: Any) -> None:
    client.write("battery", [{"device_id": 1, "level": 5}])
    assert lives_for(witness, "device:{1}:v1") == 1
    ahead = shortly_ahead()
    client.write("battery", [{"device_id": 1, "level": 5}], event_time=ahead)
    assert witness.pexpiretime("device:{1}:v1") == ahead + DAY_MS
    client.write("battery", {"device_id": [1], "level": [6]})
    assert witness.pexpiretime("device:{1}:v1") < ahead + DAY_MS


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
    """A row that is already expired when it is written must not delete other views' values."""
    witness.hset("user:{1}:v1", "habit", "7")
    long_ago = int(time.time() * 1000) - 10 * DAY_MS
    client.write("clicks", [{"user_id": 1, "clicks": 5}], event_time=long_ago)
    prepared = client.prepare(features=["clicks", "habit"], entity="user")
    assert prepared.get([1]).to_dicts() == [{"clicks": None, "habit": 7}]
    assert lives_for(witness, "user:{1}:v1") == 1


# Expiry of single fields, if the server can do it

MINUTE_MS = 60_000


def fields_live_for(witness: Any, key: str, *fields: str) -> list[int]:
    """Return the minutes until each field expires, rounded; -1 for ever, -2 if it is absent."""
    left = witness.execute_command("HPTTL", key, "FIELDS", len(fields), *fields)
    return [one if one < 0 else round(one / MINUTE_MS) for one in left]


@pytest.fixture
def by_field(redis_server: RedisServer) -> None:
    """Skip the test on servers that cannot let single fields expire."""
    if redis_server.kind == "redis":
        pytest.skip("Redis 7.0 knows no expiry of fields")


@pytest.mark.usefixtures("by_field")
@pytest.mark.parametrize("ordering", ["arrival", "event_time"])
def test_a_view_beside_one_that_never_expires_goes_by_itself(
    client: Any, witness: Any, ordering: str
) -> None:
    client.write("address", [{"shop_id": 1, "street": 5}], ordering=ordering)
    client.write("visits", [{"shop_id": 1, "visits": 5}], ordering=ordering)
    fields = ("visits", "_ts:visits", "street", "_ts:address")
    day = DAY_MS // MINUTE_MS
    assert fields_live_for(witness, "shop:{1}:v1", *fields) == [day, day, -1, -1]
    assert witness.pttl("shop:{1}:v1") == -1
    ahead = shortly_ahead()
    client.write("visits", [{"shop_id": 1, "visits": 6}], event_time=ahead, ordering=ordering)
    assert fields_live_for(witness, "shop:{1}:v1", *fields) == [day + 4, day + 4, -1, -1]


@pytest.mark.usefixtures("by_field")
@pytest.mark.parametrize("ordering", ["arrival", "event_time"])
def test_features_with_a_ttl_of_their_own_go_sooner(
    client: Any, witness: Any, ordering: str
) -> None:
    key, fields = "session:{1}:v1", ("pages", "hovered", "scrolled", "_ts:attention")
    row = {"session_id": 1, "pages": 1, "hovered": 2, "scrolled": 3}
    now = time.time_ns() // 1_000_000
    client.write("attention", [row], event_time=now, ordering=ordering)
    assert lives_for(witness, key) == 1
    assert fields_live_for(witness, key, *fields) == [-1, 5, 5, -1]
    # A millisecond later, because in a row of the same time the null would lose.
    client.write("attention", [{**row, "hovered": None}], event_time=now + 1, ordering=ordering)
    assert fields_live_for(witness, key, *fields) == [-1, -2, 5, -1]


@pytest.mark.usefixtures("by_field")
def test_what_a_row_leaves_out_lives_on_with_it(client: Any, witness: Any) -> None:
    """A field that a row leaves out is as fresh as the row, and must not expire before it."""
    key, fields = "session:{1}:v1", ("hovered", "scrolled")
    row = {"session_id": 1, "hovered": 2, "scrolled": 3}
    client.write("attention", [row])
    client.write("attention", [{"session_id": 1, "hovered": 4}], event_time=shortly_ahead())
    assert fields_live_for(witness, key, *fields) == [9, 9]


@pytest.mark.usefixtures("by_field")
def test_a_field_is_reclaimed(client: Any, witness: Any) -> None:
    row = {"seen": 1, "known": 2}
    client.write("glimpse", [{"brief_id": 1, **row}])
    client.write("glimpse", [{"brief_id": 2, **row}], event_time=shortly_ahead())
    assert witness.hexists("brief:{2}:v1", "seen")
    until(lambda: not witness.hexists("brief:{1}:v1", "seen"))
    table = client.prepare(features=["seen", "known"]).get([1])
    assert table.to_dicts() == [{"seen": None, "known": 2}]
    assert table.statuses.tolist() == [[3, 0]]


def test_a_server_without_expiry_of_fields_keeps_them(
    client: Any, witness: Any, redis_server: RedisServer
) -> None:
    if redis_server.kind != "redis":
        pytest.skip("this server has it")
    client.write("glimpse", [{"brief_id": 1, "seen": 1, "known": 2}], event_time=PAST_MS)
    client.write("glimpse", [{"brief_id": 2, "seen": 1}], event_time=PAST_MS, ordering="event_time")
    assert witness.hget("brief:{1}:v1", "seen") == witness.hget("brief:{2}:v1", "seen") == b"1"
    assert client.prepare(features=["seen"]).get([1, 2]).statuses.tolist() == [[3], [3]]
