"""Resolution of a request's names to fields of Redis hashes."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from fscore import (
    AmbiguousFeature,
    Entity,
    EntityNotFound,
    Feature,
    FeatureNotFound,
    FeatureService,
    FeatureServiceNotFound,
    FeatureView,
    FeatureViewNotFound,
    Float64,
    FscoreError,
    Int64,
    Registry,
    ResolvedSet,
    String,
    Vector,
    resolve,
)
from fscore.specs.resolve import write_spec

user = Entity("user", join_keys={"user_id": String})
product = Entity("product", join_keys={"product_id": Int64})
affinity = Entity("affinity", join_keys={"user_id": String, "product_id": Int64})
account = Entity("account", join_keys={"user_id": Int64})


class Profile(FeatureView, entity=user, ttl="1d"):
    platform: String = Feature(default="web")
    age: Int64


class Activity(FeatureView, entity=user):
    events: Int64 = Feature(default=0)
    score: Float64


class Catalogue(FeatureView, entity=product):
    price: Float64
    score: Float64
    embedding: Vector[Literal[2]] = Feature(default=[0, 1])


class Pairs(FeatureView, entity=affinity):
    clicks: Int64


class Accounts(FeatureView, entity=account):
    balance: Float64


ranking = FeatureService(
    "ranking",
    version=3,
    features=[
        Profile.age,
        Catalogue.score.alias("product_score"),
        Activity.score,
        Profile.platform.alias("device"),
        Pairs.clicks,
    ],
)
registry = Registry.from_definitions([ranking, Catalogue, Accounts])


def columns(resolved: ResolvedSet) -> list[tuple[str, str, str, str]]:
    found = []
    for item in resolved.features:
        view = resolved.views[item.view]
        found.append((item.name, resolved.entities[view.entity].name, view.name, item.field))
    return found


def test_a_service_resolves_in_its_order() -> None:
    resolved = resolve(registry, "ranking")
    assert (resolved.service, resolved.version) == ("ranking", 3)
    assert columns(resolved) == [
        ("age", "user", "profile", "age"),
        ("product_score", "product", "catalogue", "score"),
        ("score", "user", "activity", "score"),
        ("device", "user", "profile", "platform"),
        ("clicks", "affinity", "pairs", "clicks"),
    ]
    assert resolved.names == ("age", "product_score", "score", "device", "clicks")
    assert resolved.join_keys == {"user_id": "String", "product_id": "Int64"}
    age, _, score, device, _ = resolved.features
    assert (age.type, age.default) == ("Int64", None)
    assert (score.type, device.default) == ("Float64", "web")
    assert resolved.types == ("Int64", "Float64", "Float64", "String", "Int64")


def test_an_entity_says_how_many_fields_its_hash_has() -> None:
    fields = {item.name: item.fields_total for item in resolve(registry, "ranking").entities}
    # The features of all its views, and an event time for each view.
    assert fields == {"user": 4 + 2, "product": 3 + 1, "affinity": 1 + 1}


def test_outputs_of_a_service_may_be_chosen() -> None:
    resolved = resolve(registry, "ranking", ["device", "age"])
    assert columns(resolved) == [
        ("device", "user", "profile", "platform"),
        ("age", "user", "profile", "age"),
    ]
    assert (resolved.version, resolved.join_keys) == (3, {"user_id": "String"})


def test_features_are_named_bare_or_with_their_view() -> None:
    resolved = resolve(registry, features=["price", "profile:age", "clicks"])
    assert columns(resolved) == [
        ("price", "product", "catalogue", "price"),
        ("age", "user", "profile", "age"),
        ("clicks", "affinity", "pairs", "clicks"),
    ]
    assert (resolved.service, resolved.version) == (None, 1)


def test_columns_that_would_be_called_the_same_get_their_views() -> None:
    resolved = resolve(registry, features=["activity:score", "age", "catalogue:score"])
    assert resolved.names == ("activity:score", "age", "catalogue:score")


def test_an_entity_settles_a_name() -> None:
    resolved = resolve(registry, features=["score"], entity="user")
    assert columns(resolved) == [("score", "user", "activity", "score")]


def test_an_entity_alone_gives_all_its_features() -> None:
    resolved = resolve(registry, entity="user")
    assert resolved.names == ("events", "score", "platform", "age")


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        (
            {"service": "rankin"},
            FeatureServiceNotFound,
            "unknown feature service 'rankin'; did you mean ranking?",
        ),
        ({"service": "x"}, FeatureServiceNotFound, "'x'; there are ranking"),
        ({"entity": "usr"}, EntityNotFound, "unknown entity 'usr'; did you mean user?"),
        ({"features": ["profil:age"]}, FeatureViewNotFound, "view 'profil'; did you mean profile?"),
        (
            {"features": ["profile:agee"]},
            FeatureNotFound,
            "unknown feature 'agee'; did you mean age?, in view 'profile'",
        ),
        ({"features": ["agee"]}, FeatureNotFound, "unknown feature 'agee'; did you mean age?"),
        ({"features": [""]}, FeatureNotFound, "unknown feature ''; there are"),
        ({"features": []}, FeatureNotFound, "the list of features is empty"),
        (
            {"features": ["price"], "entity": "user"},
            FeatureNotFound,
            "unknown feature 'price'; there are events, score, platform, age",
        ),
        (
            {"features": ["catalogue:price"], "entity": "user"},
            FeatureNotFound,
            "feature 'catalogue:price' is of entity 'product', not of 'user'",
        ),
        (
            {"features": ["score"]},
            AmbiguousFeature,
            "feature 'score' is in several views: write activity:score or catalogue:score",
        ),
        ({"features": ["age", "age"]}, AmbiguousFeature, "feature 'age' is asked for twice"),
        (
            {"features": ["age", "profile:age"]},
            AmbiguousFeature,
            "feature 'profile:age' is asked for twice",
        ),
        (
            {"features": ["age", "balance"]},
            AmbiguousFeature,
            "join key 'user_id' is String in entity user and Int64 in entity account",
        ),
        (
            {"service": "ranking", "features": ["platform"]},
            FeatureNotFound,
            "unknown feature 'platform'; there are age, product_score, score, device, clicks, in ",
        ),
        ({"service": "ranking", "features": ["age", "age"]}, AmbiguousFeature, "asked for twice"),
        ({}, EntityNotFound, "nothing to read was named: give a service (ranking), features, or"),
    ],
)
def test_what_cannot_be_resolved_says_so(
    arguments: dict[str, Any], error: type[FscoreError], says: str
) -> None:
    with pytest.raises(error) as caught:
        resolve(registry, **arguments)
    assert says in caught.value.message


def test_errors_carry_the_nearest_names() -> None:
    with pytest.raises(FeatureNotFound) as unknown:
        resolve(registry, features=["profile:platfrom"])
    assert unknown.value.name == "profile:platfrom"
    assert unknown.value.suggestions == ("profile:platform",)
    with pytest.raises(AmbiguousFeature) as ambiguous:
        resolve(registry, features=["score"])
    assert ambiguous.value.candidates == ("activity:score", "catalogue:score")


def test_an_entity_without_views_has_nothing_to_read() -> None:
    bare = Registry.from_definitions([user])
    with pytest.raises(FeatureNotFound, match="entity 'user' has no features"):
        resolve(bare, entity="user")


def test_nothing_is_defined_at_first() -> None:
    with pytest.raises(FeatureServiceNotFound, match="there are none"):
        resolve(Registry(), "ranking")


def test_long_lists_are_cut_short() -> None:
    names = {f"s{number:02}": registry.services["ranking"] for number in range(40)}
    with pytest.raises(FeatureServiceNotFound, match=r"s19, …$"):
        resolve(Registry(services=names), "zzz")


def test_long_names_are_cut_short() -> None:
    with pytest.raises(FeatureNotFound) as caught:
        resolve(registry, features=["a" * 1_000_000])
    assert len(caught.value.message) < 500


def test_the_read_spec() -> None:
    chosen = ["device", "product_score", "age"]
    assert resolve(registry, "ranking", chosen).to_spec() == {
        "service": "ranking",
        "version": 3,
        "entities": [
            {
                "name": "user",
                "join_keys": [["user_id", "String"]],
                "fields_total": 6,
                "wide_values": False,
            },
            {
                "name": "product",
                "join_keys": [["product_id", "Int64"]],
                "fields_total": 4,
                "wide_values": False,
            },
        ],
        "views": [
            {"kind": "hash", "entity": 0, "name": "profile", "ttl_ms": 86_400_000},
            {"kind": "hash", "entity": 1, "name": "catalogue", "ttl_ms": 0},
        ],
        "features": [
            {
                "name": "device",
                "view": 0,
                "field": "platform",
                "type": "String",
                "default": "web",
                "ttl_ms": 0,
                "window": None,
            },
            {
                "name": "product_score",
                "view": 1,
                "field": "score",
                "type": "Float64",
                "default": None,
                "ttl_ms": 0,
                "window": None,
            },
            {
                "name": "age",
                "view": 0,
                "field": "age",
                "type": "Int64",
                "default": None,
                "ttl_ms": 0,
                "window": None,
            },
        ],
        "request": [],
        "computed": [],
        "outputs": [["read", 0], ["read", 1], ["read", 2]],
    }


def test_the_write_spec() -> None:
    assert write_spec(registry, "catalogue") == {
        "kind": "hash",
        "entity": "product",
        "join_keys": [["product_id", "Int64"]],
        "view": "catalogue",
        "features": [
            {"name": "price", "type": "Float64", "ttl_ms": 0},
            {"name": "score", "type": "Float64", "ttl_ms": 0},
            {"name": "embedding", "type": "Vector[2]", "ttl_ms": 0},
        ],
        "key_ttl_ms": 0,
        "shared_key": False,
        "also": None,
    }
    with pytest.raises(FeatureViewNotFound, match="did you mean catalogue"):
        write_spec(registry, "catalog")
