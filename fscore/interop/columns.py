"""The one intake of columns and tables: every form that callers bring becomes a `Column`.

`write`, `push`, `get` and `evaluate` read their arguments here, so all of them take the same forms:
lists, NumPy arrays (masked and structured too), pandas and Polars frames and series, and whatever
has Arrow's interface.

A value is null if it is None, masked, NaT, pandas' NA, or null in Arrow. NaN is a value, except in
pandas, where NaN is how a float column says that nothing is there.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fscore.errors import FscoreError, InvalidValue
from fscore.model.expression import Operand

__all__ = ["Column", "Frame", "as_type", "column", "first_null", "frame", "is_null", "shown"]

Flags = npt.NDArray[np.bool_]

_SHOWN = 80
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


# Single columns


def column(values: Any) -> Column:
    """Convert a column of any form, or one value for all rows.

    The form decides what is null; see the module. Errors of the library that the values come from
    are not caught: `Frame` and `converting` do that, and name the column.
    """
    if isinstance(values, np.ndarray):
        return from_array(values)
    if isinstance(values, list):
        return Column(values)
    if isinstance(values, tuple | range):
        return Column(list(values))
    if isinstance(values, str | bytes | bytearray | memoryview | Mapping | np.generic):
        return Column(values)
    if _library(values) == "pandas":
        return _from_pandas(values) if hasattr(values, "isna") else Column(values)
    if hasattr(values, "__arrow_c_stream__") or hasattr(values, "__arrow_c_array__"):
        from fscore.interop import from_arrow

        return from_arrow.column(values)
    if hasattr(values, "__array__"):
        return from_array(np.asarray(values))
    if isinstance(values, Sequence | Iterator):
        return Column(list(values))
    return Column(values)


@contextmanager
def converting(what: str, feature: str | None = None) -> Iterator[None]:
    """Turn whatever another library raises into InvalidValue, which says what could not be read."""
    try:
        yield
    except (FscoreError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:  # Polars' panics are no Exceptions.
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise InvalidValue(f"{what} cannot be read: {reason}", feature=feature) from error


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
        return _from_times(values, nulls)
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


def _from_times(values: npt.NDArray[Any], nulls: Flags | None) -> Column:
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


def _from_pandas(values: Any) -> Column:
    """Read a Series, an Index or an extension array; NaN, NaT and NA are null."""
    nulls = np.asarray(values.isna(), dtype=np.bool_)
    dtype = values.dtype
    letter = getattr(dtype, "kind", "O")
    if letter in "Mm":
        # Times with a zone become UTC.
        return _from_times(np.asarray(values, dtype=f"{letter}8[ns]"), nulls)
    if letter in "iufb" and not hasattr(dtype, "categories"):
        plain = getattr(dtype, "numpy_dtype", None) or getattr(dtype, "subtype", dtype)
        wanted = np.dtype(plain)
        if nulls.any() and wanted.kind != "f":
            found = values.to_numpy(dtype=wanted, na_value=wanted.type(0))
        else:
            found = np.asarray(values, dtype=wanted)
        return replace(from_array(found, nulls), is_widened=letter == "f")
    return Column(list(values.astype(object)), nulls)


def _library(value: Any) -> str:
    return type(value).__module__.partition(".")[0]


# Tables


class Frame:
    """A table whose columns are converted when they are asked for.

    `names` are its columns in order. In messages, `subject` is what the rows are and `row` what one
    is.
    """

    __slots__ = ("_raw", "is_strict", "may_lack", "names", "row", "subject")

    def __init__(
        self,
        subject: str,
        row: str,
        names: Iterable[str],
        raw: Callable[[str], Any],
        *,
        is_strict: bool = False,
        may_lack: bool = False,
    ) -> None:
        self.subject = subject
        self.row = row
        self.names = tuple(names)
        self.is_strict = is_strict
        """Whether somebody wrote the names down for this call, as keys of dicts."""
        self.may_lack = may_lack
        """Whether a column that is not in `names` is null throughout, as in a list of dicts."""
        self._raw = raw

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Column:
        """Convert one column.

        Raises InvalidValue, which names it, if it is there twice, is one value, or cannot be read.
        """
        read = self.value(name)
        if not read.is_one_value:
            return read
        if isinstance(read.values, Iterable) and not _is_whole(read.values):
            with converting(f"column {name} of {self.subject}", name):
                return Column(list(read.values))
        raise InvalidValue(
            f"column {name} of {self.subject} is {shown(read.values)}; it must be a list or an "
            f"array (a single {self.row} goes in a list)",
            feature=name,
        )

    def value(self, name: str) -> Column:
        """Convert one column, which may be one value for all rows."""
        if self.names.count(name) > 1:
            raise InvalidValue(f"{self.subject} have more than one column {name}", feature=name)
        with converting(f"column {name} of {self.subject}", name):
            return column(self._raw(name))


def _is_whole(values: Any) -> bool:
    """Return whether something that can be iterated is one value, or has no order."""
    return isinstance(values, str | bytes | bytearray | memoryview | Mapping | Set)


def frame(data: Any, subject: str, row: str = "row") -> Frame | None:
    """Return a table of any form, or None if `data` is not one.

    A table is a mapping of columns, a sequence of dicts, a NumPy structured array, a pandas or
    Polars frame, or anything else with Arrow's interface. In messages, `subject` is what the rows
    are, in the plural, and `row` what one is. Raises InvalidValue if the data's own library cannot
    convert it.
    """
    if isinstance(data, Mapping):
        named = {_column_name(name): name for name in data}
        return Frame(subject, row, named, lambda name: data[named[name]], is_strict=True)
    if isinstance(data, np.ndarray):
        fields = data.dtype.names
        return None if fields is None else Frame(subject, row, fields, data.__getitem__)
    if isinstance(data, Sequence):
        return _from_dicts(data, subject, row)
    if _library(data) == "pandas":
        return _from_pandas_frame(data, subject, row) if hasattr(data, "columns") else None
    if hasattr(data, "__arrow_c_stream__") or hasattr(data, "__arrow_c_array__"):
        from fscore.interop import from_arrow

        if not from_arrow.is_table(data):
            return None
        with converting(subject):
            table = from_arrow.table(data)
        return Frame(subject, row, table.column_names, table.column)
    return None


def _from_dicts(rows: Sequence[Any], subject: str, one: str) -> Frame | None:
    """Read a sequence of dicts; a column that a dict leaves out is null in its row."""
    if isinstance(rows, str | bytes | bytearray | memoryview | range):
        return None
    if rows and not any(isinstance(row, Mapping) for row in rows):
        return None
    names: dict[str, Any] = {}
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise InvalidValue(
                f"{one} {number} of {subject.rpartition(' ')[2]} is {shown(row)}; it must be a "
                "dict of columns",
                row=number,
            )
        if not row.keys() <= names.keys():
            names.update((_column_name(name), name) for name in row if name not in names)

    def raw(name: str) -> list[Any]:
        key = names.get(name, name)
        return [row.get(key) for row in rows]

    return Frame(subject, one, names, raw, is_strict=True, may_lack=True)


def _from_pandas_frame(data: Any, subject: str, row: str) -> Frame:
    names = list(map(str, data.columns))
    # An index with a name that is not a column's is what `set_index` made of a column.
    levels = [str(name) for name in data.index.names if name is not None]

    def raw(name: str) -> Any:
        if name in names:
            return data.iloc[:, names.index(name)]
        return data.index.get_level_values(name)

    return Frame(subject, row, [*names, *(name for name in levels if name not in names)], raw)


def _column_name(name: Any) -> str:
    """Return the name of a column; a feature as a name becomes `view:feature`."""
    return str(name._expression()) if isinstance(name, Operand) else str(name)


def shown(value: Any) -> str:
    """Return a value for a message, cut if it is long."""
    text = str(value) if isinstance(value, dt.date | np.generic) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


# Inputs of a read


def request_input(name: str, values: Any, kind: str) -> tuple[Any, list[bool] | None]:
    """Return values and nulls of a request input as the core reads type `kind` from them."""
    if isinstance(values, Iterator):
        raise InvalidValue(f"{name} is an iterator; give a list, for a read may be sent again")
    with converting(f"request input {name}", name):
        read = as_type(column(values), kind)
    return read.values, None if read.nulls is None else read.nulls.tolist()


def request_table(table: Any, names: Sequence[str]) -> dict[str, Any]:
    """Return the inputs `names` of a table; those that it does not have are left out."""
    found = frame(table, "request inputs")
    if found is None:
        raise InvalidValue(
            "request must be a mapping of input to value or column, or a table, not "
            f"{type(table).__name__}"
        )
    wanted = found.names if found.is_strict else [name for name in names if name in found]
    return {name: found[name].listed() for name in wanted}


# Types


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
    if kind == "Float64" and letter in "if":
        return replace(read, values=values.astype(np.float64, copy=False))
    if kind == "Float32" and letter in "if" and _fits_float32(values):
        with np.errstate(over="ignore"):
            return replace(read, values=values.astype(np.float32, copy=False))
    if kind in ("Int64", "Timestamp", "Timestamp[s]"):
        if letter == "i":
            return read
        if read.is_widened:
            return _whole_numbers(read, kind)
    if kind == "Bool" and letter == "b":
        return read
    return Column(values.tolist(), read.nulls)


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
    if values.dtype == np.float32:
        return True
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
