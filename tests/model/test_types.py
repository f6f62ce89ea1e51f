"""Types: their spellings, their annotations, and the values that they accept."""

import datetime as dt
import json
import math
import typing
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fscore import (
    Bool,
    Bytes,
    Float32,
    Float64,
    Int64,
    List,
    Status,
    String,
    Timestamp,
    Vector,
)
from fscore.model.data_type import MAX_DIM
from fscore.types import SCALARS, DataType, annotation_of

# Type checkers need the Literals; without a checker `Vector[3]` is enough.
AnyTimestamp: Any = Timestamp
AnyVector: Any = Vector
AnyList: Any = List

SPELLINGS = [
    *SCALARS,
    "Timestamp[s]",
    *(f"List[{scalar}]" for scalar in SCALARS),
    "List[Timestamp[s]]",
    "Vector[1]",
    "Vector[64]",
    f"Vector[{MAX_DIM}]",
]


def test_statuses_are_the_numbers_of_the_storage_format() -> None:
    assert [(status.name, int(status)) for status in Status] == [
        ("PRESENT", 0),
        ("NULL", 1),
        ("NOT_FOUND", 2),
        ("EXPIRED", 3),
        ("INVALID", 4),
        ("UNAVAILABLE", 5),
    ]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_spellings_round_trip(spelling: str) -> None:
    assert str(DataType.parse(spelling)) == spelling


@pytest.mark.parametrize(
    "spelling",
    [
        *("", "int", "int64", "Int32", "Int64 ", " Int64", "Int64[s]", "Int64[]"),
        *("Timestamp[]", "Timestamp[ms]", "Timestamp[us]", "Timestamp[s", "Timestamp[s]]"),
        *("List", "List[]", "List[List[Int64]]", "List[Vector[4]]", "List[Int64[s]]", "List[int]"),
        *("Vector", "Vector[]", "Vector[0]", "Vector[-1]", "Vector[064]", "Vector[٤]"),
        *(f"Vector[{MAX_DIM + 1}]", "Vector[9999999999]", "Vector[Int64]", "Int64\n"),
    ],
)
def test_other_spellings_are_refused(spelling: str) -> None:
    with pytest.raises(ValueError, match=r"not a feature type|dimensions"):
        DataType.parse(spelling)


@given(st.text())
def test_any_text_is_a_spelling_or_refused(text: str) -> None:
    try:
        assert str(DataType.parse(text)) == text
    except ValueError as error:
        assert text not in SPELLINGS, error


@pytest.mark.parametrize(
    ("annotation", "spelling"),
    [
        (Int64, "Int64"),
        (Float32, "Float32"),
        (Float64, "Float64"),
        (Bool, "Bool"),
        (String, "String"),
        (Bytes, "Bytes"),
        (Timestamp, "Timestamp"),
        (AnyTimestamp["s"], "Timestamp[s]"),
        (AnyTimestamp["ms"], "Timestamp"),
        (Timestamp[Literal["s"]], "Timestamp[s]"),
        (List[Int64], "List[Int64]"),
        (List[Timestamp[Literal["s"]]], "List[Timestamp[s]]"),
        (AnyVector[64], "Vector[64]"),
        (Vector[Literal[64]], "Vector[64]"),
    ],
)
def test_annotations(annotation: Any, spelling: str) -> None:
    found = annotation_of(annotation)
    assert found.problem == ""
    assert str(found.data_type) == spelling


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        (int, "write Int64"),
        (float, "write Float64"),
        (bool, "write Bool"),
        (str, "write String"),
        (bytes, "write Bytes"),
        (dt.datetime, "write Timestamp"),
        (list[int], "write List[<type>]"),
        (typing.List[int], "write List[<type>]"),  # noqa: UP006
        (dict, "'dict' is not a feature type"),
        (Int64 | None, "may be null"),
        (typing.Optional[Int64], "may be null"),  # noqa: UP045
        (None, "not a feature type"),
        (3, "not a feature type"),
        ([Int64], "not a feature type"),
        (Vector, "needs its length"),
        (List, "needs its elements' type"),
        (AnyList[List[Int64]], "a list is of one of"),
        (AnyList[int], "write Int64"),
        (List[Vector[Literal[4]]], "not of Vector[4]"),
        (AnyVector[0], "1 to 65536"),
        (AnyVector[True], "1 to 65536"),
        (AnyVector[MAX_DIM + 1], "1 to 65536"),
        (AnyVector["64"], "not '64'"),
        (AnyTimestamp["us"], '"ms" or "s"'),
    ],
)
def test_wrong_annotations_say_what_to_write(annotation: Any, says: str) -> None:
    found = annotation_of(annotation)
    assert found.data_type is None
    assert says in found.problem


