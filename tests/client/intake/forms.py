"""The same columns in every form that a caller may have them in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

Columns = dict[str, list[Any]]

ARROW = {
    "Int64": pa.int64(),
    "Float64": pa.float64(),
    "Float32": pa.float32(),
    "Bool": pa.bool_(),
    "String": pa.string(),
    "Bytes": pa.binary(),
    "Timestamp": pa.timestamp("us", tz="UTC"),
    "Timestamp[s]": pa.timestamp("s", tz="UTC"),
    "List[Int64]": pa.list_(pa.int64()),
    "List[String]": pa.list_(pa.string()),
    "List[Timestamp]": pa.list_(pa.timestamp("ns")),
    "Vector[3]": pa.list_(pa.float32(), 3),
}
NUMPY = {
    "Int64": "i8",
    "Float64": "f8",
    "Float32": "f4",
    "Bool": "?",
    "Timestamp": "M8[us]",
    "Timestamp[s]": "M8[s]",
}
PANDAS = {"Int64": "Int64", "Bool": "boolean", "String": "string"}


def arrow_table(columns: Columns, types: dict[str, str]) -> pa.Table:
    arrays = {name: pa.array(values, ARROW[types[name]]) for name, values in columns.items()}
    return pa.table(arrays)


def array(values: list[Any], kind: str) -> Any:
    """Return a column as NumPy has it: masked if a value is null, of objects if it must be."""
    if kind.startswith("Vector["):
        rows = [[0.0] * 3 if value is None else value for value in values]
        data: Any = np.array(rows, dtype=np.float32)
        mask = np.array([[value is None] * 3 for value in values])
    elif kind not in NUMPY:
        data = np.empty(len(values), dtype=object)
        data[:] = values
        return data
    else:
        zero = {"b": False, "M": 0}.get(np.dtype(NUMPY[kind]).kind, 1)
        plain = [zero if value is None else _plain(value) for value in values]
        data = np.array(plain, dtype=NUMPY[kind])
        mask = np.array([value is None for value in values])
    return np.ma.array(data, mask=mask) if mask.any() else data


def _plain(value: Any) -> Any:
    return value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value


def structured(columns: Columns, types: dict[str, str]) -> Any:
    fields: list[Any] = []
    for name, kind in types.items():
        fields.append((name, "f4", (3,)) if kind == "Vector[3]" else (name, NUMPY.get(kind, "O")))
    count = len(next(iter(columns.values())))
    whole: Any = np.ma.zeros(count, dtype=fields)
    for name, kind in types.items():
        given = array(columns[name], kind)
        whole[name] = given
        if isinstance(given, np.ma.MaskedArray):
            whole.mask[name] = np.ma.getmaskarray(given)
    return whole


def pandas_frame(columns: Columns, types: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.Series(values, dtype=None if kind in ("Int64", "Float64") else object)
            if kind not in ("Timestamp", "Timestamp[s]")
            else pd.to_datetime(pd.Series(values), utc=True)
            for (name, values), kind in zip(columns.items(), types.values(), strict=True)
        }
    )


def pandas_nullable(columns: Columns, types: dict[str, str]) -> pd.DataFrame:
    frame = pandas_frame(columns, types)
    chosen = {name: PANDAS[kind] for name, kind in types.items() if kind in PANDAS}
    return frame.astype(chosen)


def pandas_arrow(columns: Columns, types: dict[str, str]) -> pd.DataFrame:
    return arrow_table(columns, types).to_pandas(types_mapper=pd.ArrowDtype)


def dicts(columns: Columns, types: dict[str, str]) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def odd_nulls(columns: Columns, types: dict[str, str]) -> list[dict[str, Any]]:
    """Return dicts in which what is null is written in each way that there is."""
    nulls = [pd.NA, pd.NaT, np.datetime64("NaT"), np.ma.masked, None]
    rows = dicts(columns, types)
    for number, row in enumerate(rows):
        for place, (name, value) in enumerate(row.items()):
            if value is None:
                row[name] = nulls[(number + place) % len(nulls)]
    return rows


def duckdb_relation(columns: Columns, types: dict[str, str]) -> Any:
    table = arrow_table(columns, types)
    return duckdb.connect().from_arrow(table).project("*")


def polars_frame(columns: Columns, types: dict[str, str]) -> pl.DataFrame:
    read = pl.from_arrow(arrow_table(columns, types))
    assert isinstance(read, pl.DataFrame)
    return read


def each(convert: Callable[[list[Any], str], Any]) -> Callable[[Columns, dict[str, str]], Any]:
    """Return a form that is a dict of columns, each converted."""
    return lambda columns, types: {
        name: convert(values, types[name]) for name, values in columns.items()
    }


FORMS: dict[str, Callable[[Columns, dict[str, str]], Any]] = {
    "dicts": dicts,
    "dicts with every null": odd_nulls,
    "lists": each(lambda values, _: values),
    "tuples": each(lambda values, _: tuple(values)),
    "generators": each(lambda values, _: iter(values)),
    "arrays": each(array),
    "big-endian and strided": each(
        lambda values, kind: swapped(array([value for value in values for _ in "12"], kind))[::2]
    ),
    "a structured array": structured,
    "an Arrow table": arrow_table,
    "chunks": lambda columns, types: pa.concat_tables(
        [arrow_table(columns, types).slice(0, 1), arrow_table(columns, types).slice(1)]
    ),
    "a record batch": lambda columns, types: arrow_table(columns, types).to_batches()[0],
    "a reader of batches": lambda columns, types: arrow_table(columns, types).to_reader(),
    "Arrow arrays": lambda columns, types: {
        name: column.chunk(0)
        for name, column in zip(columns, arrow_table(columns, types).columns, strict=True)
    },
    "a pandas frame": pandas_frame,
    "a nullable pandas frame": pandas_nullable,
    "an Arrow-backed pandas frame": pandas_arrow,
    "pandas Series": lambda columns, types: dict(pandas_frame(columns, types).items()),
    "a Polars frame": polars_frame,
    "Polars Series": lambda columns, types: {
        series.name: series for series in polars_frame(columns, types)
    },
    "a DuckDB relation": duckdb_relation,
}


def swapped(values: Any) -> Any:
    """Return an array in the other byte order, if its type has one."""
    return values if values.dtype.kind == "O" else values.astype(values.dtype.newbyteorder(">"))
