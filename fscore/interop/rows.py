"""Encodes callers' rows (dicts, columns, NumPy, Arrow) as batches of commands."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fscore._fscore import WriteBatch, WritePlan, event_time_fault
from fscore.errors import InvalidKeys, InvalidValue

_ROWS_PER_BATCH = 2_000


def now_ms() -> int:
    """Return the time of the wall clock, in epoch milliseconds."""
    return time.time_ns() // 1_000_000


def encode(
    plan: WritePlan, spec: Mapping[str, Any], rows: Any, event_time: Any, version: int
) -> list[WriteBatch]:
    """Encode rows of any form that `write` takes.

    Raises InvalidValue and InvalidKeys, which name the row that is wrong.
    """
    if isinstance(rows, Sequence) and not isinstance(rows, str | bytes):
        return _encode_dicts(plan, rows, event_time, version)
    columns = _columns(rows, spec["view"])
    return _encode_columns(plan, spec, columns, event_time, version)


def _encode_dicts(
    plan: WritePlan, rows: Sequence[Mapping[str, Any]], event_time: Any, version: int
) -> list[WriteBatch]:
    written = now_ms() if event_time is None else _one_event_time(event_time)
    whole = rows if isinstance(rows, list) else list(rows)
    return plan.encode_rows(whole, version, written, _ROWS_PER_BATCH)


def _columns(rows: Any, view: str) -> dict[str, tuple[Any, Any]]:
    """Return the columns of rows by name, each as (values, nulls)."""
    if isinstance(rows, Mapping):
        return {str(name): _from_values(values) for name, values in rows.items()}
    if isinstance(rows, np.ndarray) and rows.dtype.names is not None:
        return {name: _from_values(rows[name]) for name in rows.dtype.names}
    if type(rows).__module__.partition(".")[0] == "pyarrow":
        from fscore.interop import arrow as _arrow

        if (columns := _arrow.columns(rows)) is not None:
            return columns
    raise InvalidValue(
        f"rows for view {view} must be a list of dicts, a dict of columns, a NumPy structured "
        f"array or an Arrow table, not {type(rows).__name__}"
    )


_KINDS = {"i": np.int64, "u": np.int64, "b": np.bool_}


def _from_values(values: Any) -> tuple[Any, Any]:
    if not isinstance(values, np.ndarray):
        return (values if isinstance(values, list) else list(values)), None
    if values.ndim != 1:
        # A matrix is a column of vectors.
        return list(values), None
    kind = values.dtype.kind
    if kind == "M":
        return values.astype("datetime64[ms]").astype(np.int64), np.isnat(values)
    if kind in _KINDS:
        if kind == "u" and values.size and values.max() > np.iinfo(np.int64).max:
            raise InvalidValue("a column of unsigned integers has values beyond Int64")
        return values.astype(_KINDS[kind], copy=False), None
    if kind == "f":
        return (values if values.itemsize in (4, 8) else values.astype(np.float64)), None
    return values.tolist(), None


def _encode_columns(
    plan: WritePlan,
    spec: Mapping[str, Any],
    columns: dict[str, tuple[Any, Any]],
    event_time: Any,
    version: int,
) -> list[WriteBatch]:
    join_keys = [name for name, _ in spec["join_keys"]]
    view = spec["view"]
    if missing := [name for name in join_keys if name not in columns]:
        raise InvalidKeys(f"rows for view {view} have no column {missing[0]}", join_key=missing[0])
    keys = {name: _key_column(name, *columns.pop(name)) for name in join_keys}
    rows = len(keys[join_keys[0]])
    kinds = _column_types(spec)
    if "event_time" not in kinds:
        own_times = columns.pop("event_time", None)
        event_time = own_times if own_times is not None else event_time
    written = now_ms()
    times = None if event_time is None else _times(event_time, rows, written)
    ids = None
    if spec.get("event_id") and "event_id" in columns:
        values, nulls = columns["event_id"] if "event_id" in kinds else columns.pop("event_id")
        ids = _event_ids(values, nulls)
    typed = [
        (name, _as_type(values, kinds.get(name)), nulls)
        for name, (values, nulls) in columns.items()
    ]
    return plan.encode_columns(keys, typed, times, version, written, _ROWS_PER_BATCH, ids)


def _column_types(spec: Mapping[str, Any]) -> dict[str, str]:
    """Return names and types of a row's columns: features, or the payload of an event."""
    if spec["kind"] == "series":
        return dict(spec["payload"])
    return {feature["name"]: feature["type"] for feature in spec["features"]}


def _event_ids(values: Any, nulls: Any) -> list[Any]:
    ids = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if nulls is not None:
        ids = [None if null else one for one, null in zip(ids, nulls, strict=True)]
    return ids


def _key_column(name: str, values: Any, nulls: Any) -> Any:
    if nulls is not None and nulls.any():
        row = int(nulls.argmax())
        raise InvalidKeys(f"join key {name} (row {row}) is null", join_key=name, row=row)
    return values


def _as_type(values: Any, kind: str | None) -> Any:
    """Convert an array to the type from which the feature is encoded, if that loses nothing.

    Other arrays become lists.
    """
    if not isinstance(values, np.ndarray):
        return values
    if kind == "Float64" and values.dtype.kind in "if":
        return values.astype(np.float64, copy=False)
    if kind == "Float32" and values.dtype.kind in "if" and _fits_float32(values):
        return values.astype(np.float32, copy=False)
    expected = {
        "Int64": np.int64,
        "Timestamp": np.int64,
        "Timestamp[s]": np.int64,
        "Bool": np.bool_,
    }
    if kind in expected and values.dtype == expected[kind]:
        return values
    # The core checks the values of a list one by one, so its error names the row.
    return list(values) if values.ndim > 1 else values.tolist()


def _fits_float32(values: np.ndarray[Any, Any]) -> bool:
    if values.dtype == np.float32:
        return True
    with np.errstate(over="ignore"):
        return bool(np.isfinite(values.astype(np.float32))[np.isfinite(values)].all())


def _times(event_time: Any, rows: int, written: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    if isinstance(event_time, tuple):
        values, nulls = event_time
    elif isinstance(event_time, datetime | int):
        return np.full(rows, _one_event_time(event_time), dtype=np.int64)
    else:
        values, nulls = _from_values(event_time)
    if isinstance(values, list):
        values = _listed_times(values, written)
    times = np.array(values, dtype=np.int64)
    if nulls is not None:
        times[nulls] = written
    return times


def _listed_times(values: list[Any], written: int) -> Any:
    if set(map(type, values)) == {int}:
        with suppress(OverflowError):
            return np.array(values, dtype=np.int64)
    return [
        written if value is None else _time_of_row(row, value) for row, value in enumerate(values)
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
    if isinstance(value, int) and not isinstance(value, bool):
        if -(1 << 63) <= value < 1 << 63:
            return value
        raise InvalidValue(f"{name} is {value}, which is beyond 64 bits", feature=name)
    raise InvalidValue(
        f"{name} is {value!r}; it must be a datetime with a time zone, or epoch ms",
        feature=name,
    )
