"""Expressions: how they are written and shown, their bounds, and how features still compare."""

from __future__ import annotations

import copy
import datetime as dt
import json
import math
import operator
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fscore import (
    Bool,
    Entity,
    Expression,
    FeatureService,
    FeatureView,
    Float64,
    Int64,
    List,
    String,
    Timestamp,
    request,
)
from fscore import (
    functions as fn,
)
from fscore._fscore import MAX_EXPRESSION_DEPTH

user = Entity("user", join_keys={"user_id": String})


class UserProfile(FeatureView, entity=user):
    signup_time: Timestamp
    age: Int64
    score: Float64
    platform: String
    premium: Bool
    last_viewed: List[Int64]


TYPES = {
    "user_profile:signup_time": "Timestamp",
    "user_profile:age": "Int64",
    "user_profile:score": "Float64",
    "user_profile:platform": "String",
    "user_profile:premium": "Bool",
    "user_profile:last_viewed": "List[Int64]",
}
REQUEST = {"amount": "Float64", "product_id": "Int64"}

age, score = UserProfile.age, UserProfile.score
day = dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("expression", "text", "data_type"),
    [
        (
            (request.now - UserProfile.signup_time) / day,
            "(request.now - user_profile:signup_time) / 86400000",
            "Float64",
        ),
        (request.now - day, "request.now - 86400000", "Timestamp"),
        (day + UserProfile.signup_time, "86400000 + user_profile:signup_time", "Timestamp"),
        (request["amount"] * 2, 'request["amount"] * 2', "Float64"),
        (age + 1, "user_profile:age + 1", "Int64"),
        (1 + age, "1 + user_profile:age", "Int64"),
        (1 - age, "1 - user_profile:age", "Int64"),
        (2 * age, "2 * user_profile:age", "Int64"),
        (1 / age, "1 / user_profile:age", "Float64"),
        (7 // age, "7 // user_profile:age", "Int64"),
        (age // 7, "user_profile:age // 7", "Int64"),
        (7 % age, "7 % user_profile:age", "Int64"),
        (age % 0.5, "user_profile:age % 0.5", "Float64"),
        (age**2, "user_profile:age ** 2", "Float64"),
        (2**age, "2 ** user_profile:age", "Float64"),
        (-age, "-user_profile:age", "Int64"),
        (+age, "user_profile:age", "Int64"),
        (abs(age), "abs(user_profile:age)", "Int64"),
        (round(score), "round(user_profile:score)", "Float64"),
        (math.floor(score), "floor(user_profile:score)", "Float64"),
        (math.ceil(score), "ceil(user_profile:score)", "Float64"),
        (age < 18, "user_profile:age < 18", "Bool"),
        (age > 18, "user_profile:age > 18", "Bool"),
        (age <= score, "user_profile:age <= user_profile:score", "Bool"),
        (age >= 18, "user_profile:age >= 18", "Bool"),
        (age == 18, "user_profile:age == 18", "Bool"),
        (age == 18, "user_profile:age == 18", "Bool"),
        (UserProfile.platform != "ios", 'user_profile:platform != "ios"', "Bool"),
        (
            UserProfile.premium & (age > 17) & ~(score < 0),
            "user_profile:premium & (user_profile:age > 17) & ~(user_profile:score < 0)",
            "Bool",
        ),
        (True | UserProfile.premium, "True | user_profile:premium", "Bool"),
        (False & UserProfile.premium, "False & user_profile:premium", "Bool"),
        (
            UserProfile.signup_time < dt.datetime(2024, 3, 13, 10, 21, 14, tzinfo=dt.UTC),
            "user_profile:signup_time < timestamp(1710325274000)",
            "Bool",
        ),
        (np.float64(2) * score, "2.0 * user_profile:score", "Float64"),
        (np.int64(2) < age, "user_profile:age > 2", "Bool"),
        (
            UserProfile.signup_time > np.datetime64("2024-03-13T10:21:14"),
            "user_profile:signup_time > timestamp(1710325274000)",
            "Bool",
        ),
        (age * np.timedelta64(3, "s"), "user_profile:age * 3000", "Int64"),
        (
            fn.where(UserProfile.premium, age, score),
            "where(user_profile:premium, user_profile:age, user_profile:score)",
            "Float64",
        ),
        (fn.coalesce(age, 0), "coalesce(user_profile:age, 0)", "Int64"),
        (fn.is_null(age), "is_null(user_profile:age)", "Bool"),
        (
            fn.is_in(UserProfile.platform, ("ios", "web")),
            'is_in(user_profile:platform, "ios", "web")',
            "Bool",
        ),
        (fn.bucket(age, [18, 30]), "bucket(user_profile:age, 18, 30)", "Int64"),
        (fn.least(age, score, 3), "least(user_profile:age, user_profile:score, 3)", "Float64"),
        (fn.greatest(age, 3), "greatest(user_profile:age, 3)", "Int64"),
        (fn.clip(score, 0, 1), "clip(user_profile:score, 0, 1)", "Float64"),
        (fn.sqrt(age), "sqrt(user_profile:age)", "Float64"),
        (fn.exp(age), "exp(user_profile:age)", "Float64"),
        (fn.log(age), "log(user_profile:age)", "Float64"),
        (fn.log1p(age), "log1p(user_profile:age)", "Float64"),
        (fn.to_int64(score), "to_int64(user_profile:score)", "Int64"),
        (fn.to_float64(age), "to_float64(user_profile:age)", "Float64"),
        (fn.to_timestamp(age), "to_timestamp(user_profile:age)", "Timestamp"),
        (fn.hour_of_day(request.now), "hour_of_day(request.now)", "Int64"),
        (fn.day_of_week(request.now), "day_of_week(request.now)", "Int64"),
        (fn.length(UserProfile.platform), "length(user_profile:platform)", "Int64"),
        (fn.element(UserProfile.last_viewed, -1), "element(user_profile:last_viewed, -1)", "Int64"),
        (
            fn.contains(UserProfile.last_viewed, request["product_id"]),
            'contains(user_profile:last_viewed, request["product_id"])',
            "Bool",
        ),
        (fn.list_sum(UserProfile.last_viewed), "list_sum(user_profile:last_viewed)", "Int64"),
        (fn.list_mean(UserProfile.last_viewed), "list_mean(user_profile:last_viewed)", "Float64"),
        (fn.list_min(UserProfile.last_viewed), "list_min(user_profile:last_viewed)", "Int64"),
        (fn.list_max(UserProfile.last_viewed), "list_max(user_profile:last_viewed)", "Int64"),
    ],
    ids=str,
)
def test_expressions_read_as_they_are_written(
    expression: Expression, text: str, data_type: str
) -> None:
    assert str(expression) == text
    assert repr(expression) == f"Expression({text})"
    assert expression.infer_type(TYPES, REQUEST) == data_type
    stored = json.loads(json.dumps(expression.to_json()))
    again = Expression.from_json(stored)
    assert again.to_json() == expression.to_json()
    assert str(again) == text
    assert str(pickle.loads(pickle.dumps(expression))) == text
    assert str(copy.deepcopy(expression)) == text


def test_vectors() -> None:
    types = {"a": "Vector[8]", "b": "Vector[8]"}
    for function in (fn.dot, fn.cosine):
        assert function(request["a"], request["b"]).infer_type({}, types) == "Float64"


def test_what_it_is_computed_from() -> None:
    expression = (request["amount"] + age) / fn.coalesce(age, score, request["amount"])
    assert expression.features() == ("user_profile:age", "user_profile:score")
    assert expression.request_fields() == ("amount",)
    assert not expression.uses_now()
    assert (request.now - UserProfile.signup_time).uses_now()
    assert expression.known_types() == {
        "user_profile:age": "Int64",
        "user_profile:score": "Float64",
    }
    assert Expression.from_json(expression.to_json()).known_types() == {}
    places = {"user_profile:score": 4, "user_profile:age": 2}
    assert fn.greatest(age, score, 1).with_columns(places) == {
        "op": "greatest",
        "args": [{"column": 2}, {"column": 4}, 1],
    }
    with pytest.raises(KeyError):
        expression.with_columns({})


def test_a_view_s_own_name_counts() -> None:
    class Renamed(FeatureView, entity=user, name="other"):
        age: Int64

    assert (Renamed.age + 1).features() == ("other:age",)
    assert (Renamed.age.alias("years") + 1).features() == ("other:age",)


def test_its_json_cannot_be_changed_from_outside() -> None:
    expression = age + 1
    expression.to_json()["args"].clear()
    data = expression.to_json()
    again = Expression.from_json(data)
    data["args"].clear()
    assert str(expression) == str(again) == "user_profile:age + 1"
    with pytest.raises(AttributeError, match="cannot be changed"):
        expression._tree = 1


def test_features_are_compared_by_identity_if_a_truth_value_is_asked_for() -> None:
    other = UserProfile.age.alias("years")
    assert age in [score, age]
    assert other not in [score, age]
    assert [score, age].index(age) == 1
    assert (age, score) == (UserProfile.age, UserProfile.score)
    assert bool(age != score)
    assert not operator.eq(age, score)
    assert {age: 1, score: 2}[age] == 1
    assert len({age, score, age, other}) == 3
    service = FeatureService("ranking", features=[UserProfile[["age", "score"]], other])
    assert service.features == (age, score, other)
    assert not service.problems


@pytest.mark.parametrize(
    "use",
    [
        lambda: bool(age == 3),
        lambda: bool(age + 1 == age + 1),
        lambda: age > 1 and age < 5,
        lambda: 1 < age < 5,
        lambda: not UserProfile.premium & True,
        lambda: 1 if UserProfile.platform == "ios" else 2,
        lambda: (age + 1) in [age + 2],
    ],
)
def test_an_expression_has_no_truth_value(use: Callable[[], Any]) -> None:
    with pytest.raises(TypeError, match="no truth value"):
        use()


@pytest.mark.parametrize(
    "make",
    [
        lambda: age + object(),
        lambda: [1] * age,  # type: ignore[operator]
        lambda: age < b"x",
        lambda: age - dt.date(2024, 1, 1),
    ],
)
def test_operators_take_what_can_be_a_part(make: Callable[[], Any]) -> None:
    with pytest.raises(TypeError):
        make()


def test_functions_say_what_they_take() -> None:
    with pytest.raises(TypeError, match="cannot be part of an expression"):
        fn.coalesce(age, [1])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="named by a string"):
        request[0]  # type: ignore[index]
    with pytest.raises(TypeError):
        list(request)  # type: ignore[call-overload]
    for other in (object(), [1]):
        assert not bool(age == other)


