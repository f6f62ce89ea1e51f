"""Arrow's arrays and tables as columns. Needs the extra `arrow`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fscore.errors import ConfigError
from fscore.interop.column import Column, from_array

if TYPE_CHECKING:
    import pyarrow as pa

try:
    import pyarrow as pa
except ImportError:  # The library works without pyarrow; only this module needs it.
    raise ConfigError("Arrow tables need pyarrow: pip install 'fscore-core[arrow]'") from None

_UTC_LIST = pa.list_(pa.timestamp("ms", tz="UTC"))


def is_table(data: Any) -> bool:
    """Return whether data with Arrow's interface is a table, and not a single column."""
    if isinstance(data, pa.Array | pa.ChunkedArray):
        return isinstance(data, pa.StructArray)
    if hasattr(data, "__arrow_c_schema__"):
        return bool(pa.types.is_struct(_type_of(data)))
    return hasattr(data, "columns") or hasattr(data, "column_names") or hasattr(data, "schema")


def _type_of(data: Any) -> pa.DataType:
    try:
        return pa.struct(pa.schema(data))
    except (pa.ArrowInvalid, TypeError):
        return pa.null()


def table(data: Any) -> pa.Table:
    """Return data with Arrow's interface (of Arrow, Polars, DuckDB …) as an Arrow table."""
    if isinstance(data, pa.StructArray):
        return pa.Table.from_batches([pa.RecordBatch.from_struct_array(data)])
    return pa.table(data)


def column(values: Any) -> Column:
    """Convert an array, a chunked array, or anything else with Arrow's interface."""
    if isinstance(values, pa.Array):
        array = values
    else:
        chunked = values if isinstance(values, pa.ChunkedArray) else _chunked(values)
        array = chunked.chunk(0) if chunked.num_chunks == 1 else chunked.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    return _from_array(array)


def _chunked(values: Any) -> pa.ChunkedArray:
    if hasattr(values, "__arrow_c_stream__"):
        return pa.chunked_array(values)
    return pa.chunked_array([pa.array(values)])


def _from_array(array: pa.Array) -> Column:
    kind = array.type
    if isinstance(kind, pa.BaseExtensionType):
        return _from_array(array.storage)
    if pa.types.is_dictionary(kind) and not pa.types.is_string_view(kind.value_type):
        return _from_array(array.dictionary_decode())
    if pa.types.is_run_end_encoded(kind):
        from pyarrow import compute

        return _from_array(compute.run_end_decode(array))
    nulls = array.is_null().to_numpy(zero_copy_only=False) if array.null_count else None
    if (unit := _unit(kind)) is not None:
        width = pa.int32() if pa.types.is_date32(kind) else pa.int64()
        whole = array.cast(width).fill_null(0).to_numpy().astype(np.int64, copy=False)
        return from_array(whole.view(unit), nulls)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return from_array(array.fill_null(0).to_numpy(), nulls)
    if pa.types.is_boolean(kind):
        return from_array(array.fill_null(False).to_numpy(zero_copy_only=False), nulls)
    if _is_list(kind) and _unit(kind.value_type) in _TIME_UNITS:
        array = array.cast(_UTC_LIST, safe=False)
    return Column(array.to_pylist(), nulls)


_TIME_UNITS = {f"M8[{unit}]" for unit in ("D", "s", "ms", "us", "ns")}


def _unit(kind: pa.DataType) -> str | None:
    """Return NumPy's type for Arrow's times, dates and durations."""
    if pa.types.is_timestamp(kind):
        return f"M8[{kind.unit}]"
    if pa.types.is_date32(kind):
        return "M8[D]"
    if pa.types.is_date64(kind):
        return "M8[ms]"
    return f"m8[{kind.unit}]" if pa.types.is_duration(kind) else None


def _is_list(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )
