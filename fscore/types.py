"""Feature types, as annotations and as the registry spells them, and the status of a value.

As annotations:

| annotation | values | spelling |
|---|---|---|
| `Int64`, `Float32`, `Float64`, `Bool`, `String`, `Bytes` | numbers, text, raw bytes | the same |
| `Timestamp` | epoch milliseconds in memory, stored in milliseconds | `Timestamp` |
| `Timestamp[Literal["s"]]` | epoch milliseconds in memory, stored in seconds | `Timestamp[s]` |
| `List[Int64]` (any scalar) | a list | `List[Int64]` |
| `Vector[Literal[64]]` | 64 Float32 | `Vector[64]` |

`Timestamp["s"]` and `Vector[64]` mean the same and work as well; type checkers want the `Literal`.

    >>> from fscore.types import DataType, Status
    >>> str(DataType.parse("List[Int64]")), DataType.parse("Vector[64]").dim
    ('List[Int64]', 64)
    >>> Status.EXPIRED.name, int(Status.EXPIRED)
    ('EXPIRED', 3)
"""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, Union, get_args, get_origin

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    from fscore.view import FeatureView

    UnitT = TypeVar("UnitT", bound=str, default=Literal["ms"])
else:
    from typing import TypeVar

    UnitT = TypeVar("UnitT")

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

SCALARS = ("Int64", "Float32", "Float64", "Bool", "String", "Bytes", "Timestamp")
"""Names of the types that may stand alone and inside a list."""

MAX_DIM = 65_536
_INT64 = range(-(2**63), 2**63)
_FLOAT32_MAX = (2 - 2**-23) * 2.0**127
_VECTOR = re.compile(r"Vector\[([1-9][0-9]{0,5})\]")
_SPECIAL_FLOATS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class Status(IntEnum):
    """What became of one value of a result."""

    PRESENT = 0
    """There, and of its type."""
    NULL = 1
    """The view's row was written without it."""
    NOT_FOUND = 2
    """Nobody wrote that row."""
    EXPIRED = 3
    """Older than its view's TTL."""
    INVALID = 4
    """What is stored is not of its type."""
    UNAVAILABLE = 5
    """Could not be read in time."""


_LISTPACK_VALUE = 64
"""Both servers' default `hash-max-listpack-value`: one longer value makes a hash a hash table."""


@dataclass(frozen=True, slots=True)
class DataType:
    """The type of a feature's values.

    `kind` is one of `SCALARS`, `List` or `Vector`; `element` the kind of a list's elements; `dim`
    the length of a vector (else 0); `unit` what a timestamp is stored in, `ms` or `s` (else empty).
    """

    kind: str
    element: str = ""
    dim: int = 0
    unit: str = ""

    @classmethod
    def parse(cls, spelling: str) -> Self:
        """Read the registry's spelling; ValueError where it is none.

        >>> DataType.parse("Timestamp[s]")
        DataType(kind='Timestamp', element='', dim=0, unit='s')
        """
        found = _BY_SPELLING.get(spelling)
        if found is not None:
            return cls(found.kind, found.element, found.dim, found.unit)
        vector = _VECTOR.fullmatch(spelling)
        if vector is None:
            raise ValueError(_unknown_type(spelling))
        if int(vector[1]) > MAX_DIM:
            raise ValueError(f"a vector has 1 to {MAX_DIM} dimensions, not {vector[1]}")
        return cls("Vector", dim=int(vector[1]))

    @property
    def wide(self) -> bool:
        """Whether stored values are likely longer than 64 bytes: lists, and vectors from 17 on.

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
        """Return `value` as results hold it, or raise ValueError saying why it is not of this type.

        Integers become floats where the type is a float, datetimes become epoch milliseconds
        (without a zone they are UTC), and nothing else is converted: a bool is no integer and "1"
        is no number.

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
        """Return a normalized value as JSON can hold it.

        Bytes as base64, floats that JSON lacks as `nan`, `inf`, `-inf`.
        """
        if isinstance(value, list):
            return [self.to_json(item) for item in value]
        if isinstance(value, bytes):
            return base64.b64encode(value).decode("ascii")
        if isinstance(value, float) and not math.isfinite(value):
            return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
        return value

    def from_json(self, value: Any) -> Any:
        """Undo `to_json`; raises ValueError where `value` is not of this type."""
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
"""Every type but the vectors, of which there are too many."""

_BY_SPELLING = {str(data_type): data_type for data_type in FIXED_TYPES}


def _unknown_type(spelling: str) -> str:
    return (
        f"{spelling!r} is no feature type; there are {', '.join(SCALARS)}, Timestamp[s], "
        "List[<one of these>] and Vector[<length>]"
    )


def _sequence(value: object, wanted: DataType) -> list[Any]:
    if hasattr(value, "tolist"):  # NumPy arrays
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return list(value)
    raise ValueError(f"{value!r} is no {wanted}: give a list")


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
    raise ValueError(f"{value!r} is no {kind}")


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
        raise ValueError(f"{value!r} is no {kind}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{value} is too large for a float") from None
    if kind == "Float32" and math.isfinite(number) and abs(number) > _FLOAT32_MAX:
        raise ValueError(f"{value} is too large for Float32")
    return number


