"""Evaluation over columns in memory: accepted columns, nulls, and results."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fscore import (
    Bool,
    Entity,
    Feature,
    FeatureView,
    Float32,
    Float64,
    Int64,
    InvalidDefinition,
    InvalidValue,
    List,
    RequestView,
    Status,
    String,
    Timestamp,
    evaluate,
    request,
)
from fscore import (
    functions as fn,
)
from fscore._fscore import CompiledExpression
from fscore.types import Vector

user = Entity("user", join_keys={"user_id": String})
# Type checkers need the Literal; without a checker `Vector[3]` is enough.
AnyVector: Any = Vector


class UserProfile(FeatureView, entity=user):
    signup_time: Timestamp
    age: Int64
    score: Float64
    small: Float32
    platform: String
    premium: Bool
    words: List[String]
    embedding: Vector[Literal[3]]
    seen: Timestamp[Literal["s"]]


NULL = int(Status.NULL)
NOW = 1_710_325_274_000


def same(found: Any, expected: list[Any]) -> bool:
    return bool(np.array_equal(found, np.array(expected, dtype=found.dtype), equal_nan=True))


@pytest.mark.parametrize(
    "column",
    [
        [1, None, 3],
        (1, None, 3),
        np.ma.masked_array([1, 2, 3], [False, True, False]),
        np.ma.masked_array(np.array([1, 2, 3], np.int16), [False, True, False]),
        np.array([1, None, 3], object),
        pa.array([1, None, 3]),
        pa.array([1, None, 3], pa.int8()),
        pa.chunked_array([[1], [None, 3]], pa.int64()),
        pl.Series([1, None, 3]),
        pl.Series([1, None, 3], dtype=pl.UInt16),
    ],
    ids=lambda column: type(column).__module__,
)
@pytest.mark.parametrize("name", ["user_profile:age", "age", UserProfile.age], ids=str)
def test_a_column_comes_in_any_form_by_any_name(column: Any, name: Any) -> None:
    values, statuses = evaluate(UserProfile.age * 2, {name: column})
    assert values.dtype == np.int64
    assert same(values[[0, 2]], [2, 6])
    assert same(statuses, [0, NULL, 0])


@pytest.mark.parametrize(
    "column",
    [
        np.array([0.5, np.nan]),
        np.array([0.5, np.nan], np.float32),
        np.array([0.5, np.nan], np.float16),
        [0.5, float("nan")],
        pa.array([0.5, float("nan")]),
        pl.Series([0.5, float("nan")]),
    ],
    ids=lambda column: type(column).__module__,
)
def test_nan_is_a_value(column: Any) -> None:
    values, statuses = evaluate(UserProfile.score + 1, {"score": column})
    assert same(values, [1.5, np.nan])
    assert same(statuses, [0, 0])


def test_times() -> None:
    signup = np.array(["2024-03-12T10:21:14", "NaT"], "datetime64[s]")
    age = request.now - UserProfile.signup_time
    for column in (
        signup,
        pa.array(signup),
        [dt.datetime(2024, 3, 12, 10, 21, 14, tzinfo=dt.UTC), None],
        [NOW - 86_400_000, None],
    ):
        for now in (
            NOW,
            dt.datetime(2024, 3, 13, 10, 21, 14, tzinfo=dt.UTC),
            np.array([NOW, NOW]),
            np.array([NOW, NOW], "datetime64[ms]"),
            [NOW, NOW],
            [dt.datetime(2024, 3, 13, 10, 21, 14, tzinfo=dt.UTC)] * 2,
            pa.array([NOW, NOW], pa.timestamp("ms", "UTC")),
        ):
            values, statuses = evaluate(age, {"signup_time": column}, now=now)
            assert values[0] == 86_400_000
            assert same(statuses, [0, NULL])
    later, statuses = evaluate(
        UserProfile.signup_time + dt.timedelta(days=1), {"signup_time": signup}
    )
    assert later.dtype == np.dtype("datetime64[ms]")
    assert same(later, [np.datetime64("2024-03-13T10:21:14"), np.datetime64("NaT", "ms")])


def test_each_row_has_its_own_time() -> None:
    hours = np.arange(3_000) * 3_600_000
    values, _ = evaluate(fn.hour_of_day(request.now), {}, now=hours)
    assert np.array_equal(values, np.arange(3_000) % 24)


def test_values_are_those_that_would_have_been_stored() -> None:
    stored, _ = evaluate(fn.to_int64(UserProfile.seen), {"seen": np.array([1_999, -1])})
    assert same(stored, [1_000, -1_000])
    listed, _ = evaluate(fn.to_int64(UserProfile.seen), {"seen": [1_999, -1]})
    assert same(listed, [1_000, -1_000])
    for column in (np.array([0.1]), [0.1]):
        single, _ = evaluate(UserProfile.small + 0.0, {"small": column})
        assert same(single, [float(np.float32(0.1))])


def test_texts_lists_and_vectors() -> None:
    columns = {
        "platform": ["ios", None, "web"],
        "words": [["a", "b"], [], None],
        "embedding": np.array([[1, 0, 0], [0, 2, 0], [3, 4, 0]], np.float32),
    }
    platform, statuses = evaluate(fn.coalesce(UserProfile.platform, "none"), columns)
    assert platform.dtype == object and list(platform) == ["ios", "none", "web"]
    assert same(statuses, [0, 0, 0])
    last, statuses = evaluate(fn.element(UserProfile.words, -1), columns)
    assert list(last) == ["b", None, None]
    assert same(statuses, [0, NULL, NULL])
    for query in ([1, 0, 0], np.array([1, 0, 0], np.float32), np.array([1.0, 0.0, 0.0])):
        cosine, _ = evaluate(
            fn.cosine(UserProfile.embedding, request["query"]),
            columns,
            request={"query": query},
            types={"query": AnyVector[3]},
        )
        assert same(cosine, [1.0, 0.0, 0.6])
    dot, _ = evaluate(fn.dot(UserProfile.embedding, UserProfile.embedding), columns)
    assert same(dot, [1.0, 4.0, 25.0])
    nested = [[1, 0, 0], [0, 2, 0], [3, 4, 0]]
    for embedding in (nested, pa.array(nested), pl.Series(nested)):
        dot, _ = evaluate(
            fn.dot(UserProfile.embedding, UserProfile.embedding), {"embedding": embedding}
        )
        assert same(dot, [1.0, 4.0, 25.0])


def test_one_value_is_for_all_rows() -> None:
    ratio = request["amount"] / UserProfile.score
    values, statuses = evaluate(ratio, {"score": [1.0, 2.0, 0.0]}, request={"amount": 3})
    assert same(values, [3.0, 1.5, np.nan])
    assert same(statuses, [0, 0, NULL])
    values, statuses = evaluate(
        ratio, {"score": [1.0, 2.0]}, request={"amount": None}, types={"amount": Float64}
    )
    assert same(statuses, [NULL, NULL])
    values, _ = evaluate(ratio, {"score": 2.0}, request={"amount": [3.0, 5.0]})
    assert same(values, [1.5, 2.5])
    values, _ = evaluate(ratio, {"score": 2.0}, request={"amount": 3.0})
    assert same(values, [1.5])
    values, _ = evaluate(ratio, {"score": np.float64(2)}, request={"amount": np.int32(3)})
    assert same(values, [1.5])
    values, _ = evaluate(ratio, {"score": []}, request={"amount": 3.0})
    assert values.shape == (0,)


def test_data_frames_are_columns() -> None:
    data: dict[str, Any] = {"age": [1, 2], "other": ["x", "y"]}
    for frame in (pa.table(data), pa.RecordBatch.from_pydict(data), pl.DataFrame(data)):
        values, _ = evaluate(UserProfile.age + 1, frame)
        assert same(values, [2, 3])


def test_an_expression_s_json_and_a_feature_evaluate() -> None:
    stored = (UserProfile.age + 1).to_json()
    assert same(evaluate(stored, {"age": [1, 2]}).values, [2, 3])
    assert same(evaluate(UserProfile.age, {"age": [1, 2]}).values, [1, 2])
    assert same(evaluate(7, {}).values, [7])
    # Without a declared type, the type follows from the values.
    assert evaluate(stored, {"age": [1.5, 2]}).values.dtype == np.float64
    assert evaluate(
        stored, {"age": [1, 2]}, types={"user_profile:age": "Float64"}
    ).values.dtype == (np.float64)


def test_features_of_a_view_on_request_evaluate() -> None:
    class Order(RequestView, entity=user, request={"amount": Float64, "query": Vector[Literal[3]]}):
        account_age: Float64 = Feature(request.now - UserProfile.signup_time)
        ratio: Float32 = Feature(request["amount"] // UserProfile.score, default=-1)
        cosine: Float64 = Feature(fn.cosine(UserProfile.embedding, request["query"]))
        known: String = Feature(UserProfile.platform, default="none")

    age, _ = evaluate(Order.account_age, {"signup_time": [NOW - 5]}, now=NOW)
    assert age.dtype == np.float64
    assert same(age, [5.0])
    ratio, statuses = evaluate(
        Order.ratio, {UserProfile.score: [2, 0, 4]}, request={"amount": [5, 5, None]}
    )
    assert ratio.dtype == np.float32
    assert same(ratio, [2.0, -1.0, -1.0])
    assert same(statuses, [0, NULL, NULL])
    cosine, _ = evaluate(
        Order.cosine, {"embedding": [[1, 0, 0], [0, 1, 0]]}, request={"query": [1, 0, 0]}
    )
    assert same(cosine, [1.0, 0.0])
    known, _ = evaluate(Order.known, {"platform": ["ios", None]})
    assert list(known) == ["ios", "none"]
    with pytest.raises(InvalidValue, match="amount must be Float64, not str"):
        evaluate(Order.ratio, {"score": [1.0]}, request={"amount": "5"})


def test_declared_types_count() -> None:
    halves = UserProfile.score // 2
    values, _ = evaluate(halves, {"score": np.array([3, 4])})
    assert values.dtype == np.float64
    values, _ = evaluate(halves, {"score": [3, 4]})
    assert values.dtype == np.float64
    assert evaluate(UserProfile.premium & True, {"premium": np.array([True])}).values.dtype == bool


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ([1, "2"], r"user_profile:age \(row 1\) must be Int64, not str"),
        (np.array([1.5]), r"user_profile:age \(row 0\) must be Int64, not float"),
        (np.array([True]), r"user_profile:age \(row 0\) must be Int64, not bool"),
        (np.array([2**63], np.uint64), r"user_profile:age \(row 0\) is beyond 64 bits"),
        ("7", "user_profile:age must be Int64, not str"),
    ],
)
def test_values_of_another_type_are_refused(column: Any, message: str) -> None:
    with pytest.raises(InvalidValue, match=message) as caught:
        evaluate(UserProfile.age + 1, {"age": column})
    assert caught.value.feature == "user_profile:age"


def test_what_is_missing_is_named() -> None:
    with pytest.raises(InvalidValue, match=r"feature user_profile:age: .*there are x"):
        evaluate(UserProfile.age + 1, {"x": [1]})
    with pytest.raises(InvalidValue, match="there is no request input amount"):
        evaluate(request["amount"] + 1, {})
    with pytest.raises(InvalidValue, match=r"give now=…"):
        evaluate(request.now - UserProfile.signup_time, {"signup_time": [1]})
    with pytest.raises(InvalidValue, match="user_profile:score has 1 values for 2 rows"):
        evaluate(UserProfile.age + UserProfile.score, {"age": [1, 2], "score": [1.0]})
    with pytest.raises(InvalidValue, match="amount show no type"):
        evaluate(request["amount"] + 1, {}, request={"amount": [None]})
    with pytest.raises(InvalidValue, match="none of them null"):
        evaluate(request.now + 1, {}, now=[NOW, None])
    durations = [dt.timedelta(1)], [np.timedelta64(1, "s")]
    nat = np.datetime64("NaT")
    for wrong in ("today", 2**63, [2**63], -(2**63) - 1, nat, [nat], True, *durations):
        with pytest.raises(InvalidValue, match="now is epoch milliseconds"):
            evaluate(request.now + 1, {}, now=wrong)
    with pytest.raises(InvalidValue, match="now has 3 timestamps for 2 rows"):
        evaluate(request.now - UserProfile.age, {"age": [1, 2]}, now=[1, 2, 3])
    with pytest.raises(InvalidDefinition, match="not Timestamp and String"):
        evaluate(request.now - UserProfile.platform, {"platform": ["ios"]}, now=NOW)
    with pytest.raises(InvalidDefinition, match="an object is"):
        evaluate({"no": "expression"}, {})
    with pytest.raises(InvalidDefinition, match="write Int64"):
        evaluate(request["amount"], {}, request={"amount": 1}, types={"amount": int})
    with pytest.raises(InvalidValue, match="a mapping, a list of dicts, a data frame"):
        evaluate(UserProfile.age, [1, 2])
    with pytest.raises(InvalidValue, match=r"small \(row 1\) is .* beyond Float32"):
        evaluate(UserProfile.small + 1, {"small": np.array([1.0, 1e39])})


def test_the_native_expression_checks_what_it_is_given() -> None:
    compiled = CompiledExpression('{"feature": "a"}', [("a", "Int64")], [])
    with pytest.raises(ValueError, match="1 columns are needed, not 0"):
        compiled.evaluate(1, [], [], 0)
    with pytest.raises(InvalidValue, match="has 2 values, and flags of null for 1"):
        compiled.evaluate(2, [(np.array([1, 2]), np.array([True]))], [], 0)
    with pytest.raises(ValueError, match="not JSON"):
        CompiledExpression("{", [], [])
    narrow = CompiledExpression("16777217", [], [], "Float32")
    values, statuses = narrow.evaluate(2, [], [], 0)
    assert values.dtype == np.float32
    assert same(values, [16777216.0, 16777216.0])
    assert same(statuses, [0, 0])


@pytest.mark.parametrize(
    ("kind", "default", "values"),
    [
        ("Int64", 7, [7, 1]),
        ("Float64", 7, [7.0, 1.0]),
        ("Float32", 0.5, [0.5, 1.0]),
        ("Timestamp", NOW, [np.datetime64(NOW, "ms"), np.datetime64(1, "ms")]),
        ("String", "none", ["none", "a"]),
        ("Bool", True, [True, False]),
    ],
)
def test_a_default_stands_in(kind: str, default: Any, values: list[Any]) -> None:
    compiled = CompiledExpression('{"feature": "a"}', [("a", kind)], [], kind, default)
    column = [None, {"String": "a", "Bool": False}.get(kind, 1)]
    found, statuses = compiled.evaluate(2, [(column, None)], [], 0)
    assert list(found) == values
    assert same(statuses, [NULL, 0])
    with pytest.raises(ValueError, match="the default must be"):
        CompiledExpression('{"feature": "a"}', [("a", kind)], [], kind, b"x")


@given(
    st.lists(st.none() | st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=50),
    st.integers(-(2**63), 2**63 - 1),
)
def test_integers_are_python_s(column: list[int | None], divisor: int) -> None:
    for expression, exact in (
        (UserProfile.age + divisor, lambda value: value + divisor),
        (UserProfile.age * divisor, lambda value: value * divisor),
        (UserProfile.age // divisor, lambda value: value // divisor if divisor else None),
        (UserProfile.age % divisor, lambda value: value % divisor if divisor else None),
    ):
        values, statuses = evaluate(expression, {"age": column})
        for value, found, status in zip(column, values.tolist(), statuses, strict=True):
            expected = None if value is None else exact(value)
            if expected is not None and not -(2**63) <= expected < 2**63:
                expected = None
            assert (None if status else found) == expected


@given(
    st.lists(st.floats(), min_size=1, max_size=50), st.floats(allow_nan=False, allow_infinity=False)
)
def test_floats_are_python_s(column: list[float], divisor: float) -> None:
    for expression, exact in (
        (UserProfile.score // divisor, lambda value: value // divisor),
        (UserProfile.score % divisor, lambda value: value % divisor),
        (round(UserProfile.score), lambda value: np.round(value)),
    ):
        values, statuses = evaluate(expression, {"score": np.array(column)})
        for value, found, status in zip(column, values.tolist(), statuses, strict=True):
            if status:
                with np.errstate(all="ignore"):
                    assert not divisor or not np.isfinite(np.float64(value) // divisor)
            else:
                assert same(np.array([found]), [exact(value)])
