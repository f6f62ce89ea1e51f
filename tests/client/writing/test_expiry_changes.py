"""A row written under changed definitions has the expiry that these give, or none."""

from __future__ import annotations

import time
import types
from typing import Any

import pytest

from fscore import (
    Entity,
    Feature,
    FeatureView,
    Int64,
    Payload,
    Registry,
    SeriesView,
    window,
)
from tests.client.driver import Driver, until
from tests.redis_server import RedisServer

DAY_MS = 86_400_000
ORDERINGS = ("arrival", "event_time")

user = Entity("user", join_keys={"user_id": Int64})
KEY = "user:{1}:v1"
PACKED_KEY = f"{KEY}:profile"


def view(name: str, features: dict[str, Any], **options: Any) -> Any:
    """Return a view of users with these Int64 features; each may have a TTL of its own."""
    namespace: dict[str, Any] = {"__annotations__": dict.fromkeys(features, Int64)}
    namespace |= {name: Feature(ttl=ttl) for name, ttl in features.items() if ttl}
    kind = {"entity": user, "name": name, **options}
    return types.new_class(name.title(), (FeatureView,), kind, lambda body: body.update(namespace))


def profile(ttl: str | None, layout: str = "hash") -> Any:
    return view("profile", {"age": None, "visits": None}, ttl=ttl, layout=layout)


def clicks(**options: Any) -> Any:
    class Clicks(SeriesView, entity=user, **options):
        price: Int64 = Payload()
        spent: Int64 = window.sum("price", "1d")

    return Clicks


ROW = {"user_id": 1, "age": 29, "visits": 3}


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    return driver.connect(redis_url)


def apply(client: Any, *views: Any) -> None:
    assert client.apply(Registry.from_definitions(views)).changed


def days(witness: Any, key: str = KEY) -> int:
    """Return the days until the key expires, rounded; -1 for ever, -2 if there is no key."""
    left: int = witness.pttl(key)
    return left if left < 0 else round(left / DAY_MS)


@pytest.mark.parametrize("layout", ["hash", "packed"])
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_row_outlives_the_ttl_under_which_it_was_first_written(
    client: Any, witness: Any, layout: str, ordering: str
) -> None:
    apply(client, profile("1s", layout))
    rows = [ROW, {**ROW, "user_id": 2}]
    client.write("profile", rows, ordering=ordering)
    apply(client, profile(None, layout))
    client.write("profile", [{**ROW, "age": 30}], ordering=ordering)
    # The other row is not written again: once it is gone, the old expiry has passed.
    end = (KEY if layout == "hash" else PACKED_KEY).replace("1", "2", 1)
    until(lambda: not witness.exists(end))
    prepared = client.prepare(features=["age", "visits"])
    assert prepared.get([1, 2]).to_dicts() == [
        {"age": 30, "visits": 3},
        {"age": None, "visits": None},
    ]


@pytest.mark.parametrize("layout", ["hash", "packed"])
def test_a_row_that_changes_nothing_takes_back_the_expiry_too(
    client: Any, witness: Any, layout: str
) -> None:
    """Loading the same rows again is enough to make them last."""
    key = KEY if layout == "hash" else PACKED_KEY
    now = int(time.time() * 1000)
    apply(client, profile("1d", layout))
    client.write("profile", [ROW], event_time=now, ordering="event_time")
    assert days(witness, key) == 1
    for event_time in (now, now - 5):
        apply(client, profile(None, layout))
        written = client.write("profile", [ROW], event_time=event_time, ordering="event_time")
        assert (written.unchanged, days(witness, key)) == (1, -1)
        apply(client, profile("3d", layout))
        written = client.write("profile", [ROW], event_time=event_time, ordering="event_time")
        assert (written.unchanged, days(witness, key)) == (1, 3)
    # The older row makes nothing expire sooner than the row that stays.
    apply(client, profile("1d", layout))
    written = client.write("profile", [ROW], event_time=now - 5, ordering="event_time")
    assert (written.unchanged, days(witness, key)) == (1, 3)


