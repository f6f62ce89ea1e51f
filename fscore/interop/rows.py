"""Encodes callers' rows, of every form, as batches of commands."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fscore._fscore import WriteBatch, WritePlan, event_time_fault
from fscore.errors import InvalidKeys, InvalidValue
from fscore.interop.column import Column, as_type, is_null
from fscore.interop.columns import Frame, column, converting, frame
from fscore.interop.keys import ids

_ROWS_PER_BATCH = 2_000


def now_ms() -> int:
    """Return the time of the wall clock, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def encode(
    plan: WritePlan, spec: Mapping[str, Any], rows: Any, event_time: Any, versions: Sequence[int]
) -> list[WriteBatch]:
    """Encode rows of any form that `write` takes, for one version after another.

    The rows are read once, since a reader or an iterator can be read only once, and each row has
    the same time in all versions.

    Raises InvalidValue and InvalidKeys, which name the row that is wrong.
    """
    if type(rows) is list or (
        isinstance(rows, Sequence) and not isinstance(rows, str | bytes | bytearray)
    ):
        # A feature that a dict leaves out stays as it is, so dicts are not read as columns.
        return _encode_dicts(plan, rows, event_time, versions)
    view = spec["view"]
    columns = frame(rows, f"rows for view {view}")
    if columns is None:
        raise InvalidValue(
            f"rows for view {view} must be a list of dicts, a dict of columns, a NumPy structured "
            "array, a pandas or Polars frame or a table with Arrow's interface, not "
            f"{type(rows).__name__}"
        )
    return _encode_columns(plan, spec, columns, event_time, versions)


def _encode_dicts(
    plan: WritePlan, rows: Sequence[Mapping[str, Any]], event_time: Any, versions: Sequence[int]
) -> list[WriteBatch]:
    written = now_ms() if event_time is None else _one_event_time(event_time)
    whole = rows if isinstance(rows, list) else list(rows)
    if whole and type(whole[0]) is not dict:
        whole = [dict(row) if isinstance(row, Mapping) else row for row in whole]
    return [
        batch
        for version in versions
        for batch in plan.encode_rows(whole, version, written, _ROWS_PER_BATCH)
    ]


def _encode_columns(
    plan: WritePlan,
    spec: Mapping[str, Any],
    columns: Frame,
    event_time: Any,
    versions: Sequence[int],
) -> list[WriteBatch]:
    view, join_keys = spec["view"], spec["join_keys"]
    # A column may be named by the feature itself, which is `view:feature`.
    names = {name.removeprefix(f"{view}:"): name for name in columns.names}
    if missing := [name for name, _ in join_keys if name not in names]:
        raise InvalidKeys(f"rows for view {view} have no column {missing[0]}", join_key=missing[0])
    keys = {name: ids(name, kind, columns[names.pop(name)]) for name, kind in join_keys}
    rows = len(next(iter(keys.values())))
    kinds = _column_types(spec)
    if "event_time" not in kinds and "event_time" in names:
        event_time = columns[names.pop("event_time")]
    written = now_ms()
    times = None if event_time is None else _times(event_time, rows, written)
    event_ids = None
    if spec.get("event_id") and "event_id" in names:
        event_ids = columns["event_id" if "event_id" in kinds else names.pop("event_id")].listed()
    typed = []
    for name, given in names.items():
        read = as_type(columns[given], kinds.get(name))
        typed.append((name, read.values, read.nulls))
    return [
        batch
        for version in versions
        for batch in plan.encode_columns(
            keys, typed, times, version, written, _ROWS_PER_BATCH, event_ids
        )
    ]


def _column_types(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return names and types of a row's columns: features, or the payload of an event."""
    if spec["kind"] == "series":
        return dict(spec["payload"])
    return {feature["name"]: feature["type"] for feature in spec["features"]}


def _times(event_time: Any, rows: int, written: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return the event time of each row; rows whose time is null get `written`."""
    if isinstance(event_time, Column):
        read = event_time
    else:
        with converting("event_time", "event_time"):
            read = column(event_time)
    if read.is_one_value:
        return np.full(rows, _one_event_time(read.values), dtype=np.int64)
    values = read.values
    if isinstance(values, np.ndarray) and values.dtype != np.int64:
        values = as_type(read, "Int64").values
    if isinstance(values, list):
        values = _listed_times(values, read.nulls, written)
    times = np.array(values, dtype=np.int64)
    if read.nulls is not None:
        times[read.nulls] = written
    return times


def _listed_times(values: list[Any], nulls: Any, written: int) -> Any:
    if nulls is None and set(map(type, values)) == {int}:
        with suppress(OverflowError):
            return np.array(values, dtype=np.int64)
    skipped = [False] * len(values) if nulls is None else nulls.tolist()
    return [
        written if skipped[row] or is_null(value) else _time_of_row(row, value)
        for row, value in enumerate(values)
    ]


def _time_of_row(row: int, event_time: Any) -> int:
    try:
        return _time_ms(event_time, f"event_time (row {row})")
    except InvalidValue as error:
        raise InvalidValue(error.message, feature="event_time", row=row) from None


def _one_event_time(event_time: Any) -> int:
    """Return the event time of all rows; raises InvalidValue if it is not valid."""
    time_ms = _time_ms(event_time, "event_time")
    if fault := event_time_fault(time_ms, now_ms(), "unix_ms"):
        raise InvalidValue(f"event_time is {event_time}, which is {fault}", feature="event_time")
    return time_ms


def one_time(value: Any, name: str) -> int:
    """Return a time from 1970 on, in epoch milliseconds.

    Raises InvalidValue, whose message names the argument, if the value is not such a time.
    """
    time_ms = _time_ms(value, name)
    if time_ms < 0:
        raise InvalidValue(f"{name} is {value}, which is before 1970", feature=name)
    return time_ms


def _time_ms(value: Any, name: str) -> int:
    """Return a time in epoch milliseconds.

    Raises InvalidValue, whose message names the argument, if the value is not a time.
    """
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise InvalidValue(
                f"{name} is {value} without a time zone; give it one, such as datetime.UTC",
                feature=name,
            )
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        since = value - epoch
        return (since.days * 86_400 + since.seconds) * 1_000 + since.microseconds // 1_000
    if isinstance(value, np.datetime64) and not np.isnat(value):
        return int(value.astype("M8[ms]").astype(np.int64))
    # A duration of NumPy is an integer to Python.
    if isinstance(value, int | np.integer) and not isinstance(value, bool | np.timedelta64):
        whole = int(value)
        if -(1 << 63) <= whole < 1 << 63:
            return whole
        raise InvalidValue(f"{name} is {whole}, which is beyond 64 bits", feature=name)
    raise InvalidValue(
        f"{name} is {value!r}; it must be a datetime with a time zone, or epoch ms",
        feature=name,
    )
