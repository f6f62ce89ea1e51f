"""Converts columns (lists, NumPy, Arrow, Series) into the forms that the Rust core reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fscore.model.expression import Operand

__all__ = ["Column", "by_name", "column"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or one value for all rows.

    `values` is a NumPy array of int64, float64, float32 or bool, a list, or one value. `nulls` is
    true for entries that are null in addition to None. `kind` is the type of an array, in the
    registry's spelling.
    """

    values: Any
    nulls: npt.NDArray[np.bool_] | None = None
    kind: str | None = None

    def shown_kind(self) -> str | None:
        """Return the type that the values show, or None if they do not show one."""
        if self.kind is not None:
            return self.kind
        return _kind_of(self.values if isinstance(self.values, list) else [self.values])

    def rows(self, kind: str) -> int | None:
        """Return how many rows a column of type `kind` has; None if it is one value for all."""
        if not isinstance(self.values, (np.ndarray, list)):
            return None
        if kind.startswith(("List[", "Vector[")) and not all(map(_is_nested, self.values)):
            return None
        return len(self.values)


def column(values: Any) -> Column:
    """Convert a list, a tuple, an array (masked too), an Arrow column, a Series or one value."""
    if isinstance(values, np.ndarray):
        return _from_array(values)
    if isinstance(values, tuple):
        values = list(values)
    if isinstance(values, list):
        return Column(values)
    if hasattr(values, "to_arrow"):  # Polars, whose own arrays have NaN for null
        values = values.to_arrow()
    if type(values).__module__.partition(".")[0] == "pyarrow" and hasattr(values, "to_pylist"):
        return _from_arrow(values)
    if hasattr(values, "to_numpy"):
        return _from_array(values.to_numpy())
    return Column(values)


def by_name(columns: Any) -> dict[str, Any]:
    """Return the columns of a mapping or a data frame by name.

    A key that is a feature becomes `view:feature`. Raises TypeError for other data.
    """
    if isinstance(columns, Mapping):
        return {
            str(name._expression()) if isinstance(name, Operand) else name: values
            for name, values in columns.items()
        }
    names = getattr(columns, "column_names", None) or getattr(columns, "columns", None)
    if names is None:
        raise TypeError(f"columns are a mapping or a data frame, not {type(columns).__name__}")
    return {name: columns[name] for name in names}


_KINDS = {"i": "Int64", "u": "Int64", "b": "Bool", "f": "Float64", "M": "Timestamp", "m": "Int64"}


def _from_array(values: npt.NDArray[Any]) -> Column:
    nulls = None
    if isinstance(values, np.ma.MaskedArray):
        nulls = np.ma.getmaskarray(values)
        values = values.data
    if values.ndim == 0:
        return column(values.item())
    if values.ndim > 1:
        return Column(list(values), nulls, f"Vector[{values.shape[1]}]")
    kind = values.dtype.kind
    if kind in "Mm":
        nulls = np.isnat(values) if nulls is None else nulls | np.isnat(values)
        values = values.astype(f"{kind}8[ms]").astype(np.int64)
    elif kind in "iu" and _fits_int64(values):
        values = values.astype(np.int64, copy=False)
    elif kind == "f":
        values = values if values.itemsize in (4, 8) else values.astype(np.float64)
    elif kind != "b":
        return Column(values.tolist(), nulls)
    return Column(values, nulls, _KINDS[kind])


def _fits_int64(values: npt.NDArray[Any]) -> bool:
    return values.dtype.kind == "i" or not values.size or values.max() <= np.iinfo(np.int64).max


def _from_arrow(values: Any) -> Column:
    import pyarrow as pa

    from fscore.interop import arrow as _arrow

    columns = _arrow.columns(pa.table({"": values})) or {}
    read, nulls = columns[""]
    found = column(read)
    kind = "Timestamp" if pa.types.is_timestamp(values.type) else found.kind
    return Column(found.values, nulls, kind)


def _is_nested(value: Any) -> bool:
    return value is None or isinstance(value, (list, tuple, np.ndarray))


def _kind_of(values: Iterable[Any]) -> str | None:
    kinds = {_kind_of_value(value) for value in values if value is not None}
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
        case dt.datetime():
            return "Timestamp"
        case np.ndarray():
            return f"Vector[{len(value)}]" if value.dtype.kind == "f" else None
        case list() | tuple():
            inner = _kind_of(value)
            return None if inner is None else f"List[{inner}]"
    return None
