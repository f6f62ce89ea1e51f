"""Feature tables as Arrow tables, pandas and Polars frames, and tensors of torch.

None of these libraries is needed by fscore; each is imported when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fscore.errors import ConfigError
from fscore.model.status import Status

if TYPE_CHECKING:
    from fscore._fscore import FeatureTable


def to_arrow(table: FeatureTable, keys: bool, statuses: bool) -> Any:
    """Return a `pyarrow.Table`."""
    arrow = _library("pyarrow", "to_arrow", "'fscore-core[arrow]'")
    return arrow.table(_Selected(table, keys, statuses))


def to_polars(table: FeatureTable, keys: bool, statuses: bool) -> Any:
    """Return a `polars.DataFrame`."""
    return _library("polars", "to_polars").DataFrame(_Selected(table, keys, statuses))


def to_torch(table: FeatureTable, dtype: Any) -> Any:
    """Return the matrix as a `torch.Tensor` on the processor, which nothing else refers to."""
    torch = _library("torch", "to_torch")
    if isinstance(dtype, torch.dtype):
        dtype = str(dtype).removeprefix("torch.")
    return torch.from_numpy(table.to_numpy(dtype))


def to_pandas(table: FeatureTable, keys: bool, statuses: bool) -> Any:
    """Return a `pandas.DataFrame`."""
    pandas = _library("pandas", "to_pandas")
    if set(table.types) == {"Float64"} and not (keys or statuses):
        # pandas takes ten times as long for a column each as for a matrix.
        return pandas.DataFrame(table.to_numpy(), columns=list(table.features))
    build = _Columns(pandas, table)
    columns = {
        name: getattr(build, kind)(index)
        for name, kind, index in table._columns(keys=keys, statuses=statuses)
    }
    return pandas.DataFrame(columns, index=pandas.RangeIndex(len(table)))


class _Selected:
    """Columns of a table behind Arrow's interface, by which Arrow and Polars take them."""

    def __init__(self, table: FeatureTable, keys: bool, statuses: bool) -> None:
        self._table = table
        self._keys = keys
        self._statuses = statuses

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._table._arrow_stream(requested_schema, keys=self._keys, statuses=self._statuses)


class _Columns:
    """The columns of a pandas frame; a method for each kind, which takes the column's index."""

    def __init__(self, pandas: Any, table: FeatureTable) -> None:
        self._pandas = pandas
        self._table = table
        # What pandas itself makes of text: `object` before pandas 3, and `str` since.
        self._text = pandas.Series([""]).dtype
        self._status = pandas.CategoricalDtype([status.name for status in Status])

    def key(self, index: int) -> Any:
        values = self._table._key(index)
        return self._texts(values) if values.dtype == object else values

    def status(self, index: int) -> Any:
        codes = self._table.statuses[:, index].astype(np.int8)
        return self._pandas.Categorical.from_codes(codes, dtype=self._status)

    def feature(self, index: int) -> Any:
        table, arrays = self._table, self._pandas.arrays
        kind, name = table.types[index], table.features[index]
        if kind in ("Int64", "Bool"):
            masked = table.column(name, missing="mask")
            wrapped = arrays.IntegerArray if kind == "Int64" else arrays.BooleanArray
            return wrapped(masked.data, np.ma.getmaskarray(masked))
        if kind.startswith("Vector["):
            return _rows(table.column(name, missing="mask"))
        values = table.column(name)
        if kind.startswith("Timestamp"):
            return self._pandas.DatetimeIndex(values).tz_localize("UTC")
        if kind == "String":
            return self._texts(values)
        return values

    def _texts(self, values: Any) -> Any:
        return self._pandas.array(values, dtype=self._text)


def _rows(matrix: Any) -> Any:
    """Return a column of arrays, of which each is a row of the matrix, or None if it is masked."""
    column = np.empty(len(matrix), dtype=object)
    for row in np.flatnonzero(~np.ma.getmaskarray(matrix)[:, 0]):
        column[row] = matrix.data[row]
    return column


def _library(name: str, form: str, package: str | None = None) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
    raise ConfigError(f"{form}() needs {name}: pip install {package or name}")
