"""Arrow tables as rows to write and as events. Needs the extra `arrow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fscore.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

try:
    import pyarrow as pa
except ImportError:  # The library works without pyarrow; only this module needs it.
    raise ConfigError("Arrow tables need pyarrow: pip install 'fscore-core[arrow]'") from None


def columns(data: Any) -> dict[str, tuple[Any, Any]] | None:
    """Return the columns of an Arrow table or record batch as (values, nulls); None for other data.

    `values` is a NumPy array if NumPy has the type (timestamps are int64 of epoch milliseconds),
    else a list. `nulls` is an array of bool, or None if there are no nulls.
    """
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if not isinstance(data, pa.Table):
        return None
    return {
        name: _from_arrow(column.combine_chunks())
        for name, column in zip(data.column_names, data.columns, strict=True)
    }


def _from_arrow(column: pa.Array) -> tuple[Any, Any]:
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else column.combine_chunks()
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _from_arrow(column.dictionary_decode())
    nulls = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    if pa.types.is_timestamp(kind):
        column = column.cast(pa.timestamp("ms"), safe=False).cast(pa.int64())
    elif pa.types.is_integer(kind):
        column = column.cast(pa.int64())
    elif not (pa.types.is_floating(kind) or pa.types.is_boolean(kind)):
        return column.to_pylist(), nulls
    filled = column.fill_null(False if pa.types.is_boolean(kind) else 0)
    return filled.to_numpy(zero_copy_only=False), nulls


def as_table(data: Any) -> pa.Table:
    """Return data with Arrow's interface (of Arrow, Polars or pandas) as an Arrow table."""
    return pa.table(data)


def event_column(column: pa.ChunkedArray) -> list[Any] | np.ndarray[Any, Any]:
    """Return a column of events: an array if NumPy has its type and it has no nulls, else a list.

    Times are always an array, in which NaT is null.
    """
    kind = column.type
    if pa.types.is_temporal(kind) and not pa.types.is_time(kind) and not pa.types.is_duration(kind):
        moments = column.cast(pa.timestamp("ms"), safe=False)
        return np.asarray(moments.to_numpy(), dtype="datetime64[ms]")
    if column.null_count or not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        values: list[Any] = column.to_pylist()
        return values
    return np.asarray(column.to_numpy())
