"""Computes on-request features over columns of training data, with the evaluator of serving."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fscore.definitions.markers import FeatureRef, annotation_of
from fscore.definitions.views.declaring import DeclaredFeature, declaration_of
from fscore.errors import InvalidDefinition, InvalidValue
from fscore.interop.column import Column, as_type, is_null
from fscore.interop.columns import Frame, column, converting, frame
from fscore.model.data_type import DataType, epoch_ms
from fscore.model.expression import Expression, Operand, operand

__all__ = ["Evaluation", "evaluate"]


class Evaluation(NamedTuple):
    """The values of an expression, and the status of each.

    - `values` is an array of int64, float64, float32, bool, datetime64[ms] or objects. Missing
      values are 0, NaN, False, NaT or None.
    - `statuses` has the codes of `fscore.Status`, uint8 of the same length.
    """

    values: npt.NDArray[Any]
    statuses: npt.NDArray[np.uint8]


def evaluate(
    expression: Any,
    columns: Any,
    *,
    request: Any = None,
    now: Any = None,
    types: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Compute an expression over columns, as a read computes it over stored features.

    - `expression` is a feature on request, an expression, or an expression's JSON.
    - `columns` has a column for each stored feature: a mapping, a list of dicts, a NumPy structured
      array, a data frame or a table with Arrow's interface. A column's key is `"view:feature"`, the
      feature itself, or its plain name.
    - `request` has each request input: a column, or one value for all rows. It may be a table too.
    - `now` is the time for which each row is computed, in epoch milliseconds or as datetimes: a
      column, or one value for all rows. It is required if the expression uses `request.now`.
    - `types` has types by name, of columns and inputs whose type is not known otherwise.

    A column is a list, a NumPy array (masked too), an Arrow column or a Series. All have one
    length, the number of rows. None, NaT, NA and masked or null entries are NULL. NaN is a value,
    except in pandas, where it is NULL.

    A column has the type that `types` gives for its name; else the type of its feature, if the
    expression was written with features; else the type that its values show. The values of a
    feature on request have its declared type, and its default replaces missing values.

    Raises InvalidDefinition if the expression does not fit these types, and InvalidValue if a
    column is missing, has another length, or has values that are not of its type.

    >>> from fscore import evaluate, request
    >>> evaluate(request["amount"] / 2, {}, request={"amount": [3, None]})
    Evaluation(values=array([1.5, nan]), statuses=array([0, 1], dtype=uint8))
    """
    whole, known, feature = _parts_of(expression)
    given = _table(columns, "columns")
    brought = _NO_INPUTS if request is None else _table(request, "request inputs")
    if now is None and whole.uses_now():
        raise InvalidValue(
            "the expression uses request.now: give now=…, the time that each row is computed for"
        )
    known |= {name: _spelling(kind) for name, kind in (types or {}).items()}
    features = {name: given.value(_feature(name, given)) for name in whole.features()}
    inputs = {name: brought.value(_input(name, brought)) for name in whole.request_fields()}
    feature_types, input_types = _types(features, known), _types(inputs, known)
    moments = _moments(now)
    try:
        compiled = whole.compiled(
            feature_types,
            input_types,
            None if feature is None else str(feature.data_type),
            None if feature is None else feature.options.default,
        )
    except ValueError as error:
        raise InvalidDefinition(str(error)) from None
    lengths = [
        *(each.rows(feature_types[name]) for name, each in features.items()),
        *(each.rows(input_types[name]) for name, each in inputs.items()),
        len(moments) if isinstance(moments, np.ndarray) else None,
    ]
    values, statuses = compiled.evaluate(
        next((length for length in lengths if length is not None), 1),
        _as_types(features, feature_types),
        _as_types(inputs, input_types),
        moments,
    )
    return Evaluation(values, statuses)