@pytest.mark.parametrize("literal", [math.nan, math.inf, -math.inf, 2**63, -(2**63) - 1])
def test_literals_have_64_bits_and_are_finite(literal: float) -> None:
    with pytest.raises(ValueError, match="64 bits"):
        age + literal


@given(
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.text()
        | st.floats(allow_nan=False, allow_infinity=False),
        lambda below: st.builds(lambda *parts: fn.coalesce(*parts), below, below),
    )
)
def test_literals_come_back(literal: Any) -> None:
    expression = fn.coalesce(literal, UserProfile.age)
    try:
        stored = json.dumps(expression.to_json())
        again = Expression.from_json(json.loads(stored))
    except ValueError:
        # Lone surrogates cannot be stored as text.
        assert "\\ud" in stored
        return
    assert again.to_json() == expression.to_json()


def test_long_sums_are_not_deep() -> None:
    total = age + 0
    for _ in range(200):
        total = total + age
    assert total.infer_type(TYPES, {}) == "Int64"
    assert str(total).count("user_profile:age") == 201
    assert str(1 + (1 + age)) == "1 + (1 + user_profile:age)"


def test_expressions_have_bounds() -> None:
    deep = -age
    for _ in range(MAX_EXPRESSION_DEPTH - 2):
        deep = -deep
    assert deep.infer_type(TYPES, {}) == "Int64"
    with pytest.raises(ValueError, match="split it into several features"):
        operator.neg(deep)
    wide = fn.is_in(age, range(2_000))
    with pytest.raises(ValueError, match="split it into several features"):
        wide.infer_type(TYPES, {})
    assert "split it into several features" in repr(wide)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, "an object is"),
        ([1], "a part of it is a literal, or an object"),
        ({"op": "sin", "args": [1]}, '"sin" is not an operation'),
        ({"op": "-", "args": [1]}, "- takes two numbers"),
        ({"feature": 1}, "an object is"),
        (math.nan, "cannot be written as JSON"),
        (object(), "cannot be written as JSON"),
        (2**64, "beyond 64 bits"),
    ],
)
def test_other_json_is_refused(data: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Expression.from_json(data)


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        (
            request.now - UserProfile.platform,
            "request.now - user_profile:platform: - takes two numbers, two timestamps, or a "
            "timestamp and an Int64 of milliseconds, not Timestamp and String",
        ),
        (
            fn.log(age) + (UserProfile.platform == 3),
            "user_profile:platform == 3: == takes two numbers, timestamps, strings or booleans, "
            "not String and Int64",
        ),
        (
            age == None,  # noqa: E711
            "user_profile:age == None: == takes two numbers, timestamps, strings or booleans, not "
            "Int64 and None; is_null tells whether there is a value",
        ),
        (
            request["price"] + 1,
            'request["price"]: is not a request input here; there are amount, product_id',
        ),
        (
            UserProfile.last_viewed.alias("x") + 1,
            "user_profile:last_viewed + 1: + takes numbers, or a timestamp and an Int64 of "
            "milliseconds, not List[Int64] and Int64",
        ),
        (
            fn.bucket(age, [5, 5]),
            "bucket(user_profile:age, 5, 5): the boundaries of a bucket ascend, each once",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_named(expression: Expression, message: str) -> None:
    with pytest.raises(ValueError) as caught:
        expression.infer_type(TYPES, REQUEST)
    assert str(caught.value) == message


def test_unknown_types_and_features_are_named() -> None:
    with pytest.raises(ValueError, match="user_profile:age: is not a feature here; there is none"):
        (age + 1).infer_type({}, {})
    with pytest.raises(ValueError, match='amount: unknown type "Decimal"'):
        request["amount"].infer_type({}, {"amount": "Decimal"})


def test_a_feature_holds_its_own_type_and_wider_ones() -> None:
    (age + 1).check_type("Int64", TYPES, {})
    (age + 1).check_type("Float64", TYPES, {})
    (age / 2).check_type("Float32", TYPES, {})
    (request.now + 1).check_type("Timestamp[s]", {}, {})
    with pytest.raises(
        ValueError, match="is Float64, which a feature declared Int64 does not hold"
    ):
        (age / 2).check_type("Int64", TYPES, {})
    with pytest.raises(ValueError, match="unknown type"):
        (age / 2).check_type("Decimal", TYPES, {})


def test_functions_shadow_no_builtins() -> None:
    import builtins

    assert not set(fn.__all__) & set(dir(builtins))
    assert all(hasattr(fn, name) for name in fn.__all__)


def test_operators_of_numpy_s_arrays_are_left_alone() -> None:
    for apply in (operator.add, operator.lt):
        with pytest.raises(TypeError):
            apply(np.arange(3), age)