@pytest.mark.parametrize(
    ("spelling", "value", "normalized"),
    [
        ("Int64", 2**63 - 1, 2**63 - 1),
        ("Float64", 1, 1.0),
        ("Float32", 1, 1.0),
        ("Float32", math.inf, math.inf),
        ("Bool", False, False),
        ("String", "é", "é"),
        ("Bytes", bytearray(b"\x00\xff"), b"\x00\xff"),
        ("Timestamp", -1, -1),
        ("Timestamp", dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC), 1000),
        ("Timestamp[s]", dt.datetime(1970, 1, 1, 0, 0, 1), 1000),
        ("Timestamp", dt.datetime(1970, 1, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2))), 0),
        ("List[Int64]", (1, 2), [1, 2]),
        ("List[String]", [], []),
        ("Vector[2]", [1, 0.5], [1.0, 0.5]),
        ("Vector[2]", np.array([1, 2], dtype=np.float32), [1.0, 2.0]),
    ],
)
def test_values_of_the_type_are_normalized(spelling: str, value: Any, normalized: Any) -> None:
    result = DataType.parse(spelling).normalize(value)
    assert result == normalized
    assert type(result) is type(normalized)


@pytest.mark.parametrize(
    ("spelling", "value"),
    [
        ("Int64", 2**63),
        ("Int64", -(2**63) - 1),
        ("Int64", True),
        ("Int64", 1.0),
        ("Int64", "1"),
        ("Float64", "1"),
        ("Float64", True),
        ("Float64", 10**400),
        ("Float32", 1e39),
        ("Bool", 1),
        ("String", b"text"),
        ("String", "\ud800"),
        ("Bytes", "text"),
        ("Timestamp", 1.5),
        ("Timestamp", dt.date(2024, 1, 1)),
        ("List[Int64]", 1),
        ("List[Int64]", [None]),
        ("List[Int64]", ["1"]),
        ("List[String]", "text"),
        ("Vector[2]", [1.0]),
        ("Vector[2]", [1.0, 1e39]),
    ],
)
def test_other_values_are_refused(spelling: str, value: Any) -> None:
    with pytest.raises(ValueError, match=r"is no|does not fit|too large|UTF-8|elements"):
        DataType.parse(spelling).normalize(value)


ELEMENTS: dict[str, st.SearchStrategy[Any]] = {
    "Int64": st.integers(-(2**63), 2**63 - 1),
    "Float32": st.floats(width=32, allow_nan=False),
    "Float64": st.floats(allow_nan=False),
    "Bool": st.booleans(),
    "String": st.text(st.characters(exclude_categories=["Cs"])),
    "Bytes": st.binary(),
    "Timestamp": st.integers(-(2**63), 2**63 - 1),
}


@given(st.sampled_from(SCALARS).flatmap(lambda k: st.tuples(st.just(k), st.lists(ELEMENTS[k]))))
def test_values_survive_json(case: tuple[str, list[Any]]) -> None:
    kind, values = case
    scalar, several = DataType.parse(kind), DataType.parse(f"List[{kind}]")
    for value in values:
        assert scalar.from_json(json.loads(json.dumps(scalar.to_json(value)))) == value
    text = json.dumps(several.to_json(values), allow_nan=False)
    assert several.from_json(json.loads(text)) == values


def test_nan_survives_json() -> None:
    data_type = DataType.parse("Float64")
    assert data_type.to_json(math.nan) == "nan"
    assert math.isnan(data_type.from_json("nan"))


@pytest.mark.parametrize(
    ("spelling", "value"),
    [("Float64", "NaN"), ("Bytes", "not base64!"), ("Int64", "1"), ("Vector[2]", ["x", 1])],
)
def test_json_that_is_not_of_the_type_is_refused(spelling: str, value: Any) -> None:
    with pytest.raises(ValueError, match="is no"):
        DataType.parse(spelling).from_json(value)


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_lists_and_long_vectors_are_wide(spelling: str) -> None:
    narrow = {*SCALARS, "Timestamp[s]", "Vector[1]"}
    assert DataType.parse(spelling).wide == (spelling not in narrow)


def test_a_vector_is_wide_from_seventeen_on() -> None:
    assert [dim for dim in range(1, 33) if DataType("Vector", dim=dim).wide] == [*range(17, 33)]
