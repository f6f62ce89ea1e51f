"""The types of features: how the registry spells them, and which values they take."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

SCALARS = ("Int64", "Float32", "Float64", "Bool", "String", "Bytes", "Timestamp")
"""Names of the types that a feature and the elements of a list may have."""

MAX_DIM = 65_536
_LISTPACK_VALUE = 64
"""The default `hash-max-listpack-value` of Redis and Valkey.

One longer value makes the server store a hash as a hash table.
"""

_INT64 = range(-(2**63), 2**63)
_FLOAT32_MAX = (2 - 2**-23) * 2.0**127
_VECTOR = re.compile(r"Vector\[([1-9][0-9]{0,5})\]")
_SPECIAL_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True, slots=True)
class DataType:
    """The type of a feature's values.

    `kind` is one of `SCALARS`, `List` or `Vector`. `element` is the kind of a list's elements, else
    empty. `dim` is the length of a vector, else 0. `unit` is the unit in which a timestamp is
    stored, `ms` or `s`, else empty.
    """

    kind: str
    element: str = ""
    dim: int = 0
    unit: str = ""

    @classmethod
    def parse(cls, spelling: str) -> Self:
        """Read the registry's spelling. Raises ValueError if it is not valid.

        >>> DataType.parse("Timestamp[s]")
        DataType(kind='Timestamp', element='', dim=0, unit='s')
        """
        found = _BY_SPELLING.get(spelling)
        if found is not None:
            return cls(found.kind, found.element, found.dim, found.unit)
        vector = _VECTOR.fullmatch(spelling)
        if vector is None:
            raise ValueError(unknown_type(spelling))
        if int(vector[1]) > MAX_DIM:
            raise ValueError(f"a vector has 1 to {MAX_DIM} dimensions, not {vector[1]}")
        return cls("Vector", dim=int(vector[1]))

    @property
    def wide(self) -> bool:
        """Whether stored values are likely longer than 64 bytes.

        That is true of lists, and of vectors with more than 16 elements.

        >>> DataType.parse("Vector[16]").wide, DataType.parse("List[Int64]").wide
        (False, True)
        """
        return self.kind == "List" or 4 * self.dim > _LISTPACK_VALUE

    def __str__(self) -> str:
        """Return the registry's spelling."""
        unit = "[s]" if self.unit == "s" else ""
        match self.kind:
            case "List":
                return f"List[{self.element}{unit}]"
            case "Vector":
                return f"Vector[{self.dim}]"
            case _:
                return f"{self.kind}{unit}"

    def normalize(self, value: object) -> Any:
        """Return `value` in the form that results have.

        Integers become floats if the type is a float. Datetimes become epoch milliseconds; without
        a zone they are UTC. Nothing else is converted: a bool is not an integer, and "1" is not a
        number. Raises ValueError, which says why, if `value` is not of this type.

        >>> DataType.parse("Float64").normalize(1), DataType.parse("List[Bool]").normalize([True])
        (1.0, [True])
        """
        if self.kind == "List":
            return [_normalize(self.element, item) for item in _sequence(value, self)]
        if self.kind == "Vector":
            items = _sequence(value, self)
            if len(items) != self.dim:
                raise ValueError(f"{self} has {self.dim} elements, this has {len(items)}")
            return [_normalize("Float32", item) for item in items]
        return _normalize(self.kind, value)

    def to_json(self, value: Any) -> Any:
        """Return a normalized value in a form that JSON can hold.

        Bytes become base64. NaN and the infinities become the texts `nan`, `inf` and `-inf`.
        """
        if isinstance(value, list):
            return [self.to_json(item) for item in value]
        if isinstance(value, bytes):
            return base64.b64encode(value).decode("ascii")
        if isinstance(value, float) and not math.isfinite(value):
            return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        return value

    def from_json(self, value: Any) -> Any:
        """Undo `to_json`. Raises ValueError if `value` is not of this type."""
        kind = "Float32" if self.kind == "Vector" else self.element or self.kind
        if isinstance(value, list):
            return self.normalize([_from_json(kind, item) for item in value])
        return self.normalize(_from_json(kind, value))


def _fixed_types() -> Iterator[DataType]:
    scalars = [
        DataType(kind, unit=unit)
        for kind in SCALARS
        for unit in (("ms", "s") if kind == "Timestamp" else ("",))
    ]
    yield from scalars
    for scalar in scalars:
        yield DataType("List", element=scalar.kind, unit=scalar.unit)


FIXED_TYPES = tuple(_fixed_types())
"""Every type except the vectors, which are too many to list."""

_BY_SPELLING = {str(data_type): data_type for data_type in FIXED_TYPES}


def unknown_type(spelling: str) -> str:
    return (
        f"{spelling!r} is not a feature type; there are {', '.join(SCALARS)}, Timestamp[s], "
        "List[<one of these>] and Vector[<length>]"
    )


def _sequence(value: object, wanted: DataType) -> list[Any]:
    if hasattr(value, "tolist"):  # NumPy arrays
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ValueError(f"{value!r} is not of type {wanted}: give a list")


def _normalize(kind: str, value: object) -> Any:
    match value:
        case bool() if kind == "Bool":
            return value
        case str() if kind == "String":
            return _utf8(value)
        case bytes() | bytearray() if kind == "Bytes":
            return bytes(value)
        case dt.datetime() if kind == "Timestamp":
            return epoch_ms(value)
        case int() | float() if not isinstance(value, bool):
            return _number(kind, value)
    raise ValueError(f"{value!r} is not of type {kind}")


def _utf8(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{value!r} cannot be written as UTF-8") from None
    return value


def _number(kind: str, value: float) -> float:
    if kind in ("Int64", "Timestamp") and isinstance(value, int):
        if value not in _INT64:
            raise ValueError(f"{value} does not fit into 64 bits")
        return value
    if kind not in ("Float32", "Float64"):
        raise ValueError(f"{value!r} is not of type {kind}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{value} is too large for a float") from None
    if kind == "Float32" and math.isfinite(number) and abs(number) > _FLOAT32_MAX:
        raise ValueError(f"{value} is too large for Float32")
    return number


def epoch_ms(moment: dt.datetime) -> int:
    """Return a datetime as epoch milliseconds, rounded down. Without a zone it is UTC.

    >>> epoch_ms(dt.datetime(1970, 1, 1, 0, 0, 1, 999_999))
    1999
    """
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return (moment - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(milliseconds=1)


def _from_json(kind: str, value: Any) -> Any:
    if kind in ("Float32", "Float64") and isinstance(value, str):
        return _SPECIAL_FLOATS.get(value, value)
    if kind == "Bytes" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raise ValueError(f"{value!r} is not valid base64") from None
    return value