def epoch_ms(moment: dt.datetime) -> int:
    """Return a datetime as epoch milliseconds, rounded down; without a zone it is UTC.

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
            raise ValueError(f"{value!r} is no base64") from None
    return value


# Annotations


@dataclass(frozen=True, slots=True)
class Annotation:
    """What an annotation of a feature means.

    The class to make references of and the type, or what is wrong with it.
    """

    marker: type[FeatureRef]
    data_type: DataType | None
    problem: str = ""


class FeatureRef:
    """A feature of a view, as `UserActivity.platform` gives it.

    Base of the type markers: what is annotated `String` is a `String`. `view` is the view's class,
    `name` the feature's name, `data_type` its type, and `output` its name in a service.
    """

    kind: ClassVar[str] = ""

    __slots__ = ("data_type", "name", "output", "view")

    def __init__(
        self, view: type[FeatureView], name: str, data_type: DataType, output: str | None = None
    ) -> None:
        self.view = view
        self.name = name
        self.data_type = data_type
        self.output = name if output is None else output

    def alias(self, name: str) -> Self:
        """Return the same feature under another name in the service's output."""
        return type(self)(self.view, self.name, self.data_type, name)

    def __repr__(self) -> str:
        """Name the class, the feature and, where it differs, the alias."""
        alias = "" if self.output == self.name else f".alias({self.output!r})"
        return f"{self.view.__name__}.{self.name}{alias}"


class Int64(FeatureRef):
    """A signed 64-bit integer."""

    kind = "Int64"
    __slots__ = ()


class Float32(FeatureRef):
    """A 32-bit float; NaN and infinities included."""

    kind = "Float32"
    __slots__ = ()


class Float64(FeatureRef):
    """A 64-bit float; NaN and infinities included."""

    kind = "Float64"
    __slots__ = ()


class Bool(FeatureRef):
    """True or false, stored as `1` and `0`."""

    kind = "Bool"
    __slots__ = ()


class String(FeatureRef):
    """Text, stored as UTF-8."""

    kind = "String"
    __slots__ = ()


class Bytes(FeatureRef):
    """Raw bytes."""

    kind = "Bytes"
    __slots__ = ()


class Timestamp(FeatureRef, Generic[UnitT]):
    """A moment.

    Epoch milliseconds in memory; stored in milliseconds, or in seconds as
    `Timestamp[Literal["s"]]`.
    """

    kind = "Timestamp"
    __slots__ = ()

    def __class_getitem__(cls, unit: Any) -> Annotation:
        """Choose the stored unit: `Timestamp["s"]`, for checkers `Timestamp[Literal["s"]]`."""
        value = _literal(unit)
        if value in ("ms", "s"):
            return Annotation(cls, DataType("Timestamp", unit=value))
        return Annotation(cls, None, f'a timestamp is stored in "ms" or "s", not in {value!r}')


ElementT = TypeVar("ElementT", bound=FeatureRef)


class List(FeatureRef, Generic[ElementT]):
    """A list of one scalar type: `List[Int64]`."""

    kind = "List"
    __slots__ = ()

    def __class_getitem__(cls, element: Any) -> Annotation:
        """Choose the elements' type, a scalar."""
        of = annotation_of(element)
        if of.problem:
            return Annotation(cls, None, of.problem)
        if of.data_type is None or of.data_type.kind not in SCALARS:
            return Annotation(
                cls, None, f"a list is of one of {', '.join(SCALARS)}, not of {of.data_type}"
            )
        return Annotation(cls, DataType("List", element=of.data_type.kind, unit=of.data_type.unit))


DimT = TypeVar("DimT", bound=int)


class Vector(FeatureRef, Generic[DimT]):
    """A fixed number of Float32: `Vector[64]`, or `Vector[Literal[64]]` for type checkers."""

    kind = "Vector"
    __slots__ = ()

    def __class_getitem__(cls, dim: Any) -> Annotation:
        """Choose the number of elements."""
        value = _literal(dim)
        if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MAX_DIM:
            return Annotation(cls, DataType("Vector", dim=value))
        return Annotation(cls, None, f"a vector has 1 to {MAX_DIM} dimensions, not {value!r}")


_BUILTINS: dict[Any, str] = {
    int: "Int64",
    float: "Float64 (or Float32)",
    bool: "Bool",
    str: "String",
    bytes: "Bytes",
    dt.datetime: "Timestamp",
    list: "List[<type>]",
}


def _literal(argument: Any) -> Any:
    if get_origin(argument) is Literal and len(get_args(argument)) == 1:
        return get_args(argument)[0]
    return argument


def annotation_of(annotation: Any) -> Annotation:
    """Return what an evaluated annotation means; whatever is wrong with it is in `problem`.

    >>> annotation_of(List[Int64]).data_type
    DataType(kind='List', element='Int64', dim=0, unit='')
    >>> annotation_of(int).problem
    'int is no feature type: write Int64'
    """
    if isinstance(annotation, Annotation):
        return annotation
    if isinstance(annotation, type) and issubclass(annotation, FeatureRef):
        if annotation.kind in SCALARS:
            return Annotation(annotation, DataType.parse(annotation.kind))
        if annotation is Vector:
            return Annotation(annotation, None, "Vector needs its length: Vector[Literal[64]]")
        if annotation is List:
            return Annotation(annotation, None, "List needs its elements' type: List[String]")
    return Annotation(FeatureRef, None, _no_type(annotation))


def _no_type(annotation: Any) -> str:
    origin = get_origin(annotation)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if origin in (Union, UnionType):
        return f"{name} is no feature type: any feature may be null, so write its type alone"
    for builtin, instead in _BUILTINS.items():
        if builtin in (annotation, origin):
            return f"{name} is no feature type: write {instead}"
    return _unknown_type(name)