def _parts_of(
    expression: Any,
) -> tuple[Expression, dict[str, str], DeclaredFeature | None]:
    """Return the expression, the types that are known, and the feature on request, if it is one."""
    if isinstance(expression, FeatureRef):
        declared = declaration_of(expression.view)
        feature = None if declared is None else declared.features.get(expression.name)
        if declared is not None and feature is not None:
            own = feature.options.follows_from
            if isinstance(own, Expression):
                return own, {**own.known_types(), **dict(declared.settings["request"])}, feature
    if not isinstance(expression, Operand):
        try:
            expression = Expression.from_json(expression)
        except ValueError as error:
            raise InvalidDefinition(str(error)) from None
    whole = operand(expression)
    return whole, whole.known_types(), None


_NOTHING: dict[str, Any] = {}
_NO_INPUTS = Frame("request inputs", "row", (), _NOTHING.__getitem__, is_strict=True)


def _table(columns: Any, subject: str) -> Frame:
    table = frame(columns, subject)
    if table is None:
        raise InvalidValue(
            f"{subject} must be a mapping, a list of dicts, a data frame or a table with Arrow's "
            f"interface, not {type(columns).__name__}"
        )
    return table


def _feature(name: str, columns: Frame) -> str:
    """Return the name of a feature's column."""
    plain = name.partition(":")[2]
    for known in (name, plain):
        if known in columns:
            return known
    raise InvalidValue(
        f"there is no column for feature {name}: give one by the name {name!r} or {plain!r}; "
        f"there are {', '.join(columns.names) or 'none'}",
        feature=name,
    )


def _input(name: str, request: Frame) -> str:
    """Return the name of an input's column, which is its own."""
    if name in request:
        return name
    raise InvalidValue(
        f"there is no request input {name}: give it as request={{{name!r}: …}}", feature=name
    )


def _spelling(kind: Any) -> str:
    if isinstance(kind, (str, DataType)):
        return str(kind)
    annotation = annotation_of(kind)
    if annotation.data_type is None:
        raise InvalidDefinition(annotation.problem)
    return str(annotation.data_type)


def _types(columns: Mapping[str, Column], known: Mapping[str, str]) -> dict[str, str]:
    types = {}
    for name, each in columns.items():
        kind = known[name] if name in known else each.shown_kind()
        if kind is None:
            raise InvalidValue(
                f"the values of {name} show no type: give it as types={{{name!r}: …}}", feature=name
            )
        types[name] = kind
    return types


def _as_types(columns: Mapping[str, Column], types: Mapping[str, str]) -> list[tuple[Any, Any]]:
    """Return values and nulls of the columns in the forms that these types are read from."""
    typed = [as_type(each, types[name]) for name, each in columns.items()]
    return [(each.values, each.nulls) for each in typed]


def _moments(now: Any) -> npt.NDArray[np.int64] | int:
    """Return the times in epoch milliseconds; 0 if there are none."""
    if now is None:
        return 0
    with converting("now"):
        moments = column(now)
    values = moments.values
    if moments.is_one_value:
        return _moment(values)
    if isinstance(values, list) and moments.nulls is None:
        return np.array([_moment(value) for value in values], dtype=np.int64)
    fits = isinstance(values, np.ndarray) and values.dtype == np.int64
    if not fits or (moments.nulls is not None and moments.nulls.any()):
        raise _not_a_time()
    return np.ascontiguousarray(values)


def _moment(value: Any) -> int:
    if not is_null(value):
        if isinstance(value, dt.datetime):
            return epoch_ms(value)
        if isinstance(value, np.datetime64):
            return int(value.astype("M8[ms]").astype(np.int64))
        # A duration of NumPy is an integer to Python.
        is_number = isinstance(value, int | np.integer)
        if is_number and not isinstance(value, bool | np.timedelta64) and -_END <= value < _END:
            return int(value)
    raise _not_a_time()


_END = 1 << 63


def _not_a_time() -> InvalidValue:
    return InvalidValue("now is epoch milliseconds or datetimes, none of them null")
