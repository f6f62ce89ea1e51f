"""One column of a caller's data, in the form that the core reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Column", "Flags", "as_type", "first_null", "from_array", "from_times", "is_null"]

Flags = npt.NDArray[np.bool_]

_INT64_MAX = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or one value for all rows.

    `values` is a NumPy array of int64, float64, float32 or bool, a list, or one value. `nulls` is
    true for rows that are null; in a list, `is_null` says which further values are. `kind` is the
    type of an array, in the registry's spelling; an array of kind Timestamp has epoch milliseconds.

    `is_widened` says that integers may have become floats on the way, as in a pandas column that
    has a gap. Then whole numbers count as integers.
    """

    values: Any
    nulls: Flags | None = None
    kind: str | None = None
    is_widened: bool = False

    @property
    def is_one_value(self) -> bool:
        """Whether this is one value for all rows."""
        return not isinstance(self.values, np.ndarray | list)

    def shown_kind(self) -> str | None:
        """Return the type that the values show, or None if they do not show one."""
        if self.kind is not None:
            return self.kind
        return _kind_of(self.values if isinstance(self.values, list) else [self.values])

    def rows(self, kind: str) -> int | None:
        """Return how many rows a column of type `kind` has; None if it is one value for all.

        A list of plain values is one value of a list's type.
        """
        if self.is_one_value:
            return None
        if kind.startswith(("List[", "Vector[")) and not any(map(_is_row, self.values)):
            return None
        return len(self.values)

    def listed(self) -> list[Any]:
        """Return the values as a list in which None, and nothing else, is null."""
        values = self.values
        if isinstance(values, np.ndarray):
            values = values.tolist()
        elif not _PLAIN.issuperset(map(type, values)):
            values = [None if is_null(value) else value for value in values]
        if self.nulls is None:
            return list(values)
        return [
            None if null else value for value, null in zip(values, self.nulls.tolist(), strict=True)
        ]


# The types of most values in lists; none of them has a null of its own.
_PLAIN = frozenset({bool, int, float, str, bytes, list, type(None)})


def is_null(value: Any) -> bool:
    """Return whether one value is null: None, NaT, pandas' NA, or NumPy's masked constant."""
    if value is None or value is np.ma.masked:
        return True
    if isinstance(value, np.datetime64 | np.timedelta64):
        return bool(np.isnat(value))
    return type(value).__name__ in ("NaTType", "NAType")


def first_null(read: Column) -> int | None:
    """Return the first row that is null; None if there is none, or if it is one value for all."""
    nulls = read.nulls
    if isinstance(read.values, list):
        return next((row for row, value in enumerate(read.listed()) if value is None), None)
    return int(nulls.argmax()) if nulls is not None and nulls.any() else None


# From NumPy


_KINDS = {"i": "Int64", "u": "Int64", "b": "Bool", "f": "Float64", "M": "Timestamp", "m": "Int64"}


def from_array(values: npt.NDArray[Any], nulls: Flags | None = None) -> Column:
    """Convert an array; rows that are true in `nulls` are null, whatever is in `values`."""
    if isinstance(values, np.ma.MaskedArray):
        mask = _flags(np.ma.getmaskarray(values))
        if values.ndim == 0:
            return Column(None) if mask else from_array(values.data)
        if values.ndim > 1:
            return _from_masked_matrix(values, mask)
        nulls, values = mask, values.data
    if values.ndim == 0:
        return Column(values[()] if values.dtype.kind in "Mm" else values.item())
    if values.ndim > 1:
        return Column(list(values), nulls, f"Vector[{values.shape[1]}]")
    letter = values.dtype.kind
    if letter in "Mm":
        return from_times(values, nulls)
    if letter in "iu" and _fits_int64(values):
        values = values.astype(np.int64, copy=False)
    elif letter == "f":
        size = values.itemsize if values.itemsize in (4, 8) else 8
        values = values.astype(f"f{size}", copy=False)
    elif letter == "b":
        values = _flags(values)
    else:
        return Column(values.tolist(), nulls)
    return Column(values, nulls, _KINDS[letter])


def from_times(values: npt.NDArray[Any], nulls: Flags | None) -> Column:
    """Convert datetimes to epoch milliseconds, rounded down, and durations to milliseconds."""
    letter = values.dtype.kind
    nat = np.isnat(values)
    nulls = nat if nulls is None else nulls | nat
    milliseconds = values.astype(f"{letter}8[ms]")
    if letter == "m" and not np.array_equal(milliseconds[~nulls], values[~nulls]):
        # A part of a millisecond would be lost, so each value is checked by itself.
        return Column(list(values), nulls)
    return Column(milliseconds.astype(np.int64), nulls, _KINDS[letter])


def _from_masked_matrix(values: np.ma.MaskedArray[Any, Any], mask: Flags) -> Column:
    """Read a row that is masked throughout as null, and a gap within a row as None."""
    across = tuple(range(1, values.ndim))
    whole: Flags = np.asarray(mask.all(axis=across))
    some: Flags = np.asarray(mask.any(axis=across))
    rows = [
        row.tolist() if has_gap else row.data for row, has_gap in zip(values, some, strict=True)
    ]
    return Column(rows, whole, f"Vector[{values.shape[1]}]")


def _flags(values: Flags) -> Flags:
    """Return booleans whose bytes are 0 or 1: NumPy takes any byte but 0 for true, Rust only 1."""
    octets = values.view(np.uint8)
    return values if octets.max(initial=0) <= 1 else octets != 0


def _fits_int64(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind == "i" or not values.size or int(values.max()) <= _INT64_MAX


# To the types of features


def as_type(read: Column, kind: str | None) -> Column:
    """Convert an array to the form from which a feature of type `kind` is encoded.

    Only conversions that lose nothing are made. All other arrays become lists, whose values the
    core checks one by one, so that its error names the row.
    """
    values = read.values
    if not isinstance(values, np.ndarray):
        return _whole_numbers(read, kind) if read.is_widened else read
    letter = values.dtype.kind
    if read.kind == "Timestamp":
        if kind in ("Timestamp", "Timestamp[s]"):
            return read
        return Column(list(values.view("M8[ms]")), read.nulls)
    if kind in ("Float32", "Float64") and letter in "if":
        return _as_floats(read, np.float64 if kind == "Float64" else np.float32)
    if kind in ("Int64", "Timestamp", "Timestamp[s]"):
        if letter == "i":
            return read
        if read.is_widened:
            return _whole_numbers(read, kind)
    if kind == "Bool" and letter == "b":
        return read
    return Column(read.listed())


def _as_floats(read: Column, dtype: Any) -> Column:
    """Return numbers as floats of this type; a list if one of them is beyond Float32."""
    values = read.values
    if values.dtype == dtype:
        return read
    if dtype is np.float32 and not _fits_float32(values):
        return Column(read.listed())
    with np.errstate(over="ignore"):
        return replace(read, values=values.astype(dtype))


def _whole_numbers(read: Column, kind: str | None) -> Column:
    """Return widened floats as the integers that they were; floats with a fraction stay floats."""
    values = read.values
    if not isinstance(values, np.ndarray) or kind in ("Float32", "Float64"):
        return read
    there = values if read.nulls is None else values[~read.nulls]
    if not (np.abs(there) < 2.0**63).all() or (there != np.floor(there)).any():
        return Column(values.tolist(), read.nulls)
    filled = values if read.nulls is None else np.where(read.nulls, 0.0, values)
    return Column(filled.astype(np.int64), read.nulls, "Int64")


def _fits_float32(values: npt.NDArray[Any]) -> bool:
    with np.errstate(over="ignore"):
        return bool(np.isfinite(values.astype(np.float32))[np.isfinite(values)].all())


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple | np.ndarray) or is_null(value)


def _kind_of(values: Iterable[Any]) -> str | None:
    kinds = {_kind_of_value(value) for value in values if not is_null(value)}
    if kinds == {"Int64", "Float64"}:
        return "Float64"
    return kinds.pop() if len(kinds) == 1 else None


def _kind_of_value(value: Any) -> str | None:
    match value:
        case bool() | np.bool_():
            return "Bool"
        case int() | np.integer():
            return "Int64"
        case float() | np.floating():
            return "Float64"
        case str():
            return "String"
        case bytes():
            return "Bytes"
        case dt.datetime() | np.datetime64():
            return "Timestamp"
        case dt.timedelta() | np.timedelta64():
            return "Int64"
        case np.ndarray():
            return f"Vector[{len(value)}]" if value.dtype.kind == "f" else None
        case list() | tuple():
            inner = _kind_of(value)
            return None if inner is None else f"List[{inner}]"
    return None
