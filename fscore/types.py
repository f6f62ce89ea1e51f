"""The types of features, as annotations and as the registry spells them, and `Status`.

| annotation | values | spelling in the registry |
|---|---|---|
| `Int64`, `Float32`, `Float64`, `Bool`, `String`, `Bytes` | numbers, text, raw bytes | the same |
| `Timestamp` | epoch milliseconds in memory, stored in milliseconds | `Timestamp` |
| `Timestamp[Literal["s"]]` | epoch milliseconds in memory, stored in seconds | `Timestamp[s]` |
| `List[Int64]` (any scalar) | a list | `List[Int64]` |
| `Vector[Literal[64]]` | 64 Float32 | `Vector[64]` |

`Timestamp["s"]` and `Vector[64]` work too and mean the same, but type checkers need the `Literal`.

    >>> from fscore.types import DataType, Status
    >>> str(DataType.parse("List[Int64]")), DataType.parse("Vector[64]").dim
    ('List[Int64]', 64)
    >>> Status.EXPIRED.name, int(Status.EXPIRED)
    ('EXPIRED', 3)
"""

from __future__ import annotations

from fscore.definitions.markers import (
    Annotation,
    Bool,
    Bytes,
    FeatureRef,
    Float32,
    Float64,
    Int64,
    List,
    String,
    Timestamp,
    Vector,
    annotation_of,
)
from fscore.model.data_type import FIXED_TYPES, SCALARS, DataType
from fscore.model.status import Status

__all__ = [
    "FIXED_TYPES",
    "SCALARS",
    "Annotation",
    "Bool",
    "Bytes",
    "DataType",
    "FeatureRef",
    "Float32",
    "Float64",
    "Int64",
    "List",
    "Status",
    "String",
    "Timestamp",
    "Vector",
    "annotation_of",
]
