"""Conversion of all kinds of columns in files to all types of features."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import polars as pl
import pytest

from fscore_server.ingest import InputError
from fscore_server.ingest.plan import Cell
from fscore_server.ingest.rows.convert import convert

TIME = dt.datetime(2024, 3, 13, 10, 21, 14)
TIME_MS = 1_710_325_274_000
PLUS_TWO = dt.timezone(dt.timedelta(hours=2))

# (type, timestamp format, values in the file, converted values; None if a value does not fit)
CASES: list[tuple[str, str | None, list[Any], list[Any]]] = [
    ("Int64", None, ["7", " 7 ", "-0", "7.0", "", None], [7, 7, 0, None, None, None]),
    ("Int64", None, ["9223372036854775807", "-9223372036854775809"], [2**63 - 1, None]),
    ("Int64", None, [7.0, 7.5, math.nan, math.inf, 1e19], [7, None, None, None, None]),
    ("Float64", None, ["0.5", "1e3", "-inf", "x", ""], [0.5, 1000.0, -math.inf, None, None]),
    ("Float64", None, [1, None], [1.0, None]),
    ("Float32", None, ["0.5", "1e39", "inf"], [0.5, None, math.inf]),
    ("Bool", None, ["1", "0", "True", "FALSE", "yes", ""], [True, False, True, False, None, None]),
    ("Bool", None, [1, 0, 2], [True, False, None]),
    ("Bool", None, [True, None], [True, None]),
    ("String", None, ["", "é"], ["", "é"]),
    ("Bytes", None, ["AP8=", "?"], [b"\x00\xff", None]),
    ("Bytes", None, [b"\x00\xff", None], [b"\x00\xff", None]),
    ("text", None, ["", "a"], [None, "a"]),
    ("text", None, [True, None], ["true", None]),
    ("text", None, [7], ["7"]),
    ("text", None, [0.5], ["0.5"]),
    ("Timestamp", None, [TIME], [TIME_MS]),
    ("Timestamp", None, [dt.date(2024, 3, 13)], [1_710_288_000_000]),
    ("Timestamp[s]", None, ["2024-03-13T10:21:14Z", "soon"], [TIME_MS, None]),
    ("event_time", None, ["2024-03-13 10:21:14", "1710325274"], [TIME_MS, None]),
    (
        "event_time",
        "unix",
        ["1710325274", "1710325274.25", "x"],
        [TIME_MS, TIME_MS + 250, None],
    ),
    ("event_time", "unix", [1_710_325_274], [TIME_MS]),
    ("event_time", "unix_ms", ["1710325274001"], [TIME_MS + 1]),
    ("event_time", "unix_ms", [TIME_MS + 1, None], [TIME_MS + 1, None]),
    ("event_time", "%d/%m/%Y %H:%M", ["13/03/2024 10:21", "3/13/2024"], [TIME_MS - 14_000, None]),
    ("event_time", "%d.%m.%Y", ["13.03.2024"], [1_710_288_000_000]),
    ("event_time", "%Y%m%d%H%M%S.%f", ["20240313102114.5"], [TIME_MS + 500]),
    ("event_time", "%d/%b/%Y:%H:%M:%S %z", ["13/Mar/2024:12:21:14 +0200"], [TIME_MS]),
    ("List[Int64]", None, ["[1, 2]", "[]", "[1.5]", "1", ""], [[1, 2], [], None, None, None]),
    ("List[Float64]", None, [[1, 2], [], None, [None]], [[1.0, 2.0], [], None, None]),
    ("List[String]", None, [["a"], ["b", None]], [["a"], None]),
    ("Vector[2]", None, ["[1, 2.5]", "[1]", "[]"], [[1.0, 2.5], None, None]),
    ("Vector[2]", None, [[1.0, 2.5], [1.0], [], None], [[1.0, 2.5], None, None, None]),
]


@pytest.mark.parametrize(
    ("spelling", "pattern", "found", "expected"),
    CASES,
    ids=[f"{case[0]}-{case[1]}-{type(case[2][0]).__name__}" for case in CASES],
)
def test_columns(spelling: str, pattern: str | None, found: list[Any], expected: list[Any]) -> None:
    values = convert(pl.Series("c", found, strict=False), Cell("c", spelling, pattern))
    assert values.to_list() == expected


def test_times_with_zones_or_nanoseconds() -> None:
    zoned = pl.Series([TIME.replace(tzinfo=dt.UTC)]).dt.convert_time_zone("Asia/Tokyo")
    assert convert(zoned, Cell("c", "event_time")).to_list() == [TIME_MS]
    nanoseconds = pl.Series([TIME]).cast(pl.Datetime("ns"))
    assert convert(nanoseconds, Cell("c", "Timestamp")).to_list() == [TIME_MS]


def test_storage_types_of_files_make_no_difference() -> None:
    assert convert(pl.Series(["a"], dtype=pl.Categorical), Cell("c", "String")).to_list() == ["a"]
    decimals = pl.Series(["1.50"]).cast(pl.Decimal(10, 2))
    assert convert(decimals, Cell("c", "Float64")).to_list() == [1.5]
    unsigned = pl.Series([2**63, 1], dtype=pl.UInt64)
    assert convert(unsigned, Cell("c", "Int64")).to_list() == [None, 1]
    arrays = pl.Series([[1.0, 2.0]], dtype=pl.Array(pl.Float64, 2))
    assert convert(arrays, Cell("c", "Vector[2]")).to_list() == [[1.0, 2.0]]


@pytest.mark.parametrize(
    ("spelling", "found"),
    [
        ("Int64", [True]),
        ("Int64", [[1]]),
        ("Float64", [TIME]),
        ("Bool", [0.5]),
        ("String", [1]),
        ("Bytes", [1]),
        ("Timestamp", [1]),
        ("Timestamp", [True]),
        ("List[Int64]", [1]),
        ("text", [[1]]),
    ],
)
def test_columns_that_cannot_be_of_the_type(spelling: str, found: list[Any]) -> None:
    with pytest.raises(InputError, match=r"column c holds .* is expected"):
        convert(pl.Series(found), Cell("c", spelling))


@pytest.mark.parametrize(
    "spelling", ["Int64", "Float32", "Bool", "Bytes", "Timestamp", "Vector[3]"]
)
def test_columns_without_any_value(spelling: str) -> None:
    empty = pl.Series([None, None], dtype=pl.Null)
    assert convert(empty, Cell("c", spelling)).to_list() == [None, None]
    assert convert(pl.Series(["", None]), Cell("c", spelling)).to_list() == [None, None]
