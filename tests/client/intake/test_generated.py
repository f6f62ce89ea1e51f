"""Whatever a caller brings, the outcome is rows or an error of fscore, never a foreign one.

FSCORE_INTAKE_INPUTS is how many inputs each test generates.
"""

from __future__ import annotations

import datetime as dt
import os
import warnings
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fscore import evaluate
from fscore._fscore import WritePlan
from fscore.errors import ClientFault
from fscore.events.reading import read_events
from fscore.events.source import project_source
from fscore.interop.rows import encode, now_ms
from fscore.specs.resolve import write_spec
from tests.client.intake.test_intake import REGISTRY, TYPES, Everything

INPUTS = int(os.environ.get("FSCORE_INTAKE_INPUTS", "400"))
generated = settings(
    max_examples=INPUTS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

numpy_scalars = st.one_of(
    st.integers(-128, 127).map(np.int8),
    st.integers(0, 2**64 - 1).map(np.uint64),
    st.floats(width=16).map(np.float16),
    st.floats().map(np.longdouble),
    st.booleans().map(np.bool_),
    st.integers(-(2**62), 2**62).map(lambda number: np.datetime64(number, "us")),
    st.integers(-(2**62), 2**62).map(lambda number: np.timedelta64(number, "ns")),
    st.sampled_from([np.datetime64("NaT"), np.timedelta64("NaT"), np.ma.masked, np.str_("x")]),
)
pandas_scalars = st.sampled_from(
    [
        *(pd.NA, pd.NaT, pd.Timestamp(0), pd.Timestamp(0, tz="UTC"), pd.Timedelta(5)),
        *(pd.Interval(0, 1), pd.Period("2024-01")),
    ]
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=5),
    st.binary(max_size=5),
    st.datetimes(),
    st.datetimes(timezones=st.just(dt.UTC)),
    st.dates(),
    st.timedeltas(),
    st.decimals().filter(lambda value: not value.is_snan()),
    st.complex_numbers(),
    st.just(object()),
    st.just(Decimal("sNaN")),
    numpy_scalars,
    pandas_scalars,
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=2), inner, max_size=2),
        st.lists(st.floats(width=32), min_size=3, max_size=3).map(
            lambda floats: np.array(floats, dtype=np.float32)
        ),
        st.lists(st.integers(0, 5), max_size=3).map(lambda ids: np.array(ids, "M8[D]")),
    ),
    max_leaves=4,
)


def arrow_array(items: list[Any]) -> Any:
    """Return an Arrow array; pyarrow itself crashes on some objects of other libraries."""
    plain = (type(None), bool, int, float, str, bytes, dt.date, dt.timedelta, list)
    if not all(type(item) in plain or isinstance(item, dt.date) for item in items):
        raise TypeError
    if any(type(item).__module__.startswith("pandas") for item in items):
        raise TypeError
    return pa.array(items)


SHAPES: list[Any] = [
    *(list, tuple, pd.Series, arrow_array, iter),
    lambda items: pd.Series(items, dtype=object),
    lambda items: pl.Series(items, strict=False),
    lambda items: pl.Series(items, dtype=pl.Object),
    lambda items: np.array(items, dtype=object),
    lambda items: np.array(items),
    lambda items: np.ma.array(items, mask=[number % 2 == 1 for number in range(len(items))]),
    lambda items: pd.Categorical(items),
    lambda items: pd.Series(items).convert_dtypes(),
    lambda items: items[0] if items else None,
]


def shaped(items: list[Any], shape: Any) -> Any:
    """Return the items in a form, or as a list if the form cannot hold them."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return shape(items)
    except KeyboardInterrupt:
        raise
    except BaseException:  # Polars' panics are no Exceptions.
        return items


# Most columns are of one type, as those of callers are.
items = st.one_of(
    st.lists(values, max_size=3),
    *(
        st.lists(each, max_size=3)
        for each in (
            st.integers(),
            st.floats(),
            st.booleans(),
            st.text(max_size=3),
            numpy_scalars,
            pandas_scalars,
        )
    ),
)
columns = st.builds(shaped, items, st.sampled_from(SHAPES))
names = st.sampled_from([*TYPES, "user_id", "at", "event_time", "other"])
tables = st.one_of(
    st.dictionaries(names, columns, max_size=4).map(lambda named: {"user_id": [1, 2], **named}),
    st.lists(st.dictionaries(names, values, max_size=3), max_size=3),
    st.builds(
        lambda named, shape: shaped([named], lambda given: shape(given[0])),
        st.dictionaries(names, items, max_size=3),
        st.sampled_from(
            [
                *(pd.DataFrame, pl.DataFrame),
                lambda named: pa.table({name: arrow_array(each) for name, each in named.items()}),
            ]
        ),
    ),
    columns,
)
SPEC = write_spec(REGISTRY, "everything")
PLAN = WritePlan(SPEC, "")
PROJECTION = project_source(REGISTRY, "events")


@generated
@given(tables)
def test_a_write(rows: Any) -> None:
    try:
        encode(PLAN, SPEC, rows, None, (1,))
    except ClientFault as fault:
        assert fault.message


@generated
@given(columns)
def test_event_times(times: Any) -> None:
    try:
        encode(PLAN, SPEC, {"user_id": [1, 2]}, times, (1,))
    except ClientFault as fault:
        assert fault.message


@generated
@given(tables)
def test_a_push(rows: Any) -> None:
    if isinstance(rows, dict):
        rows = {**{name: [None] * 2 for name in TYPES}, "at": [1_700_000_000_000] * 2, **rows}
    try:
        for view in PROJECTION.rows(read_events(rows, PROJECTION, now_ms())):
            encode(PLAN, SPEC, view.columns, None, (1,))
    except ClientFault as fault:
        assert fault.message


@generated
@given(tables)
def test_keys(keys: Any) -> None:
    try:
        PLAN.encode_delete(keys, 1)
    except ClientFault as fault:
        assert fault.message


@generated
@given(st.sampled_from(sorted(TYPES)), tables, st.one_of(st.none(), columns))
def test_evaluate(name: str, table: Any, now: Any) -> None:
    try:
        evaluate(getattr(Everything, name), table, now=now)
    except ClientFault as fault:
        assert fault.message
