"""The types that annotate features, and the references to features that the annotations become.

`fscore.types` exports them and has the table of all types.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from types import UnionType
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, Self, Union, get_args, get_origin

from fscore.model.data_type import FIXED_TYPES, MAX_DIM, SCALARS, DataType, unknown_type
from fscore.model.expression import Expression, Operand, ViewClass, feature
from fscore.model.status import Status

if TYPE_CHECKING:
    from typing_extensions import TypeVar

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


@dataclass(frozen=True, slots=True)
class Annotation:
    """The meaning of a feature's annotation.

    `marker` is the class of the feature's reference and `data_type` its type. If the annotation is
    not valid, `data_type` is None and `problem` says why.
    """

    marker: type[FeatureRef]
    data_type: DataType | None
    problem: str = ""


class FeatureRef(Operand):
    """A reference to a feature of a view: the value of `UserActivity.platform`.

    It is the base class of the types, so a feature annotated `String` is a `String`. `view` is the
    view's class, `name` the feature's name, `data_type` its type, and `output` its name in a
    service. Python's operators, `==` included, combine references into expressions of on-request
    features: see `Expression`.
    """

    kind: ClassVar[str] = ""

    __slots__ = ("data_type", "name", "output", "view")

    def __init__(
        self, view: ViewClass, name: str, data_type: DataType, output: str | None = None
    ) -> None:
        self.view = view
        self.name = name
        self.data_type = data_type
        self.output = name if output is None else output

    def alias(self, name: str) -> Self:
        """Return a reference to the same feature, with another name in the service's output."""
        return type(self)(self.view, self.name, self.data_type, name)

    def _expression(self) -> Expression:
        declared = self.view.__fscore_view__
        view = self.view.__name__ if declared is None else declared.name
        return feature(f"{view}:{self.name}", str(self.data_type), self.view)

    def __repr__(self) -> str:
        """Return the class, the feature and, if there is one, the alias."""
        alias = "" if self.output == self.name else f".alias({self.output!r})"
        return f"{self.view.__name__}.{self.name}{alias}"


class Int64(FeatureRef):
    """A signed 64-bit integer."""

    kind = "Int64"
    __slots__ = ()


class Float32(FeatureRef):
    """A 32-bit float. NaN and the infinities are values."""

    kind = "Float32"
    __slots__ = ()


class Float64(FeatureRef):
    """A 64-bit float. NaN and the infinities are values."""

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
    """A point in time, in UTC.

    Results hold it as epoch milliseconds. It is stored in milliseconds, or in seconds if it is
    declared `Timestamp[Literal["s"]]`.
    """

    kind = "Timestamp"
    __slots__ = ()

    def __class_getitem__(cls, unit: Any) -> Annotation:
        """Choose the stored unit, `"ms"` or `"s"`; type checkers need `Literal["s"]`."""
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
        """Choose the type of the elements, a scalar."""
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
    """A fixed number of Float32: `Vector[64]`; type checkers need `Vector[Literal[64]]`."""

    kind = "Vector"
    __slots__ = ()

    def __class_getitem__(cls, dim: Any) -> Annotation:
        """Choose the number of elements, from 1 to 65,536."""
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
    """Return the meaning of an evaluated annotation; `problem` says what is wrong with it.

    >>> annotation_of(List[Int64]).data_type
    DataType(kind='List', element='Int64', dim=0, unit='')
    >>> annotation_of(int).problem
    'int is not a feature type: write Int64'
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
        return f"{name} is not a feature type: any feature may be null, so write its type alone"
    for builtin, instead in _BUILTINS.items():
        if builtin in (annotation, origin):
            return f"{name} is not a feature type: write {instead}"
    return unknown_type(name)
