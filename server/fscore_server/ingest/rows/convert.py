"""Conversion of a file's columns to feature types, whole columns at a time.

A converted column has null in place of a value that does not fit, and the row of that value becomes
a reject. If the type of the whole column cannot fit (a Parquet column of lists for an Int64), the
file is unusable.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import polars as pl

from fscore.ingestion import expectation as expected_moment
from fscore.types import DataType
from fscore_server.ingest.plan import Cell
from fscore_server.ingest.rows.failures import InputError

__all__ = ["STORED", "convert", "expectation"]

_ISO = "%Y-%m-%dT%H:%M:%S%.f"
_ISO_FORMS = ("%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M%#z")

STORED: dict[str, Any] = {
    "Int64": pl.Int64,
    "Float32": pl.Float32,
    "Float64": pl.Float64,
    "Bool": pl.Boolean,
    "String": pl.String,
    "Bytes": pl.Binary,
    "Timestamp": pl.Int64,
    "Timestamp[s]": pl.Int64,
}
"""Type of a converted column; timestamps are epoch milliseconds whatever their unit in Redis."""


def convert(series: pl.Series, cell: Cell) -> pl.Series:
    """Return the column in the cell's type, with null for values that are absent or do not fit.

    Raises `InputError` if the column's own type cannot be converted.
    """
    series = _plain(series)
    if cell.spelling == "text":
        return _as_text(series, cell)
    if cell.spelling == "event_id":
        if series.dtype.is_float() or series.dtype == pl.Boolean:
            raise _unfit(series, cell)
        return _as_text(series, cell)
    if series.dtype == pl.String and cell.spelling != "String":
        # An empty text is a missing value for all types but text.
        series = series.replace("", None)
    if cell.spelling == "event_time":
        return _as_time(series, cell)
    data_type = DataType.parse(cell.spelling)
    if data_type.kind in ("List", "Vector"):
        return _as_list(series, cell, data_type)
    return _SCALARS[data_type.kind](series, cell)


def expectation(cell: Cell) -> str:
    """Return in words what a value of the cell must be, for the reason of a reject."""
    if cell.spelling == "event_time" or cell.spelling.startswith("Timestamp"):
        return expected_moment(cell.timestamp_format)
    return {
        "Int64": "an integer of 64 bits",
        "Float32": "a number that Float32 can hold",
        "Float64": "a number",
        "Bool": "1, 0, true or false",
        "Bytes": "base64",
        "String": "text",
        "text": "text",
        "event_id": "text or an integer",
    }.get(cell.spelling, f"a {cell.spelling} as a JSON array")


def _plain(series: pl.Series) -> pl.Series:
    """Return the column without types that only say how a file stores it, such as categories."""
    if series.dtype in (pl.Categorical, pl.Enum):
        return series.cast(pl.String)
    return series.cast(pl.Float64) if isinstance(series.dtype, pl.Decimal) else series


def _unfit(series: pl.Series, cell: Cell, hint: str = "") -> InputError:
    return InputError(
        f"column {cell.column} holds {series.dtype}, but {expectation(cell)} is expected{hint};"
        " correct the feature's type or the file"
    )


def _as_text(series: pl.Series, cell: Cell) -> pl.Series:
    if series.dtype == pl.String:
        return series.replace("", None)
    if series.dtype.is_nested() or series.dtype == pl.Binary:
        raise _unfit(series, cell)
    return series.cast(pl.String)


def _as_int64(series: pl.Series, cell: Cell) -> pl.Series:
    if series.dtype == pl.String:
        return series.str.strip_chars().cast(pl.Int64, strict=False)
    if series.dtype.is_float():
        # Files often store a column of integers with missing values as floats.
        whole = series.cast(pl.Int64, strict=False)
        return whole.set(whole.cast(pl.Float64) != series.cast(pl.Float64), None)
    if series.dtype.is_integer() or series.dtype == pl.Null:
        return series.cast(pl.Int64, strict=False)
    raise _unfit(series, cell)


def _as_float(series: pl.Series, cell: Cell) -> pl.Series:
    if series.dtype == pl.String:
        series = series.str.strip_chars().cast(pl.Float64, strict=False)
    elif not (series.dtype.is_numeric() or series.dtype == pl.Null):
        raise _unfit(series, cell)
    wide = series.cast(pl.Float64)
    if cell.spelling != "Float32":
        return wide
    narrow = wide.cast(pl.Float32)
    return narrow.set(narrow.is_infinite() & wide.is_finite(), None)


def _as_bool(series: pl.Series, cell: Cell) -> pl.Series:
    if series.dtype in (pl.Boolean, pl.Null):
        return series.cast(pl.Boolean)
    if series.dtype.is_integer():
        series = series.cast(pl.String)
    if series.dtype != pl.String:
        raise _unfit(series, cell)
    meanings = {"1": True, "true": True, "0": False, "false": False}
    return (
        series.str.strip_chars()
        .str.to_lowercase()
        .replace_strict(meanings, default=None, return_dtype=pl.Boolean)
    )


def _as_string(series: pl.Series, cell: Cell) -> pl.Series:
    if series.dtype in (pl.String, pl.Null):
        return series.cast(pl.String)
    raise _unfit(series, cell)


def _as_bytes(series: pl.Series, cell: Cell) -> pl.Series:
    if series.dtype in (pl.Binary, pl.Null):
        return series.cast(pl.Binary)
    if series.dtype == pl.String:
        return series.str.decode("base64", strict=False)
    raise _unfit(series, cell)


def _as_time(series: pl.Series, cell: Cell) -> pl.Series:
    """Return the column in epoch milliseconds."""
    if series.dtype == pl.Null:
        return series.cast(pl.Int64)
    if isinstance(series.dtype, pl.Datetime | pl.Date):
        # A time without a zone is UTC, and polars keeps one with a zone as UTC inside.
        return series.cast(pl.Datetime("ms")).cast(pl.Int64)
    if cell.timestamp_format in ("unix", "unix_ms"):
        return _epoch_ms(series, cell)
    if series.dtype != pl.String:
        hint = '; integers need timestamp_format="unix" or "unix_ms" in the source'
        raise _unfit(series, cell, hint)
    text = series.str.strip_chars()
    if cell.timestamp_format is not None:
        return _parsed(text, _chrono(cell.timestamp_format)).cast(pl.Int64)
    return _iso_ms(text)


def _epoch_ms(series: pl.Series, cell: Cell) -> pl.Series:
    if series.dtype == pl.String:
        series = series.str.strip_chars().cast(pl.Float64, strict=False)
    if not series.dtype.is_numeric():
        raise _unfit(series, cell)
    factor = 1000 if cell.timestamp_format == "unix" else 1
    return (series.cast(pl.Float64) * factor).round().cast(pl.Int64, strict=False)


def _iso_ms(text: pl.Series) -> pl.Series:
    joined = text.str.replace(r"^([0-9-]{10}) ", "${1}T").str.replace(r" ?UTC$", "Z")
    # The parser would also accept a month or a day of one digit.
    after_day = joined.str.slice(10, 1)
    joined = joined.set((after_day != "T") & (joined.str.len_bytes() != 10), None)
    moments = _parsed(joined, _ISO)
    # The other forms are rare, so each is tried only on texts that are not parsed yet.
    for form in _ISO_FORMS:
        if moments.null_count() == joined.null_count():
            break
        moments = moments.zip_with(moments.is_not_null(), _parsed(joined, form))
    if moments.null_count() > joined.null_count():
        days = joined.str.to_date("%Y-%m-%d", strict=False).cast(pl.Datetime("ms"))
        moments = moments.zip_with(moments.is_not_null(), days)
    return moments.cast(pl.Int64)


def _parsed(text: pl.Series, form: str) -> pl.Series:
    if "z" in form.rpartition("%")[2]:
        zoned = text.str.to_datetime(form, time_unit="ms", time_zone="UTC", strict=False)
        return zoned.dt.replace_time_zone(None)
    return text.str.to_datetime(form, time_unit="ms", strict=False)


def _chrono(pattern: str) -> str:
    """Translate a strptime pattern for polars' parser, in which %f alone counts nanoseconds."""
    return pattern.replace(".%f", "%.f").replace("%f", "%6f")


