"""On-request features over columns at hand: training data, by the same evaluator as serving."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fscore.definitions.markers import FeatureRef, annotation_of
from fscore.definitions.views.declaring import DeclaredFeature, declaration_of
from fscore.errors import InvalidDefinition, InvalidValue
from fscore.interop.columns import Column, by_name, column
from fscore.model.data_type import DataType, epoch_ms
from fscore.model.expression import Expression, Operand, operand

__all__ = ["Evaluation", "evaluate"]


class Evaluation(NamedTuple):
    """The values of an expression, and what became of each.

    `values` is an array as `FeatureTable.column` gives it: int64, float64, bool, datetime64[ms], or
    objects for strings; where there is no value it has 0, NaN, False, NaT or None. `statuses` are
    the codes of `fscore.Status`, uint8 of the same length.
    """

    values: npt.NDArray[Any]
    statuses: npt.NDArray[np.uint8]


def evaluate(
    expression: Any,
    columns: Any,
    *,
    request: Mapping[str, Any] | None = None,
    now: Any = None,
    types: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Compute an expression over columns, as a read does over what is stored.

    `expression` is a feature on request, an expression, or an expression's JSON. `columns` has a
    column for each stored feature by `"view:feature"`, by the feature itself, or by its plain name:
    a mapping, an Arrow table or a data frame. `request` has each request input, and `now` the
    moment each row is computed for (epoch milliseconds, or datetimes): a column, or one value for
    all rows.

    A column is a list, a NumPy array (masked too), an Arrow column or a Series; all are of one
    length, the number of rows. None and what is masked or null is NULL; NaN is a value, NaT is
    NULL. A column has the type of its feature, where the expression was written with features, or
    that `types` gives for its name; else the type that its values show. The values of a feature on
    request are of its declared type, and its default stands in for those that are missing.

    Raises InvalidDefinition where the expression does not fit these types, and InvalidValue where a
    column is missing, or has other values than its type or another length.

    >>> from fscore import evaluate, request
    >>> evaluate(request["amount"] / 2, {}, request={"amount": [3, None]})
    Evaluation(values=array([1.5, nan]), statuses=array([0, 1], dtype=uint8))
    """
    whole, known, feature = _parts_of(expression)
    given = by_name(columns)
    brought = {} if request is None else request
    if now is None and whole.uses_now():
        raise InvalidValue(
            "the expression uses request.now: give now=…, the moment that each row is computed for"
        )
    known |= {name: _spelling(kind) for name, kind in (types or {}).items()}
    features = {name: column(_feature(name, given)) for name in whole.features()}
    inputs = {name: column(_input(name, brought)) for name in whole.request_fields()}
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
        [(each.values, each.nulls) for each in features.values()],
        [(each.values, each.nulls) for each in inputs.values()],
        moments,
    )
    return Evaluation(values, statuses)


def _parts_of(
    expression: Any,
) -> tuple[Expression, dict[str, str], DeclaredFeature | None]:
    """The expression, the types that are known, and the feature on request that it computes."""
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


def _feature(name: str, columns: dict[str, Any]) -> Any:
    plain = name.partition(":")[2]
    for known in (name, plain):
        if known in columns:
            return columns[known]
    raise InvalidValue(
        f"there is no column for feature {name}: give one by the name {name!r} or {plain!r}; "
        f"there are {', '.join(map(str, columns)) or 'none'}",
        feature=name,
    )


def _input(name: str, request: Mapping[str, Any]) -> Any:
    if name in request:
        return request[name]
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


def _moments(now: Any) -> npt.NDArray[np.int64] | int:
    if now is None:
        return 0
    if isinstance(now, dt.datetime):
        return epoch_ms(now)
    if isinstance(now, int) and not isinstance(now, bool):
        return now
    moments = column(now)
    values = moments.values
    if isinstance(values, list):
        kind = moments.shown_kind()
        if kind == "Timestamp" and None not in values:
            values = np.array([epoch_ms(value) for value in values], dtype=np.int64)
        elif kind == "Int64" and None not in values:
            values = np.array(values, dtype=np.int64)
    fits = isinstance(values, np.ndarray) and values.dtype == np.int64
    if not fits or (moments.nulls is not None and moments.nulls.any()):
        raise InvalidValue("now is epoch milliseconds or datetimes, none of them null")
    return np.ascontiguousarray(values)