def test_of_two_rows_of_one_time_the_merged_one_never_expires(client: Any, witness: Any) -> None:
    now = int(time.time() * 1000)
    apply(client, profile("1d"))
    client.write("profile", [ROW], event_time=now, ordering="event_time")
    apply(client, profile(None))
    written = client.write("profile", [{**ROW, "age": 31}], event_time=now, ordering="event_time")
    assert (written.unchanged, days(witness)) == (0, -1)


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_second_view_that_never_expires_keeps_the_key(
    client: Any, witness: Any, ordering: str
) -> None:
    apply(client, profile("1d"))
    client.write("profile", [ROW, {**ROW, "user_id": 2}], ordering=ordering)
    apply(client, profile("1d"), view("address", {"street": None}))
    client.write("address", [{"user_id": 1, "street": 7}], ordering=ordering)
    assert days(witness) == -1
    # It does not matter in which of the views a row is written.
    client.write("profile", [{**ROW, "user_id": 2}], ordering=ordering)
    assert days(witness, "user:{2}:v1") == -1


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_a_row_of_one_of_two_views_keeps_the_key_for_both(
    client: Any, witness: Any, ordering: str
) -> None:
    address = {"street": None}
    apply(client, profile("1d"), view("address", address, ttl="1d"))
    client.write("profile", [ROW], ordering=ordering)
    client.write("address", [{"user_id": 1, "street": 7}], ordering=ordering)
    assert days(witness) == 1
    apply(client, profile(None), view("address", address, ttl="1d"))
    client.write("address", [{"user_id": 1, "street": 7}], ordering=ordering)
    assert days(witness) == -1


def test_deleting_a_row_leaves_the_expiry_of_the_others(client: Any, witness: Any) -> None:
    both = (view("address", {"street": None}, ttl="1d"),)
    apply(client, profile("1d"), *both)
    client.write("profile", [ROW])
    client.write("address", [{"user_id": 1, "street": 7}])
    apply(client, profile(None), *both)
    client.delete("address", [1])
    assert days(witness) == 1
    client.write("profile", [ROW])
    assert days(witness) == -1


def test_an_expiry_is_remembered_while_its_view_is_gone(client: Any, witness: Any) -> None:
    address = view("address", {"street": None})
    apply(client, profile("1d"))
    client.write("profile", [ROW, {**ROW, "user_id": 2}])
    client.apply(Registry.from_definitions([address]), allow_unsafe=True)
    client.write("address", [{"user_id": 1, "street": 7}])
    apply(client, profile(None), address)
    client.write("profile", [{**ROW, "user_id": 2}])
    assert [days(witness, f"user:{{{number}}}:v1") for number in (1, 2)] == [-1, -1]


def test_rows_that_never_expired_cost_no_command_more(client: Any, witness: Any) -> None:
    apply(client, profile(None), clicks())
    witness.config_resetstat()
    client.write("profile", [ROW])
    client.write("clicks", [{"user_id": 1, "price": 5}])
    assert "cmdstat_persist" not in witness.info("commandstats")
    apply(client, profile("1d"), clicks(retention="1d"))
    apply(client, profile(None), clicks())
    client.write("profile", [ROW])
    client.write("clicks", [{"user_id": 1, "price": 6}])
    assert witness.info("commandstats")["cmdstat_persist"]["calls"] == 2


# Series


STARTED_MS = int(time.time() * 1000)


def events(*ages_ms: int) -> list[dict[str, int]]:
    return [{"user_id": 1, "price": age, "event_time": STARTED_MS - age} for age in ages_ms]


SERIES_KEY, TILES_KEY = "clicks:user:{1}", "clicks:user:{1}:t3600000"


def test_events_outlive_a_retention_that_was_taken_away(client: Any, witness: Any) -> None:
    apply(client, clicks(retention="1d"))
    client.write("clicks", events(10))
    assert days(witness, SERIES_KEY) == 1
    apply(client, clicks())
    client.write("clicks", events(5))
    assert days(witness, SERIES_KEY) == -1


@pytest.mark.parametrize("again", ["new", "known", "too late"])
def test_tiles_outlive_a_retention_that_was_taken_away(
    client: Any, witness: Any, again: str
) -> None:
    bounds = {"tile": "1h", "max_events": 2}
    apply(client, clicks(retention="1d", tile_retention="3d", **bounds))
    first = events(10, 20)
    client.write("clicks", first)
    assert (days(witness, SERIES_KEY), days(witness, TILES_KEY)) == (1, 3)
    apply(client, clicks(**bounds))
    later = {"new": events(5), "known": first, "too late": events(30)}[again]
    written = client.write("clicks", later)
    assert written.unchanged == (0 if again == "new" else len(later))
    assert (days(witness, SERIES_KEY), days(witness, TILES_KEY)) == (-1, -1)


