"""Class statements of request views: what they mean, and the errors for wrong ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fscore import (
    AmbiguousFeature,
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Float64,
    Int64,
    InvalidDefinition,
    InvalidValue,
    Payload,
    Registry,
    RequestView,
    SeriesView,
    String,
    Timestamp,
    diff,
    request,
    resolve,
    window,
)
from fscore.registry import RequestViewDefinition
from fscore.specs.resolve import write_spec
from tests.definitions.conftest import Problems

user = Entity("user", join_keys={"user_id": String})
product = Entity("product", join_keys={"product_id": Int64})


class Profile(FeatureView, entity=user, ttl="30d"):
    signup_time: Timestamp
    age: Int64 = Feature(default=30)


class Clicks(SeriesView, entity=user, retention="7d"):
    price: Float64 = Payload()
    spent_7d: Float64 = window.sum("price", "7d")


class Catalogue(FeatureView, entity=product):
    price: Float64


class Derived(
    RequestView,
    entity=user,
    request={"amount": Float64, "coupon": String},
    owner="growth",
    description="of an order",
):
    account_age: Int64 = Feature(request.now - Profile.signup_time, description="in ms")
    ratio: Float64 = Feature(request["amount"] / Clicks.spent_7d, default=1)
    affordable: Float64 = Feature(request["amount"] - Catalogue.price)
    years: Float64 = Feature(Profile.age)
    _half = request["amount"] / 2


def test_everything_of_a_view_on_request_reaches_the_registry() -> None:
    registry = Registry.from_definitions([Derived])
    assert list(registry.views) == ["catalogue", "clicks", "derived", "profile"]
    view = registry.views["derived"]
    assert isinstance(view, RequestViewDefinition)
    assert (view.request, view.owner) == ((("amount", "Float64"), ("coupon", "String")), "growth")
    account_age, ratio, _, years = view.features
    assert account_age.description == "in ms"
    assert account_age.expression == {
        "op": "-",
        "args": [{"now": True}, {"feature": "profile:signup_time"}],
    }
    assert (ratio.default, years.expression) == (1.0, {"feature": "profile:age"})
    again = Registry.from_json(registry.to_json())
    assert again == registry
    assert again.views == registry.views
    assert isinstance(Derived.account_age, Int64)


STATEMENTS = [
    ("", "x: Int64", "V.x: has no expression: write it as in Feature(request.now - UserProfile."),
    ("", "x: Int64 = 5", "V.x: is assigned 5: a default is written x: Int64 = Feature(default=5)"),
    ("", "x: Int64 = latest('age')", "a feature of a RequestView follows from an expression like"),
    ("", "x: Int64 = Feature(5)", "the first argument of Feature() is an expression like"),
    ("", "x: Int64 = Feature(P.age, ttl='1d')", "V.x: has a ttl, which features of a RequestView"),
    ("", "y: Int64 = P.age\n    x = P.age + 1", "V.x: has no type: write x: <type>"),
    ("", "x: String = P.age + 1", "V.x: "),
    ("", "x: Int64 = P.age + P.name", "V.x: "),
    (
        "",
        "x: Float64 = request['amount'] + 1",
        "V.x: reads request['amount'], which the view does not",
    ),
    (
        "request={'amount': Float64}",
        "x: Float64 = request['amuont'] + 1",
        "V.x: reads request['amuont'], which the view does not have; did you mean amount?",
    ),
    ("request=5", "x: Int64 = P.age", "V: request must be a dict of input to type, like"),
    ("request={'a': float}", "x: Int64 = P.age", "V: request['a']: float is not a feature type"),
    (
        "request={'a b': Float64}",
        "x: Int64 = P.age",
        "V: 'a b' is not a valid name for a request input",
    ),
    ("request={'now': Float64}", "x: Int64 = P.age", "V: request input 'now' has a meaning of its"),
    ("request={'as_of': Int64}", "x: Int64 = P.age", "V: request input 'as_of' has a meaning of"),
    ("request={'user_id': String}", "x: Int64 = P.age", "'user_id' is a join key of user: rename"),
    ("source=clicks", "x: Int64 = P.age", "V: unknown argument source: a RequestView takes ent"),
]


@pytest.mark.parametrize(("options", "body", "says"), STATEMENTS)
def test_a_wrong_view_on_request_is_reported_with_file_class_and_field(
    problems: Problems, options: str, body: str, says: str
) -> None:
    found = problems(
        "class P(FeatureView, entity=user):\n    age: Int64\n    name: String\n"
        f"class V(RequestView, entity=user, {options}):\n    {body}\n"
    )
    assert len(found) == 1, found
    assert found[0].startswith("features.py:9: V")
    assert says in found[0]


def test_a_computed_feature_cannot_be_computed_from(problems: Problems) -> None:
    found = problems("""\
    class P(FeatureView, entity=user):
        age: Int64
    class V(RequestView, entity=user):
        years: Float64 = Feature(P.age + 1)
    class W(RequestView, entity=user):
        half: Float64 = Feature(V.years / 2)
    """)
    assert found == [
        "features.py:10: W.half: reads v:years, which is computed on request itself: write out "
        "its expression"
    ]


def test_what_is_computed_from_a_feature_without_a_type_is_reported_once(
    problems: Problems,
) -> None:
    found = problems("""\
    class P(FeatureView, entity=user):
        age: int
    class V(RequestView, entity=user):
        years: Float64 = Feature(P.age + 1)
    """)
    assert found == ["features.py:6: P.age: int is not a feature type: write Int64"]


def test_a_service_has_the_join_keys_of_all_that_is_read(problems: Problems) -> None:
    found = problems("""\
    product = Entity("product", join_keys={"product_id": Int64})
    class P(FeatureView, entity=user):
        age: Int64
    class C(FeatureView, entity=product):
        price: Float64
        size: Float64
    class V(RequestView, entity=user):
        years: Float64 = Feature(P.age + C.price)
    wrong = FeatureService("wrong", features=[V.years])
    right = FeatureService("right", features=[V.years, C.size])
    """)
    assert found == [
        "features.py:14: FeatureService wrong: uses v:years, which reads c:price of entity "
        "product, and no feature of the service has the join key product_id: list one that has"
    ]


def test_join_keys_of_what_is_read_have_one_type(problems: Problems) -> None:
    found = problems("""\
    account = Entity("account", join_keys={"user_id": Int64})
    class A(FeatureView, entity=account):
        balance: Float64
    class V(RequestView, entity=user):
        half: Float64 = Feature(A.balance / 2)
    service = FeatureService("s", features=[V])
    """)
    assert found == [
        "features.py:11: FeatureService s: join key 'user_id' is String in entity user and Int64 "
        "in entity account: a request has one column for both, so make the types the same or "
        "rename one"
    ]


def test_what_reads_an_input_without_a_type_is_reported_once(problems: Problems) -> None:
    found = problems("""\
    class V(RequestView, entity=user, request={"amount": float}):
        half: Float64 = Feature(request["amount"] / 2)
    class W(RequestView, entity=user, request=["size"]):
        double: Float64 = Feature(request["size"] * 2)
    """)
    assert found == [
        "features.py:6: V: request['amount']: float is not a feature type: write "
        "Float64 (or Float32)",
        'features.py:8: W: request must be a dict of input to type, like {"amount": Float64}, not '
        "['size']",
    ]


def test_an_input_of_a_service_has_one_type(problems: Problems) -> None:
    found = problems("""\
    class V(RequestView, entity=user, request={"amount": Float64}):
        x: Float64 = Feature(request["amount"] + 1)
    class W(RequestView, entity=user, request={"amount": Int64}):
        y: Int64 = Feature(request["amount"] + 1)
    service = FeatureService("s", features=[V, W])
    """)
    assert found == [
        "features.py:10: FeatureService s: request input 'amount' is Float64 in v and Int64 in w: "
        "a request has one for both, so make the types the same or rename one"
    ]


service = FeatureService(
    "orders", features=[Derived.ratio.alias("spent"), Catalogue.price, Derived.affordable]
)
registry = Registry.from_definitions([service, Derived])


def test_inputs_of_computed_features_are_read_without_being_outputs() -> None:
    resolved = resolve(registry, "orders")
    assert resolved.names == ("spent", "price", "affordable")
    assert resolved.types == ("Float64", "Float64", "Float64")
    assert resolved.join_keys == {"user_id": "String", "product_id": "Int64"}
    assert resolved.request == (("amount", "Float64"),)
    spec = resolved.to_spec()
    assert [(item["name"], item["view"]) for item in spec["features"]] == [
        *(("price", 0), ("clicks:spent_7d", 1)),
    ]
    assert [view["name"] for view in spec["views"]] == ["catalogue", "clicks"]
    assert [entity["name"] for entity in spec["entities"]] == ["user", "product"]
    assert spec["outputs"] == [["computed", 0], ["read", 0], ["computed", 1]]
    assert spec["request"] == [["amount", "Float64"]]
    assert spec["computed"] == [
        {
            "name": "spent",
            "type": "Float64",
            "default": 1.0,
            "expression": {"op": "/", "args": [{"request": "amount"}, {"column": 1}]},
        },
        {
            "name": "affordable",
            "type": "Float64",
            "default": None,
            "expression": {"op": "-", "args": [{"request": "amount"}, {"column": 0}]},
        },
    ]
    assert json.loads(json.dumps(spec)) == spec


def test_a_feature_that_is_read_under_two_names_is_computed_from_once() -> None:
    twice = FeatureService(
        "twice", features=[Profile.age.alias("one"), Profile.age.alias("two"), Derived.years]
    )
    spec = resolve(Registry.from_definitions([twice]), "twice").to_spec()
    assert [item["name"] for item in spec["features"]] == ["one", "two"]
    assert spec["computed"][0]["expression"] == {"column": 0}


def test_inputs_alone_need_no_more_than_the_join_keys() -> None:
    class Plain(RequestView, entity=user, request={"amount": Float64}):
        double: Float64 = Feature(request["amount"] * 2)

    spec = resolve(Registry.from_definitions([Plain]), features=["double"]).to_spec()
    assert ([entity["name"] for entity in spec["entities"]], spec["views"]) == (["user"], [])
    assert spec["outputs"] == [["computed", 0]]


def test_an_entity_alone_gives_what_its_join_keys_are_enough_for() -> None:
    assert resolve(registry, entity="user").names == (
        *("spent_7d", "account_age", "years", "signup_time", "age"),
    )
    assert resolve(registry, entity="user").request == ()


def test_features_named_freely_bring_the_inputs_that_they_need() -> None:
    assert resolve(registry, features=["years"]).request == ()
    affordable = resolve(registry, features=["derived:affordable"])
    assert affordable.request == (("amount", "Float64"),)
    assert affordable.join_keys == {"user_id": "String", "product_id": "Int64"}


def test_an_input_has_one_type_in_a_request() -> None:
    class Whole(RequestView, entity=user, request={"amount": Int64}):
        whole: Int64 = Feature(request["amount"] + 1)

    both = Registry.from_definitions([Whole, Derived])
    with pytest.raises(AmbiguousFeature, match="request input 'amount' is Float64 for one of the"):
        resolve(both, features=["ratio", "whole"])


def test_nothing_is_written_to_a_view_on_request() -> None:
    with pytest.raises(InvalidValue, match="view derived is computed on request, and nothing is"):
        write_spec(registry, "derived")


def changed(**members: Any) -> str:
    """Return the JSON of the definitions with the view on request changed."""
    data = json.loads(registry.to_json())
    data["views"]["derived"] |= members
    return json.dumps(data)


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ({"op": "?", "args": []}, "views.derived: "),
        (
            {"feature": "profile:size"},
            "derived.ratio: reads profile:size, which the view does not have",
        ),
        ({"feature": "profil:age"}, "derived.ratio: reads profil:age, but there is no view"),
        ({"feature": "age"}, "derived.ratio: reads age, but there is no view 'age'"),
        ([], "views.derived: "),
        (None, "derived.ratio: has no expression"),
    ],
)
def test_other_json_is_refused_and_says_where(expression: Any, says: str) -> None:
    data = json.loads(registry.to_json())
    data["views"]["derived"]["features"][1]["expression"] = expression
    with pytest.raises(InvalidDefinition) as caught:
        Registry.from_json(json.dumps(data))
    assert says in str(caught.value)


@pytest.mark.parametrize("inputs", [5, [["amount"]], [["amount", "Float"]], None])
def test_other_inputs_are_refused(inputs: Any) -> None:
    with pytest.raises(InvalidDefinition, match=r"views.derived: "):
        Registry.from_json(changed(request=inputs))


def test_an_input_is_there_once() -> None:
    twice = [["amount", "Float64"], ["amount", "Float64"], ["coupon", "String"]]
    with pytest.raises(InvalidDefinition, match="request input 'amount' is declared twice"):
        Registry.from_json(changed(request=twice))


def test_a_view_on_request_has_no_source() -> None:
    source: dict[str, Any] = {
        "kind": "file",
        "name": "a",
        "event_time": "t",
        "timestamp_format": None,
        "keys": {},
    }
    with pytest.raises(InvalidDefinition, match="is computed on request, from no source"):
        Registry.from_json(changed(source=source))


def test_changes_of_what_is_computed() -> None:
    class Other(RequestView, entity=user, request={"amount": Float64}, name="derived"):
        account_age: Int64 = Feature(request.now - Profile.signup_time - 1)
        ratio: Float64 = Feature(request["amount"] / Clicks.spent_7d, default=1)

    old = Registry.from_definitions([Derived])
    new = Registry.from_definitions([Other, Catalogue])
    lines = [str(change) for change in diff(old, new).changes]
    assert (
        "! view derived: request amount: Float64, coupon: String -> amount: Float64  "
        "(unsafe: requests that bring the old inputs get an error)"
    ) in lines
    assert (
        "~ feature derived.account_age: expression request.now - profile:signup_time -> "
        "(request.now - profile:signup_time) - 1  (values follow at once)"
    ) in lines
    assert "- feature derived.years  (nothing of it is stored)" in lines
    gone = Registry.from_definitions([Profile, Clicks, Catalogue])
    assert [str(change) for change in diff(old, gone).changes] == [
        "- view derived  (nothing of it is stored)"
    ]