def _as_list(series: pl.Series, cell: Cell, data_type: DataType) -> pl.Series:
    spelling = _item_spelling(data_type)
    wanted = pl.List(STORED[spelling])
    if series.dtype == pl.Null:
        return series.cast(wanted)
    if series.dtype == pl.String:
        return _lists_of_text(series, data_type, wanted)
    if isinstance(series.dtype, pl.Array):
        series = series.arr.to_list()
    if not isinstance(series.dtype, pl.List):
        raise _unfit(series, cell)
    # The items of all rows are converted as one column and gathered again; a row with an item
    # that does not fit is null.
    rows = pl.DataFrame({"row": pl.arange(len(series), eager=True), "list": series})
    items = rows.filter(pl.col("list").list.len() > 0).explode("list")
    converted = convert(items["list"], Cell(cell.column, spelling, cell.timestamp_format))
    gathered = (
        pl.DataFrame({"row": items["row"], "item": converted})
        .group_by("row", maintain_order=True)
        .agg("item", whole=pl.col("item").is_not_null().all())
    )
    merged = rows.join(gathered, on="row", how="left", maintain_order="left")
    empty = pl.lit([], dtype=wanted)
    fits = pl.col("whole")
    if data_type.kind == "Vector":
        empty = pl.lit(None, dtype=wanted)
        fits &= pl.col("item").list.len() == data_type.dim
    return merged.select(
        pl.when(pl.col("list").list.len() == 0)
        .then(empty)
        .when(fits)
        .then(pl.col("item"))
        .otherwise(None)
    ).to_series()


def _item_spelling(data_type: DataType) -> str:
    if data_type.kind == "Vector":
        return "Float32"
    return f"{data_type.element}[s]" if data_type.unit == "s" else data_type.element


def _lists_of_text(series: pl.Series, data_type: DataType, wanted: pl.List) -> pl.Series:
    """Convert texts with JSON arrays: rare, so Python reads them, each different text once."""
    readings: dict[str, list[Any] | None] = {}
    for text in series.drop_nulls().unique():
        try:
            readings[text] = data_type.from_json(json.loads(text))
        except (ValueError, RecursionError):
            readings[text] = None
    return pl.Series([None if text is None else readings[text] for text in series], dtype=wanted)


_SCALARS: dict[str, Callable[[pl.Series, Cell], pl.Series]] = {
    "Int64": _as_int64,
    "Float32": _as_float,
    "Float64": _as_float,
    "Bool": _as_bool,
    "String": _as_string,
    "Bytes": _as_bytes,
    "Timestamp": _as_time,
}