def test_events_may_be_kept_for_ever_beside_tiles_that_are_not(client: Any, witness: Any) -> None:
    apply(client, clicks(retention="1d", tile="1h", tile_retention="3d"))
    client.write("clicks", events(10))
    apply(client, clicks(tile="1h", tile_retention="5d"))
    client.write("clicks", events(10))
    assert (days(witness, SERIES_KEY), days(witness, TILES_KEY)) == (-1, 5)


# Expiry of single fields, if the server can do it


@pytest.fixture
def by_field(redis_server: RedisServer) -> None:
    """Skip the test on servers that cannot let single fields expire."""
    if redis_server.kind == "redis":
        pytest.skip("Redis 7.0 knows no expiry of fields")


def field_days(witness: Any, *fields: str) -> list[int]:
    """Return the days until each field expires, rounded; -1 for ever, -2 if it is absent."""
    left = witness.execute_command("HPTTL", KEY, "FIELDS", len(fields), *fields)
    return [one if one < 0 else round(one / DAY_MS) for one in left]


FIELDS = ("age", "visits", "_ts:profile")


@pytest.mark.usefixtures("by_field")
@pytest.mark.parametrize("ordering", ORDERINGS)
def test_fields_outlive_the_ttl_of_a_view_beside_one_that_never_expires(
    client: Any, witness: Any, ordering: str
) -> None:
    address = view("address", {"street": None})
    apply(client, profile("1d"), address)
    now = int(time.time() * 1000)
    client.write("profile", [ROW], event_time=now, ordering=ordering)
    assert field_days(witness, *FIELDS) == [1, 1, 1]
    apply(client, profile(None), address)
    client.write("profile", [{**ROW, "age": 30}], event_time=now, ordering=ordering)
    assert field_days(witness, *FIELDS) == [-1, -1, -1]


@pytest.mark.usefixtures("by_field")
def test_fields_that_a_row_leaves_out_outlive_their_old_ttl(client: Any, witness: Any) -> None:
    """Fields that a row leaves out are as fresh as the row's event time."""
    apply(client, view("profile", {"age": "1d", "visits": None}, ttl="5d"))
    client.write("profile", [ROW])
    assert field_days(witness, *FIELDS) == [1, -1, -1]
    apply(client, view("profile", {"age": None, "visits": "2d"}, ttl="5d"))
    client.write("profile", [{"user_id": 1, "visits": 4}])
    assert field_days(witness, *FIELDS) == [-1, 2, -1]
    assert days(witness) == 5
    apply(client, view("profile", {"age": None, "visits": None}))
    client.write("profile", [{"user_id": 1, "age": 5}])
    assert field_days(witness, *FIELDS) == [-1, -1, -1]
    assert days(witness) == -1


@pytest.mark.usefixtures("by_field")
def test_a_row_that_changes_nothing_has_the_ttls_of_its_fields_renewed(
    client: Any, witness: Any
) -> None:
    now = int(time.time() * 1000)

    def write(ttls: dict[str, Any], event_time: int) -> list[int]:
        apply(client, view("profile", ttls), view("address", {"street": None}))
        client.write("profile", [ROW], event_time=event_time, ordering="event_time")
        return field_days(witness, *FIELDS)

    assert write({"age": "1d", "visits": "2d"}, now) == [1, 2, 2]
    assert write({"age": "3d", "visits": None}, now) == [3, -1, -1]
    assert write({"age": None, "visits": "4d"}, now - 5) == [-1, 4, -1]
    # The older row makes nothing expire sooner than the row that stays.
    assert write({"age": "1d", "visits": "2d"}, now - 5) == [1, 4, 2]


# Migrations


def test_a_row_that_is_copied_to_a_hash_takes_back_its_expiry(
    client: Any, witness: Any, redis_url: str
) -> None:
    address = view("address", {"street": None}, ttl="1d")
    apply(client, profile(None, "packed"), address)
    client.write("profile", [ROW])
    client.write("address", [{"user_id": 1, "street": 7}])
    assert (days(witness), days(witness, PACKED_KEY)) == (1, -1)
    client.migrate("profile", "hash", settle=0)
    assert days(witness) == -1
    assert client.prepare(features=["age", "street"]).get([1]).to_dicts() == [
        {"age": 29, "street": 7}
    ]
