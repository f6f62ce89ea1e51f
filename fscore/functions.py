"""Functions for expressions, by convention as `fn`: `from fscore import functions as fn`.

None of them has the name of a Python builtin, so `from fscore.functions import *` is safe too. What
Python has a spelling for is written with it: `abs(x)`, `round(x)`, `x ** 2`, `x // 10`, `x % 7`,
`math.floor(x)`, `math.ceil(x)`, and `==`, `<`, `&`, `|`, `~`.

Every argument is a feature, an expression or a literal. A function has a value where all of its
arguments have one, unless it says otherwise; what has no answer, such as the logarithm of a
negative, is NULL.

    >>> from fscore import request
    >>> from fscore import functions as fn
    >>> fn.bucket(request["amount"], [10, 100, 1000])
    Expression(bucket(request["amount"], 10, 100, 1000))
    >>> fn.clip(fn.log1p(request["amount"]), 0, 10)
    Expression(clip(log1p(request["amount"]), 0, 10))
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TypeAlias

from fscore.model.expression import Expression, Operand, call

__all__ = [
    "Value",
    "bucket",
    "clip",
    "coalesce",
    "contains",
    "cosine",
    "day_of_week",
    "dot",
    "element",
    "exp",
    "greatest",
    "hour_of_day",
    "is_in",
    "is_null",
    "least",
    "length",
    "list_max",
    "list_mean",
    "list_min",
    "list_sum",
    "log",
    "log1p",
    "sqrt",
    "to_float64",
    "to_int64",
    "to_timestamp",
    "where",
]

Value: TypeAlias = Operand | bool | int | float | str | dt.datetime | dt.timedelta | None
"""What may be part of an expression: features, expressions, literals. A timedelta is an Int64."""


def where(condition: Value, then: Value, otherwise: Value) -> Expression:
    """`then` where the condition is true, else `otherwise`; both of one type, or None.

    Only the condition and the branch it takes need a value.
    """
    return call("where", condition, then, otherwise)


def coalesce(*values: Value) -> Expression:
    """The first that has a value: `coalesce(Profile.age, 0)`. All are of one type.

    What is INVALID or UNAVAILABLE is not missing, and ends the search.
    """
    return call("coalesce", *values)


def is_null(value: Value) -> Expression:
    """Whether there is no value: NULL, NOT_FOUND or EXPIRED, or nothing that was computed.

    What is INVALID or UNAVAILABLE stays so.
    """
    return call("is_null", value)


def is_in(value: Value, literals: Iterable[Value]) -> Expression:
    """Whether `value` is one of the literals."""
    return call("is_in", value, *literals)


def bucket(value: Value, boundaries: Iterable[Value]) -> Expression:
    """How many of the ascending boundaries are not above `value`: 0 below the first. An Int64.

    `numpy.digitize(value, boundaries)`, but NULL for NaN.
    """
    return call("bucket", value, *boundaries)


def least(*values: Value) -> Expression:
    """The smallest of numbers, or of timestamps. NaN where one is NaN."""
    return call("least", *values)


def greatest(*values: Value) -> Expression:
    """The largest of numbers, or of timestamps. NaN where one is NaN."""
    return call("greatest", *values)


def clip(value: Value, low: Value, high: Value) -> Expression:
    """`least(greatest(value, low), high)`."""
    return call("clip", value, low, high)


def sqrt(value: Value) -> Expression:
    """The square root, a Float64; NULL of a negative."""
    return call("sqrt", value)


def exp(value: Value) -> Expression:
    """e to the power of `value`, a Float64."""
    return call("exp", value)


def log(value: Value) -> Expression:
    """The natural logarithm, a Float64; NULL of 0 and of a negative."""
    return call("log", value)


def log1p(value: Value) -> Expression:
    """The natural logarithm of 1 + `value`, a Float64, exact near 0; NULL from -1 downwards."""
    return call("log1p", value)


def to_int64(value: Value) -> Expression:
    """A number without its fraction, a Bool as 0 or 1, a Timestamp as epoch milliseconds."""
    return call("to_int64", value)


def to_float64(value: Value) -> Expression:
    """A number, a Bool as 0 or 1, or a Timestamp as epoch milliseconds, as a Float64."""
    return call("to_float64", value)


def to_timestamp(value: Value) -> Expression:
    """An Int64 of epoch milliseconds as a Timestamp."""
    return call("to_timestamp", value)


def hour_of_day(moment: Value) -> Expression:
    """The hour of a Timestamp in UTC, 0 to 23, an Int64.

    Elsewhere: `hour_of_day(moment + timedelta(hours=2))`.
    """
    return call("hour_of_day", moment)


def day_of_week(moment: Value) -> Expression:
    """The day of a Timestamp in UTC, 0 for Monday to 6 for Sunday, an Int64."""
    return call("day_of_week", moment)


def length(value: Value) -> Expression:
    """How many characters a String has, bytes Bytes, or elements a list or a vector. An Int64."""
    return call("length", value)


def element(values: Value, index: Value) -> Expression:
    """The element of a list at an index from 0, or from -1 backwards; NULL beyond its ends."""
    return call("element", values, index)


def contains(values: Value, value: Value) -> Expression:
    """Whether a list has `value` among its elements."""
    return call("contains", values, value)


def list_sum(values: Value) -> Expression:
    """The sum of a list's numbers, of their type; 0 of an empty list."""
    return call("list_sum", values)


def list_mean(values: Value) -> Expression:
    """The mean of a list's numbers, a Float64; NULL of an empty list."""
    return call("list_mean", values)


def list_min(values: Value) -> Expression:
    """The smallest of a list's numbers or timestamps; NULL of an empty list."""
    return call("list_min", values)


def list_max(values: Value) -> Expression:
    """The largest of a list's numbers or timestamps; NULL of an empty list."""
    return call("list_max", values)


def dot(left: Value, right: Value) -> Expression:
    """The dot product of two vectors of one length, a Float64."""
    return call("dot", left, right)


def cosine(left: Value, right: Value) -> Expression:
    """The cosine of the angle between two vectors, a Float64; NULL where one is all zeros."""
    return call("cosine", left, right)
