"""Versions: which one a service reads, how it is switched, where rows go, what is refused."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

import fscore
from fscore import (
    Bool,
    ConfigError,
    Entity,
    FeatureService,
    FeatureServiceNotFound,
    FeatureView,
    FlagView,
    Int64,
    InvalidArgument,
    Payload,
    Registry,
    SeriesView,
    String,
    VersionConflict,
    VersionInUse,
    VersionNotFound,
    VersionRetired,
    WriteResult,
    window,
)
from fscore.versions import changes
from fscore.versions.records import Pointers, live_versions
from tests.client.driver import Driver
from tests.event_times import PAST_MS

user = Entity("user", join_keys={"user_id": Int64})
product = Entity("product", join_keys={"sku": Int64})
shop = Entity("shop", join_keys={"shop_id": Int64})


class Profile(FeatureView, entity=user):
    age: Int64


class Stock(FeatureView, entity=product):
    left: Int64


class Opening(FeatureView, entity=shop):
    hour: Int64


ranking = FeatureService("ranking", features=[Profile.age])
offers = FeatureService("offers", features=[Profile.age, Stock.left])
stock = FeatureService("stock", features=[Stock.left])
SERVICES = [ranking, offers, stock]
REGISTRY = Registry.from_definitions([*SERVICES, Opening])


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    """A client that writes and switches, and knows of its own changes at once."""
    connected = driver.connect(redis_url, registry_poll=0.01)
    connected.apply(REGISTRY)
    return connected


def write_ages(client: Any, **ages: int) -> None:
    """Write the age of user 1 in each version: `v2=30`."""
    for version, age in ages.items():
        client.write("profile", [{"user_id": 1, "age": age}], version=int(version[1:]))


def stored_ages(witness: Any) -> dict[str, int]:
    """Return the stored ages of user 1, by version."""
    keys = sorted(witness.scan_iter("user:{1}:*"))
    return {key.decode().rpartition(":")[2]: int(witness.hget(key, "age")) for key in keys}


# Which version is read.


def test_the_pointer_decides_if_a_request_pins_nothing(client: Any, witness: Any) -> None:
    write_ages(client, v1=10, v2=20, v3=30)
    prepared = client.prepare("ranking")
    assert (prepared.version, prepared.get([1]).version) == (1, 1)
    assert client.versions.create("ranking") == 2
    assert prepared.get([1]).to_dicts() == [{"age": 10}]
    switch = client.versions.promote("ranking", 2)
    assert switch == changes.Switch("ranking", 2, 1, changed=True)
    assert witness.get("feature_version:ranking") == b"2"
    assert (prepared.version, prepared.get([1]).version) == (2, 2)
    assert prepared.get([1]).to_dicts() == [{"age": 20}]
    assert prepared.get([1], version=3).to_dicts() == [{"age": 30}]
    assert prepared.get([1], version=1, consistency="primary").version == 1
    assert client.current_versions == {"ranking": 2, "offers": 1, "stock": 1}
    # Other services, and requests that name no service, still read the version as before.
    assert client.prepare("offers").version == 1
    assert client.prepare(features=["age"]).get([1]).version == 1
    assert client.prepare(entity="user").get([1]).version == 1


def test_the_definition_decides_if_there_is_no_pointer(
    driver: Driver, client: Any, witness: Any
) -> None:
    newer = FeatureService("ranking", features=[Profile.age], version=7)
    client.apply(Registry.from_definitions([newer]), allow_unsafe=True)
    prepared = client.prepare("ranking")
    assert prepared.get([1]).version == 7
    client.versions.promote("ranking", client.versions.create("ranking"))
    assert prepared.get([1]).version == 8
    assert driver.connect(client.settings.redis_url.get_secret_value()).current_versions == {
        "ranking": 8
    }
    witness.delete("feature_version:ranking")
    client.refresh()
    assert prepared.get([1]).version == 7


def test_a_pointer_set_by_hand_is_followed(client: Any, witness: Any) -> None:
    prepared = client.prepare("ranking")
    witness.set("feature_version:ranking", 42)
    assert client.refresh() is True
    assert client.refresh() is False
    assert prepared.get([1]).version == 42


@pytest.mark.parametrize("text", ["", "0", "-1", "2.0", "two", " 2", "02", str(2**63)])
def test_a_pointer_that_is_not_a_version_stops_that_service_alone(
    client: Any, witness: Any, text: str
) -> None:
    prepared, other = client.prepare("ranking"), client.prepare("stock")
    witness.set("feature_version:ranking", text)
    client.refresh()
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"feature_version:ranking.*version promote ranking"):
            prepared.get([1])
    assert prepared.get([1], version=1).version == 1
    assert other.get([1]).version == 1
    assert client.current_versions == {"offers": 1, "stock": 1}
    with pytest.raises(ConfigError, match="feature_version:ranking"):
        client.write("profile", [{"user_id": 1, "age": 1}])
    client.write("stock", [{"sku": 1, "left": 1}])
    # The message's advice solves the problem.
    switch = client.versions.promote("ranking", 1)
    assert (switch.before, switch.changed) == (None, True)
    assert prepared.get([1]).version == 1


def test_versions_are_those_of_the_prefix(driver: Driver, redis_url: str, witness: Any) -> None:
    acme, globex = (
        driver.connect(redis_url, key_prefix=prefix, registry_poll=0.01)
        for prefix in ("acme:", "globex:")
    )
    for one in (acme, globex):
        one.apply(REGISTRY)
    acme.versions.promote("ranking", acme.versions.create("ranking"))
    globex.refresh()
    assert (acme.current_versions["ranking"], globex.current_versions["ranking"]) == (2, 1)
    assert sorted(witness.keys("*versions*") + witness.keys("*feature_version*")) == [
        b"acme:feature_version:ranking",
        b"acme:fscore:versions",
        b"acme:fscore:versions:ranking",
    ]


# Creating, promoting, rolling back.


def test_numbers_are_free_for_every_service_that_shares_an_entity(client: Any) -> None:
    assert client.versions.create("ranking") == 2
    # It shares users with ranking, and products with stock.
    assert client.versions.create("offers") == 3
    assert client.versions.create("stock") == 4
    # Its products are not the entity of ranking's users.
    assert client.versions.create("ranking") == 4
    assert client.versions.create("offers") == 5


def test_numbers_are_not_used_again(client: Any, witness: Any) -> None:
    client.versions.create("ranking")
    client.versions.retire("ranking", 2)
    assert client.versions.create("ranking") == 3
    witness.set("feature_version:offers", 11)
    assert client.versions.create("ranking") == 12
    witness.set("feature_version:offers", 2**63 - 1)
    with pytest.raises(VersionNotFound, match="no version after"):
        client.versions.create("ranking")


def test_what_is_known_of_a_version(client: Any, witness: Any) -> None:
    version = client.versions.create("ranking", comment="müller's try", created_by="ann")
    record = json.loads(witness.hget("fscore:versions:ranking", "2"))
    assert {**record, "created_at": 0} == {
        "state": "filling",
        "created_at": 0,
        "created_by": "ann",
        "comment": "müller's try",
        "promoted_at": None,
        "previous": None,
        "retired_at": None,
        "reclaimed_at": None,
    }
    client.versions.promote("ranking", version)
    (found,) = client.versions.list("ranking")
    assert (found.service, found.current, found.previous) == ("ranking", 2, 1)
    assert [(item.version, item.state) for item in found.versions] == [(1, "live"), (2, "live")]
    assert found.versions[1].created_at_ms == record["created_at"]
    assert found.versions[1].promoted_at_ms >= record["created_at"]
    assert [item.service for item in client.versions.list()] == ["offers", "ranking", "stock"]
    assert found.to_dict()["versions"][1]["previous"] == 1


def test_going_back_is_a_stack(client: Any, witness: Any) -> None:
    versions = client.versions
    for _ in range(3):
        versions.promote("ranking", versions.create("ranking"))
    steps = [versions.rollback("ranking") for _ in range(3)]
    assert [(step.before, step.version) for step in steps] == [(4, 3), (3, 2), (2, 1)]
    with pytest.raises(VersionNotFound, match="no version before it"):
        versions.rollback("ranking")
    assert witness.get("feature_version:ranking") == b"1"
    # A version that was rolled back may be promoted again.
    assert versions.promote("ranking", 4).before == 1
    assert versions.rollback("ranking").version == 1


def test_rolling_back_alternates_between_two_versions(client: Any) -> None:
    versions = client.versions
    versions.promote("ranking", versions.create("ranking"))
    versions.promote("ranking", 1)
    assert [versions.rollback("ranking").version for _ in range(3)] == [2, 1, 2]


def test_promoting_what_is_read_already_changes_nothing(client: Any, witness: Any) -> None:
    assert client.versions.promote("ranking", 1).changed is False
    assert witness.get("feature_version:ranking") is None
    client.versions.promote("ranking", client.versions.create("ranking"))
    assert client.versions.promote("ranking", 2).changed is False
    assert client.versions.rollback("ranking").version == 1


def test_unknown_names_and_numbers(client: Any) -> None:
    for call in (client.versions.create, client.versions.rollback, client.versions.list):
        with pytest.raises(FeatureServiceNotFound, match="rankin"):
            call("rankin")
    with pytest.raises(VersionNotFound, match="no version 5; there are 1") as caught:
        client.versions.promote("ranking", 5)
    assert caught.value.suggestions == ("1",)
    with pytest.raises(VersionNotFound):
        client.versions.retire("ranking", 5)
    for wrong in (True, "2", None, 0):
        with pytest.raises(InvalidArgument, match="version"):
            client.versions.promote("ranking", wrong)
    for rate in (0, -1, True, "fast"):
        with pytest.raises(InvalidArgument, match="rate"):
            client.versions.retire("ranking", 1, rate=rate)


# Concurrent changes.


def test_one_of_two_concurrent_promotions_is_a_conflict(
    driver: Driver, redis_url: str, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = client, driver.connect(redis_url)
    for _ in range(2):
        one.versions.create("ranking")
    look = changes._looking
    overtaken = threading.Event()

    def overtaking(prefix: str, service: str) -> Any:
        seen = yield from look(prefix, service)
        if not overtaken.is_set():
            overtaken.set()
            yield from changes.promote(prefix, service, 3, now_ms=1)
        return seen

    monkeypatch.setattr(changes, "_looking", overtaking)
    with pytest.raises(VersionConflict, match=r"from version 1 to 3.*not promoted to 2") as caught:
        one.versions.promote("ranking", 2)
    assert (caught.value.expected, caught.value.found) == (1, 3)
    (found,) = other.versions.list("ranking")
    assert (found.current, found.previous) == (3, 1)
    assert found.versions[1].state == "filling"


def test_changes_of_other_services_are_not_a_conflict(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.versions.create("ranking")
    look = changes._looking
    rounds = iter(range(3))

    def disturbed(prefix: str, service: str) -> Any:
        seen = yield from look(prefix, service)
        if service == "ranking" and next(rounds, None) is not None:
            yield from changes.create(
                prefix, "offers", comment="", created_by="somebody else", now_ms=1
            )
        return seen

    monkeypatch.setattr(changes, "_looking", disturbed)
    assert client.versions.promote("ranking", 2).changed
    assert next(rounds, None) is None


def test_many_make_versions_at_once(driver: Driver, redis_url: str, client: Any) -> None:
    others = [driver.connect(redis_url) for _ in range(4)]
    calls = [
        driver.start(one.versions.create, name) for one in others for name in ("ranking", "offers")
    ]
    numbers = driver.all(calls)
    assert sorted(numbers) == list(range(2, 10))


def test_many_switch_at_once(driver: Driver, redis_url: str, client: Any) -> None:
    numbers = [client.versions.create("ranking") for _ in range(6)]
    others = [driver.connect(redis_url) for _ in numbers]
    outcomes = driver.all(
        [
            driver.start(one.versions.promote, "ranking", number)
            for one, number in zip(others, numbers, strict=True)
        ]
    )
    done = [outcome for outcome in outcomes if isinstance(outcome, changes.Switch)]
    assert all(isinstance(outcome, changes.Switch | VersionConflict) for outcome in outcomes)
    # Each switch began where another one ended: none overwrote a change that it had not seen.
    after = {switch.before: switch.version for switch in done}
    assert len(after) == len(done) >= 1
    current = 1
    for _ in done:
        current = after[current]
    (found,) = client.versions.list("ranking")
    assert found.current == current


# Which versions are written.


def test_rows_go_to_every_live_version(client: Any, witness: Any) -> None:
    def write(age: int) -> WriteResult:
        result: WriteResult = client.write("profile", {"user_id": [1], "age": [age]})
        return result

    assert write(10) == WriteResult(1, (1,))
    client.versions.create("ranking")
    assert write(11) == WriteResult(1, (1, 2))
    assert stored_ages(witness) == {"v1": 11, "v2": 11}
    client.versions.promote("ranking", 2)
    # The version that a rollback would go to is kept fresh, and the other service reads 1 anyway.
    assert write(12) == WriteResult(1, (1, 2))
    client.versions.rollback("ranking")
    assert write(13) == WriteResult(1, (1, 2))
    assert client.write("profile", [{"user_id": 1, "age": 99}], version=2).versions == (2,)
    assert stored_ages(witness) == {"v1": 13, "v2": 99}
    client.versions.retire("ranking", 2)
    assert write(14) == WriteResult(1, (1,))
    assert stored_ages(witness) == {"v1": 14}


def test_one_event_time_is_written_to_all_versions(client: Any, witness: Any) -> None:
    client.versions.create("ranking")
    client.write("profile", [{"user_id": 1, "age": 1}])
    client.write("profile", {"user_id": [2], "age": [1], "event_time": [PAST_MS]})
    times = [witness.hget(f"user:{{{n}}}:v{v}", "_ts:profile") for n in (1, 2) for v in (1, 2)]
    assert times[0] == times[1]
    assert times[2:] == [b"%d" % PAST_MS] * 2


def test_versions_of_an_entity_are_those_of_the_services_that_read_it(client: Any) -> None:
    client.versions.create("ranking")
    client.versions.create("offers")
    written = {
        view: client.write(view, [row]).versions
        for view, row in (
            ("profile", {"user_id": 1, "age": 1}),
            ("stock", {"sku": 1, "left": 1}),
            ("opening", {"shop_id": 1, "hour": 9}),
        )
    }
    assert written == {"profile": (1, 2, 3), "stock": (1, 3), "opening": (1,)}


def test_events_and_flags_have_no_version() -> None:
    class Clicks(SeriesView, entity=user):
        page: String = Payload()
        clicks: Int64 = window.count("1h")

    class Seen(FlagView, entity=user):
        promo: Bool

    old = FeatureService("old", features=[Profile.age, Clicks.clicks, Seen.promo], version=4)
    events = FeatureService("events", features=[Clicks.clicks, Seen.promo], version=9)
    registry = Registry.from_definitions([old, events])
    live = {
        view: live_versions(registry, Pointers(), {}, view, "")
        for view in ("profile", "clicks", "seen")
    }
    # A service that reads no rows does not keep a version of rows alive.
    assert live == {"profile": (4,), "clicks": (), "seen": ()}


def test_rows_are_counted_once(client: Any, witness: Any) -> None:
    client.versions.create("ranking")
    rows = {"user_id": list(range(5_000)), "age": [1] * 5_000}
    assert client.write("profile", rows) == WriteResult(5_000, (1, 2))
    assert len(witness.keys("user:{*}:v2")) == 5_000
    witness.delete("user:{7}:v2")
    assert client.delete("profile", {"user_id": [6, 7, 8]}) == 3
    assert client.delete("profile", {"user_id": [8, 9]}, version=2) == 1
    assert witness.exists("user:{9}:v1")
    assert client.write("profile", []) == WriteResult(0, (1, 2))


def test_a_writer_follows_new_versions(driver: Driver, redis_url: str, client: Any) -> None:
    writer = driver.connect(redis_url, registry_poll=1e-6)
    row = [{"user_id": 1, "age": 1}]
    assert writer.write("profile", row).versions == (1,)
    client.versions.create("ranking")
    assert writer.write("profile", row).versions == (1, 2)
    client.versions.promote("ranking", 2)
    client.versions.create("ranking")
    assert writer.write("profile", row).versions == (1, 2, 3)
    client.versions.promote("offers", client.versions.create("offers"))
    client.versions.retire("ranking", 1, force=True)
    # The other service may roll back to it.
    assert writer.write("profile", row).versions == (2, 3, 4)


def test_a_writer_that_cannot_know_the_versions_writes_nothing(
    driver: Driver, redis_url: str, client: Any, witness: Any
) -> None:
    client.versions.create("ranking")
    witness.hset("fscore:versions:ranking", "3", "{")
    writer = driver.connect(redis_url)
    with pytest.raises(ConfigError, match=r"fscore:versions:ranking.*field 3"):
        writer.write("profile", [{"user_id": 1, "age": 1}])
    assert witness.keys("user:*") == []
    # Reads do not need the list of versions, and neither do writes that name a version.
    assert writer.write("profile", [{"user_id": 1, "age": 1}], version=2).versions == (2,)
    assert writer.prepare("ranking").get([1]).version == 1
    witness.hdel("fscore:versions:ranking", "3")
    assert writer.write("profile", [{"user_id": 1, "age": 1}]).versions == (1, 2)


# Retiring: what is refused, and what happens afterwards.


def test_what_is_read_is_not_retired(client: Any) -> None:
    for version in (client.versions.create("ranking"), client.versions.create("ranking")):
        client.versions.promote("ranking", version)
    for force in (False, True):
        with pytest.raises(VersionInUse, match="version 3 is read by ranking") as caught:
            client.versions.retire("ranking", 3, force=force)
        assert caught.value.services == ("ranking",)
        with pytest.raises(VersionInUse, match="version 1 is read by offers"):
            client.versions.retire("ranking", 1, force=force)


def test_what_a_rollback_would_need_is_retired_by_force_alone(client: Any) -> None:
    versions = client.versions
    for _ in range(2):
        versions.promote("ranking", versions.create("ranking"))
    with pytest.raises(VersionInUse, match=r"ranking would go back to version 2.*--force"):
        versions.retire("ranking", 2)
    assert versions.retire("ranking", 2, force=True).entities == ("user",)
    with pytest.raises(VersionRetired, match="version 2 of ranking is retired"):
        versions.promote("ranking", 2)
    # A rollback skips the retired version.
    assert versions.list("ranking")[0].previous == 1
    assert versions.rollback("ranking").version == 1
    states = {item.version: item.state for item in versions.list("ranking")[0].versions}
    assert states == {1: "live", 2: "retired", 3: "live"}


def test_a_version_that_is_being_filled_may_be_retired(client: Any) -> None:
    version = client.versions.create("ranking")
    client.write("profile", [{"user_id": 1, "age": 1}])
    assert client.versions.retire("ranking", version).removed == 1


def test_an_entity_whose_version_another_service_still_has_is_kept(
    client: Any, witness: Any
) -> None:
    versions = client.versions
    client.write("profile", [{"user_id": 1, "age": 1}])
    client.write("stock", [{"sku": 1, "left": 1}])
    for name in ("ranking", "offers", "offers", "stock"):
        versions.promote(name, versions.create(name))
    # Stock would roll back to 1, and offers still has it, two versions back.
    with pytest.raises(VersionInUse, match="ranking would"):
        versions.retire("ranking", 1)
    retired = versions.retire("ranking", 1, force=True)
    assert (retired.removed, retired.entities, retired.kept) == (0, (), {"user": ("offers",)})
    assert client.write("profile", [{"user_id": 2, "age": 1}]).versions[0] == 1
    retired = versions.retire("offers", 1, force=True)
    assert (retired.entities, retired.kept) == (("user", "product"), {})
    assert retired.removed == 3
    assert witness.keys("*:v1") == []


def test_force_ends_the_way_back_for_every_service(client: Any, witness: Any) -> None:
    versions = client.versions
    for name in ("ranking", "offers", "stock"):
        versions.promote(name, versions.create(name))
    with pytest.raises(VersionInUse) as caught:
        versions.retire("offers", 1)
    assert set(caught.value.services) == {"offers", "ranking", "stock"}
    versions.retire("offers", 1, force=True)
    for name in ("ranking", "offers", "stock"):
        with pytest.raises(VersionNotFound, match="no version before"):
            versions.rollback(name)


def test_two_drivers_see_one_another(redis_url: str, client: Any) -> None:
    with fscore.connect(redis_url) as blocking:
        client.versions.create("ranking")
        assert blocking.versions.promote("ranking", 2).before == 1
        client.refresh()
        assert client.prepare("ranking").version == 2
