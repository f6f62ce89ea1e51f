"""Definitions as arguments: whatever has a name may be given itself instead of its name."""

from __future__ import annotations

from typing import Any

import pytest

from fscore import (
    AmbiguousFeature,
    Entity,
    EventSource,
    FeatureNotFound,
    FeatureService,
    FeatureView,
    FeatureViewNotFound,
    Int64,
    InvalidArgument,
    Payload,
    Registry,
    SeriesView,
    String,
    latest,
    resolve,
    window,
)
from tests.client.driver import Driver
from tests.event_times import RECENT_MS

user = Entity("user", join_keys={"user_id": Int64})
visits = EventSource("visits", event_time="at", timestamp_format="unix_ms")


class UserProfile(FeatureView, entity=user):
    age: Int64
    country: String


class LastVisit(FeatureView, entity=user, source=visits, name="seen"):
    page: String = latest("page")


class Visits(SeriesView, entity=user, source=visits):
    page: String = Payload()
    visits_total: Int64 = window.count()


ranking = FeatureService(
    "ranking",
    features=[UserProfile.age, UserProfile.country.alias("home"), LastVisit.page.alias("page")],
)
twice = FeatureService("twice", features=[UserProfile.age.alias("a"), UserProfile.age.alias("b")])
REGISTRY = Registry.from_definitions([ranking, twice, Visits])
ROW = {"user_id": 1, "age": 29, "country": "NL"}


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url, registry_poll=0.05)
    connected.apply(REGISTRY)
    return connected


def test_views_are_written_and_deleted_by_their_class(client: Any) -> None:
    assert client.write(UserProfile, [ROW]).rows == 1
    prepared = client.prepare(features=["age", "country"])
    assert prepared.get([1]).to_dicts() == [{"age": 29, "country": "NL"}]
    assert client.delete(UserProfile, [1]) == 1
    assert prepared.get([1]).to_dicts() == [{"age": None, "country": None}]
    # The name that the class statement gives counts, not that of the class.
    assert client.write(LastVisit, [{"user_id": 1, "page": "/a"}]).rows == 1
    assert client.prepare(features=["seen:page"]).get([1]).to_dicts() == [{"page": "/a"}]


def test_sources_are_pushed_to_by_themselves(client: Any) -> None:
    pushed = client.push(visits, [{"user_id": 1, "at": RECENT_MS, "page": "/a"}])
    assert set(pushed.views) == {"seen", "visits"}
    assert client.prepare(entity=user).get([1]).column("visits_total").tolist() == [1]


def test_services_features_and_entities_are_prepared(client: Any) -> None:
    client.write(UserProfile, [ROW])
    assert client.prepare(ranking).service == "ranking"
    assert client.prepare(ranking).features == ("age", "home", "page")
    chosen = client.prepare(features=[LastVisit.page, "age", UserProfile.country])
    assert chosen.features == ("page", "age", "country")
    assert client.prepare(features=UserProfile[["country", "age"]]).features == ("country", "age")
    assert client.prepare(entity=user).features == client.prepare(entity="user").features
    assert client.prepare(features=["age"], entity=user).get([1]).to_dicts() == [{"age": 29}]


def test_outputs_of_a_service_are_named_by_feature_or_alias(client: Any) -> None:
    client.write(UserProfile, [ROW])
    for features in (
        [UserProfile.country, UserProfile.age],
        [UserProfile.country.alias("home"), "age"],
        ["user_profile:country", "user_profile:age"],
    ):
        prepared = client.prepare(ranking, features=features)
        assert prepared.features == ("home", "age")
        assert prepared.get([1]).to_dicts() == [{"home": "NL", "age": 29}]
    with pytest.raises(AmbiguousFeature, match=r"several outputs .* write a or b") as caught:
        client.prepare(twice, features=[UserProfile.age])
    assert caught.value.candidates == ("a", "b")
    assert client.prepare(twice, features=[UserProfile.age.alias("b")]).features == ("b",)
    with pytest.raises(AmbiguousFeature, match="asked for twice"):
        client.prepare(ranking, features=["age", UserProfile.age])
    with pytest.raises(FeatureNotFound, match=r"'user_profile:agee'.*in service"):
        client.prepare("ranking", features=["user_profile:agee"])


def test_versions_are_those_of_a_service_itself(client: Any) -> None:
    versions = client.versions
    assert versions.create(ranking) == 2
    assert versions.promote(ranking, 2).service == "ranking"
    assert versions.rollback(ranking).version == 1
    (found,) = versions.list(ranking)
    assert [record.version for record in found.versions] == [1, 2]
    assert versions.retire(ranking, 2, force=True).service == "ranking"


def test_a_view_is_migrated_by_its_class(client: Any) -> None:
    client.write(UserProfile, [ROW])
    done = client.migrate(UserProfile, "packed", settle=0.01)
    assert (done.view, done.layout, done.copied) == ("user_profile", "packed", 1)


def test_an_object_that_was_not_applied_is_as_unknown_as_its_name(client: Any) -> None:
    class Other(FeatureView, entity=user):
        age: Int64

    with pytest.raises(FeatureViewNotFound, match="other"):
        client.write(Other, [])
    with pytest.raises(FeatureViewNotFound, match="other"):
        client.prepare(features=[Other.age])


def test_prepared_sets_outlive_the_list_that_they_were_made_from(client: Any) -> None:
    features = [UserProfile.age]
    prepared = client.prepare(features=features)
    features.clear()
    client.apply(Registry.from_definitions([ranking, Visits]), allow_unsafe=True)
    client.write(UserProfile, [ROW])
    assert prepared.get([1]).to_dicts() == [{"age": 29}]


def test_resolve_takes_the_same() -> None:
    assert resolve(REGISTRY, ranking).names == ("age", "home", "page")
    assert resolve(REGISTRY, features=[UserProfile.age], entity=user).names == ("age",)
    with pytest.raises(InvalidArgument, match="service is <class"):
        resolve(REGISTRY, UserProfile)  # type: ignore[arg-type]


def test_a_service_whose_name_is_no_text_is_refused(client: Any) -> None:
    nameless: Any = FeatureService(5, features=[])  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match=r"service is FeatureService\(5"):
        client.prepare(nameless)
