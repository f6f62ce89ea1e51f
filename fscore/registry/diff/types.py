"""The types to which a feature may change while its stored text stays.

A change is safe if and only if every text of the old type is valid for the new type, with the same
meaning.

| from | safely to |
|---|---|
| Int64 | Float64, String, Bytes |
| Float32 | Float64, String, Bytes |
| Float64 | String, Bytes |
| Bool | Int64, Float32, Float64, String, Bytes (as 1 and 0) |
| String | Bytes |
| Timestamp in milliseconds | Int64, String, Bytes |
| Timestamp in seconds | String, Bytes: as an Int64 it would be a thousandth of its value |
| List[Int64], List[Float32] | List[Float64], String, Bytes |
| any other list | String, Bytes |
| Vector | Bytes |
| Bytes | none |
"""

from __future__ import annotations

from fscore.model.data_type import DataType

_TEXTUAL = frozenset({"String", "Bytes"})
_SAFE_SCALARS: dict[str, frozenset[str]] = {
    "Int64": _TEXTUAL | {"Float64"},
    "Float32": _TEXTUAL | {"Float64"},
    "Float64": _TEXTUAL,
    "Bool": _TEXTUAL | {"Int64", "Float32", "Float64"},
    "String": frozenset({"Bytes"}),
    "Bytes": frozenset(),
    "Timestamp": _TEXTUAL | {"Int64"},
    "List": _TEXTUAL,
    "Vector": frozenset({"Bytes"}),
}
_SAFE_ELEMENTS = {("Int64", "Float64"), ("Float32", "Float64")}


def type_change_is_safe(old: DataType, new: DataType) -> bool:
    """Return whether every stored text of `old` reads as `new`, with the same meaning.

    The docstring of this module has the table.

    >>> type_change_is_safe(DataType.parse("Int64"), DataType.parse("Float64"))
    True
    >>> type_change_is_safe(DataType.parse("Timestamp"), DataType.parse("Timestamp[s]"))
    False
    """
    if old == new:
        return True
    if old.kind == new.kind:
        return old.kind == "List" and (old.element, new.element) in _SAFE_ELEMENTS
    if old.unit == "s" and new.kind == "Int64":
        return False
    return new.kind in _SAFE_SCALARS[old.kind]
