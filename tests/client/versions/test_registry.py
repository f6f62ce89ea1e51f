"""Definitions in Redis: applied, compared, refused, followed."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from fscore import (
    ConfigError,
    Entity,
    Feature,
    FeatureNotFound,
    FeatureService,
    FeatureServiceNotFound,
    FeatureView,
    FeatureViewNotFound,
    Float64,
    Int64,
    Registry,
    RegistryConflict,
    String,
    UnsafeChange,
)
from fscore.operations import registry as store
from tests.client.driver import Driver, make_driver, until
from tests.shop import REGISTRY

user = Entity("user", join_keys={"user_id": Int64})


def definitions(*, age: Any = Int64, more: bool = False, service: bool = True) -> Registry:
    """Return a small registry, in the variant that a test needs."""
    if more:

        class Profile(FeatureView, entity=user):
            age: age
            country: String = Feature(default="??")

        features = [Profile.age, Profile.country]
    else:

        class Profile(FeatureView, entity=user):  # type: ignore[no-redef]
            age: age

        features = [Profile.age]
    return Registry.from_definitions(
        [FeatureService("rec", features=features)] if service else [Profile]
    )


def test_applying(driver: Driver, redis_url: str) -> None:
    client = driver.connect(redis_url)
    assert (client.revision, client.registry) == (0, Registry())
    planned = client.plan(definitions())
    assert planned and planned.safe
    assert client.revision == 0
    applied = client.apply(definitions())
    assert (applied.revision, applied.changed) == (1, True)
    assert client.revision == 1
    assert client.registry == definitions()
    again = client.apply(definitions())
    assert (again.revision, again.changed) == (1, False)
    assert not client.plan(definitions())
    assert client.apply(definitions(more=True)).revision == 2


def test_unsafe_changes_need_allow_unsafe(driver: Driver, redis_url: str) -> None:
    client = driver.connect(redis_url)
    client.apply(definitions(age=String))
    other = definitions(age=Int64)
    assert not client.plan(other).safe
    with pytest.raises(UnsafeChange, match="age") as caught:
        client.apply(other)
    assert len(caught.value.changes) == 1
    assert client.registry == definitions(age=String)
    assert client.apply(other, allow_unsafe=True).revision == 2
    client.write("profile", [{"user_id": 1, "age": 29}])
    assert client.prepare("rec").get([1]).to_dicts() == [{"age": 29}]


@pytest.mark.parametrize("names", [("blocking", "asyncio"), ("asyncio", "blocking")], ids=str)
def test_two_drivers_share_one_registry(redis_url: str, names: tuple[str, str]) -> None:
    drivers = [make_driver(name) for name in names]
    try:
        one, other = (driver.connect(redis_url) for driver in drivers)
        one.apply(definitions())
        assert other.revision == 0
        assert other.refresh() is True
        assert other.refresh() is False
        assert other.registry == one.registry
        assert other.apply(definitions(more=True)).revision == 2
        assert one.refresh() is True
        one.write("profile", [{"user_id": 1, "age": 29, "country": "US"}])
        assert other.prepare("rec").get([1]).to_dicts() == [{"age": 29, "country": "US"}]
    finally:
        for driver in drivers:
            driver.close()


def test_one_of_two_concurrent_applies_is_a_conflict(
    driver: Driver, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = driver.connect(redis_url), driver.connect(redis_url)
    original = store.load
    overtaken = threading.Event()

    def load(prefix: str = "") -> Any:
        loaded = yield from original(prefix)
        if not overtaken.is_set():
            # Another client is faster, between the first one's reading and replacing.
            overtaken.set()
            revision = yield ("HINCRBY", "fscore:registry", "revision", 1)
            assert revision == 1
            definitions_json = definitions(more=True).to_json()
            yield ("HSET", "fscore:registry", "definitions", definitions_json)
            yield ("HSET", "fscore:registry", "digest", definitions(more=True).digest)
        return loaded

    monkeypatch.setattr(store, "load", load)
    with pytest.raises(RegistryConflict) as caught:
        one.apply(definitions())
    assert (caught.value.expected, caught.value.found) == (0, 1)
    other.refresh()
    assert other.registry == definitions(more=True)


def test_a_new_revision_is_followed(driver: Driver, redis_url: str) -> None:
    one = driver.connect(redis_url)
    one.apply(definitions())
    one.write("profile", [{"user_id": 1, "age": 29}])
    # With a poll interval of nearly 0, each call looks for new definitions.
    follower = driver.connect(redis_url, registry_poll=1e-6)
    prepared = follower.prepare("rec")
    assert prepared.get([1]).features == ("age",)
    one.apply(definitions(more=True))
    one.write("profile", [{"user_id": 1, "country": "US"}])
    # The blocking client looks before it reads; the asyncio client looks beside its reads.
    until(lambda: prepared.get([1]).features == ("age", "country"))
    assert prepared.get([1]).to_dicts() == [{"age": 29, "country": "US"}]
    assert prepared.features == ("age", "country")
    follower.write("profile", [{"user_id": 2, "age": 1, "country": "DE"}])
    assert prepared.get([2]).to_dicts() == [{"age": 1, "country": "DE"}]


def test_a_service_that_was_removed_is_reported(driver: Driver, redis_url: str) -> None:
    one = driver.connect(redis_url)
    one.apply(definitions())
    follower = driver.connect(redis_url)
    by_service, by_name = follower.prepare("rec"), follower.prepare(features=["age"])
    one.apply(definitions(service=False), allow_unsafe=True)
    assert follower.refresh() is True
    with pytest.raises(FeatureServiceNotFound, match="rec"):
        by_service.get([1])
    assert by_name.get([1]).shape == (1, 1)
    one.apply(Registry(), allow_unsafe=True)
    assert follower.refresh() is True
    with pytest.raises(FeatureNotFound, match="age"):
        by_name.get([1])
    with pytest.raises(FeatureViewNotFound, match="profile"):
        follower.write("profile", [])
    # The service comes back, and the same handle works again.
    one.apply(definitions())
    assert follower.refresh() is True
    assert by_service.get([1]).features == ("age",)


def test_a_changed_type_reads_the_stored_text_by_the_new_type(
    driver: Driver, redis_url: str, witness: Any
) -> None:
    client = driver.connect(redis_url)
    client.apply(definitions())
    witness.hset("user:{1}:v1", "age", "29")
    prepared = client.prepare("rec")
    assert prepared.get([1]).types == ("Int64",)
    client.apply(definitions(age=Float64), allow_unsafe=True)
    table = prepared.get([1])
    assert (table.types, table.to_dicts()) == (("Float64",), [{"age": 29.0}])
    with pytest.raises(Exception, match="Float64"):
        client.write("profile", [{"user_id": 1, "age": "x"}])


@pytest.mark.parametrize(
    ("field", "value"),
    [("definitions", "{"), ("definitions", '{"format":99}'), ("digest", "0"), ("revision", "x")],
)
def test_a_damaged_registry_says_so(
    driver: Driver, redis_url: str, witness: Any, field: str, value: str
) -> None:
    driver.connect(redis_url).apply(REGISTRY)
    witness.hset("fscore:registry", field, value)
    with pytest.raises(ConfigError, match="fscore:registry"):
        driver.connect(redis_url)
    witness.delete("fscore:registry")
    witness.set("fscore:registry", "text")
    with pytest.raises(ConfigError, match="WRONGTYPE"):
        driver.connect(redis_url)
