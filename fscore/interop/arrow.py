"""Arrow tables: feature tables as Arrow, and Arrow as rows to write. Needs the extra `arrow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fscore.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from fscore._fscore import FeatureTable

try:
    import pyarrow as pa
except ImportError:  # The library works without pyarrow; only this module needs it.
    raise ConfigError("Arrow tables need pyarrow: pip install 'fscore-core[arrow]'") from None

_FIXED: dict[str, pa.DataType] = {
    "Int64": pa.int64(),
    "Float64": pa.float64(),
    "Float32": pa.float32(),
    "Timestamp": pa.timestamp("ms", tz="UTC"),
    "Timestamp[s]": pa.timestamp("ms", tz="UTC"),
}
_SCALARS: dict[str, pa.DataType] = {
    **_FIXED,
    "Bool": pa.bool_(),
    "String": pa.string(),
    "Bytes": pa.binary(),
}


def arrow_type(spelling: str) -> pa.DataType:
    """Return the Arrow type of a feature's type."""
    if spelling.startswith("List["):
        return pa.list_(_SCALARS[spelling[5:-1]])
    if spelling.startswith("Vector["):
        return pa.list_(pa.float32(), int(spelling[7:-1]))
    return _SCALARS[spelling]


def table(features: FeatureTable) -> pa.Table:
    """Return the table as Arrow: one typed column for each feature; missing values are null."""
    columns = [
        _column(features, index, name, spelling)
        for index, (name, spelling) in enumerate(
            zip(features.features, features.types, strict=True)
        )
    ]
    return pa.table(columns, names=list(features.features))


def _column(features: FeatureTable, index: int, name: str, spelling: str) -> pa.Array:
    rows = len(features)
    if spelling in _FIXED:
        values, valid = features._arrow_fixed(index)
        buffers = [_bitmap(valid), pa.py_buffer(values)]
        return pa.Array.from_buffers(_FIXED[spelling], rows, buffers)
    if spelling == "Bool":
        values, valid = features._arrow_fixed(index)
        return pa.Array.from_buffers(pa.bool_(), rows, [_bitmap(valid), _bitmap(values)])
    if spelling in ("String", "Bytes"):
        offsets, data, valid = features._arrow_variable(index)
        buffers = [_bitmap(valid), pa.py_buffer(offsets), pa.py_buffer(data)]
        return pa.Array.from_buffers(_SCALARS[spelling], rows, buffers)
    if spelling.startswith("Vector["):
        kind = arrow_type(spelling)
        _, data, valid = features._arrow_variable(index)
        elements = pa.Array.from_buffers(
            pa.float32(), rows * kind.list_size, [None, pa.py_buffer(data)]
        )
        return pa.Array.from_buffers(kind, rows, [_bitmap(valid)], children=[elements])
    return pa.array(features.column(name).tolist(), type=_list_input(spelling)).cast(
        arrow_type(spelling)
    )


def _list_input(spelling: str) -> pa.DataType:
    # Timestamps come out of the core as integers of milliseconds.
    inner = spelling[5:-1]
    return pa.list_(pa.timestamp("ms") if inner.startswith("Timestamp") else _SCALARS[inner])


def _bitmap(flags: bytes) -> pa.Buffer:
    """Pack bytes that are 0 or 1 into bits."""
    one_byte = pa.Array.from_buffers(pa.uint8(), len(flags), [None, pa.py_buffer(flags)])
    return one_byte.cast(pa.bool_()).buffers()[1]


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
