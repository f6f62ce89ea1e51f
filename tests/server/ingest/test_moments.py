"""Times of pushed events and times in files are parsed alike, to the millisecond."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fscore.interop.moments import moment_reader
from fscore_server.ingest.plan import Cell
from fscore_server.ingest.rows.convert import convert

TEXTS = [
    "2024-03-13 10:21:14",
    "2024-03-13T10:21:14",
    "2024-03-13T10:21:14.5",
    "2024-03-13T10:21:14.123456789",
    "2024-03-13T10:21:14Z",
    "2024-03-13 10:21:14 UTC",
    "2024-03-13 10:21:14UTC",
    "2024-03-13T10:21:14+02:00",
    "2024-03-13T10:21:14.25-0730",
    "2024-03-13T10:21:14+02",
    "2024-03-13T10:21",
    "2024-03-13T10:21Z",
    "2024-03-13",
    " 2024-03-13 10:21:14 ",
    "1969-12-31T23:59:59.999Z",
    "2024-02-29",
    "2024-03-13T9:21:14",
    "2024-03-13T9:2:1Z",
    "2016-12-31T23:59:60Z",
    # texts that are not valid times
    "2024-03-13T10:21:14+24:00",
    "2023-02-29",
    "2024-03-13T24:00:00",
    "2024-03-13T10:21:61Z",
    "2024-03-13T10:21:14+02:60",
    "20240313T102114",
    "2024-W11-3T10:21:14",
    "20240313T102114.123",
    "2024-3-13",
    "2024-3-13T10:21:14",
    "2024-3-130",
    "\u0662\u0660\u0662\u0664-03-13",
    "",
    "2024-03-13T10",
    "2024-03-13Z",
    "13.03.2024",
    "today",
    "1710325274",
    "never",
]


def of_file(text: str, form: str | None = None) -> int | None:
    found: int | None = convert(pl.Series([text]), Cell("at", "event_time", form))[0]
    return found


def of_event(text: Any, form: str | None = None) -> int | None:
    try:
        return moment_reader(form)(text)
    except ValueError:
        return None


@pytest.mark.parametrize("text", TEXTS)
def test_iso_8601(text: str) -> None:
    assert of_event(text) == of_file(text)


def test_half_of_these_texts_are_times() -> None:
    assert [of_event(text) is not None for text in TEXTS] == [True] * 19 + [False] * 19


@given(
    st.datetimes(min_value=dt.datetime(1900, 1, 1), max_value=dt.datetime(2200, 1, 1)),
    st.sampled_from(["", "Z", "+05:30", "-11:00", " UTC"]),
    st.sampled_from(["milliseconds", "seconds", "microseconds", "minutes"]),
    st.sampled_from([" ", "T"]),
)
def test_any_time(moment: dt.datetime, zone: str, precision: str, between: str) -> None:
    text = moment.isoformat(sep=between, timespec=precision) + zone
    assert of_event(text) == of_file(text)
    assert of_event(text) is not None


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("unix", "1710325274", 1_710_325_274_000),
        ("unix", "1710325274.25", 1_710_325_274_250),
        ("unix_ms", "1710325274123", 1_710_325_274_123),
        ("unix_ms", "soon", None),
        ("unix", "inf", None),
        ("%d.%m.%Y %H:%M", "13.03.2024 10:21", 1_710_325_260_000),
        ("%d.%m.%Y %H:%M:%S.%f", "13.03.2024 10:21:14.5", 1_710_325_274_500),
        ("%Y-%m-%d %H:%M:%S %z", "2024-03-13 10:21:14 +0200", 1_710_318_074_000),
        ("%d.%m.%Y", "2024-03-13", None),
    ],
)
def test_other_formats(form: str, text: str, expected: int | None) -> None:
    assert of_event(text, form) == of_file(text, form) == expected


def test_values_that_are_not_text() -> None:
    moment = dt.datetime(
        2024, 3, 13, 10, 21, 14, 999_999, tzinfo=dt.timezone(dt.timedelta(hours=2))
    )
    assert of_event(moment) == of_event(moment, "unix") == 1_710_318_074_999
    assert of_event(np.datetime64("2024-03-13T10:21:14")) == 1_710_325_274_000
    assert of_event(1_710_325_274, "unix") == of_event(1_710_325_274_000.0, "unix_ms")
    for wrong in (1_710_325_274, True, None, b"2024-03-13", moment.replace(tzinfo=None)):
        assert of_event(wrong) is None
    for number in (True, float("nan"), float("inf"), 1e300):
        assert of_event(number, "unix") is None
