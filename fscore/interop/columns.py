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
from dataclasses import replace
from typing import Any

import numpy as np

from fscore.errors import FscoreError, InvalidValue
from fscore.interop.column import Column, as_type, from_array, from_times
from fscore.model.expression import Operand

__all__ = ["Frame", "column", "converting", "frame", "request_input", "request_table", "shown"]

_SHOWN = 80


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
    except _OUR_OWN:
        raise
    except BaseException as error:  # Polars' panics are no Exceptions.
        raise _unreadable(what, feature, error) from error


_OUR_OWN = (FscoreError, KeyboardInterrupt, SystemExit, GeneratorExit)


def _unreadable(what: str, feature: str | None, error: BaseException) -> InvalidValue:
    reason = str(error).partition("\n")[0] or type(error).__name__
    return InvalidValue(f"{what} cannot be read: {reason}", feature=feature)


def _from_pandas(values: Any) -> Column:
    """Read a Series, an Index or an extension array; NaN, NaT and NA are null."""
    nulls = np.asarray(values.isna(), dtype=np.bool_)
    dtype = values.dtype
    letter = getattr(dtype, "kind", "O")
    if letter in "Mm":
        # Times with a zone become UTC.
        return from_times(np.asarray(values, dtype=f"{letter}8[ns]"), nulls)
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
        try:
            return column(self._raw(name))
        except _OUR_OWN:
            raise
        except BaseException as error:  # As in `converting`, which would cost every column 2 µs.
            raise _unreadable(f"column {name} of {self.subject}", name, error) from error


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
    if type(data) is dict and set(map(type, data)) <= {str}:
        return Frame(subject, row, data, data.__getitem__, is_strict=True)
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
