"""Functions for the expressions of features that are computed on request.

Import them as `fn`: `from fscore import functions as fn`. None of them has the name of a Python
builtin, so `from fscore.functions import *` is safe too. Use Python's own spelling for everything
that it can express: `abs(x)`, `round(x)`, `x ** 2`, `x // 10`, `x % 7`, `math.floor(x)`,
`math.ceil(x)`, and `==`, `<`, `&`, `|`, `~`.

Each argument is a feature, an expression or a literal, and each function returns an `Expression`.
Unless a function says otherwise, its result has a value only if all its arguments have one. A
result that mathematics does not define, such as the logarithm of a negative number, is NULL.

Every function raises TypeError if an argument is none of these. It raises ValueError if an integer
does not fit into 64 bits, if a float is not finite, or if the expression nests too deep. `Registry`
reports arguments of the wrong type.

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
"""A feature, an expression or a literal. A timedelta is an Int64 of milliseconds."""


def where(condition: Value, then: Value, otherwise: Value) -> Expression:
    """Choose `then` if the condition is true, else `otherwise`.

    The branches have the same type, or one of them is None. Only the condition and the chosen
    branch need a value.
    """
    return call("where", condition, then, otherwise)


def coalesce(*values: Value) -> Expression:
    """Choose the first argument that has a value: `coalesce(Profile.age, 0)`.

    All arguments have the same type. INVALID or UNAVAILABLE does not count as missing: if the
    search meets one, it is the result.
    """
    return call("coalesce", *values)


def is_null(value: Value) -> Expression:
    """Test whether the value is missing: NULL, NOT_FOUND or EXPIRED.

    If it is INVALID or UNAVAILABLE, so is the result.
    """
    return call("is_null", value)


def is_in(value: Value, literals: Iterable[Value]) -> Expression:
    """Test whether `value` equals one of the literals."""
    return call("is_in", value, *literals)


def bucket(value: Value, boundaries: Iterable[Value]) -> Expression:
    """Count the boundaries that are at or below `value`: the number of its bucket, an Int64.

    `boundaries` ascend. A value below the first is in bucket 0. This is
    `numpy.digitize(value, boundaries)`, except that NaN gives NULL.
    """
    return call("bucket", value, *boundaries)


def least(*values: Value) -> Expression:
    """Choose the smallest of numbers or of timestamps; NaN if one of them is NaN."""
    return call("least", *values)


def greatest(*values: Value) -> Expression:
    """Choose the largest of numbers or of timestamps; NaN if one of them is NaN."""
    return call("greatest", *values)


def clip(value: Value, low: Value, high: Value) -> Expression:
    """Limit a value to the range from `low` to `high`: `least(greatest(value, low), high)`."""
    return call("clip", value, low, high)


def sqrt(value: Value) -> Expression:
    """Compute the square root, a Float64; NULL for a negative number."""
    return call("sqrt", value)


def exp(value: Value) -> Expression:
    """Compute e to the power of `value`, a Float64."""
    return call("exp", value)


def log(value: Value) -> Expression:
    """Compute the natural logarithm, a Float64; NULL for 0 and for a negative number."""
    return call("log", value)


def log1p(value: Value) -> Expression:
    """Compute the natural logarithm of 1 + `value`, a Float64, precise near 0; NULL up to -1."""
    return call("log1p", value)


def to_int64(value: Value) -> Expression:
    """Convert to an Int64.

    A number loses its fraction, a Bool becomes 0 or 1, a Timestamp epoch milliseconds.
    """
    return call("to_int64", value)


def to_float64(value: Value) -> Expression:
    """Convert to a Float64: a number, a Bool as 0 or 1, or a Timestamp as epoch milliseconds."""
    return call("to_float64", value)


def to_timestamp(value: Value) -> Expression:
    """Convert an Int64 of epoch milliseconds to a Timestamp."""
    return call("to_timestamp", value)


def hour_of_day(timestamp: Value) -> Expression:
    """Return the hour of a Timestamp in UTC, an Int64 of 0 to 23.

    For another zone add its offset: `hour_of_day(timestamp + timedelta(hours=2))`.
    """
    return call("hour_of_day", timestamp)


def day_of_week(timestamp: Value) -> Expression:
    """Return the weekday of a Timestamp in UTC, an Int64 of 0 (Monday) to 6 (Sunday)."""
    return call("day_of_week", timestamp)


def length(value: Value) -> Expression:
    """Return the length, an Int64.

    It counts the characters of a String, the bytes of Bytes, or the elements of a list or vector.
    """
    return call("length", value)


def element(values: Value, index: Value) -> Expression:
    """Return the element of a list at an index; NULL beyond its ends.

    The first is at 0 and the last at -1.
    """
    return call("element", values, index)


def contains(values: Value, value: Value) -> Expression:
    """Test whether a list has `value` among its elements."""
    return call("contains", values, value)


def list_sum(values: Value) -> Expression:
    """Add up a list's numbers; the sum has their type, and is 0 for an empty list."""
    return call("list_sum", values)


def list_mean(values: Value) -> Expression:
    """Compute the mean of a list's numbers, a Float64; NULL for an empty list."""
    return call("list_mean", values)


def list_min(values: Value) -> Expression:
    """Choose the smallest of a list's numbers or timestamps; NULL for an empty list."""
    return call("list_min", values)


def list_max(values: Value) -> Expression:
    """Choose the largest of a list's numbers or timestamps; NULL for an empty list."""
    return call("list_max", values)


def dot(left: Value, right: Value) -> Expression:
    """Compute the dot product of two vectors of the same length, a Float64."""
    return call("dot", left, right)


def cosine(left: Value, right: Value) -> Expression:
    """Compute the cosine of the angle between two vectors of the same length, a Float64.

    NULL if all elements of one are 0.
    """
    return call("cosine", left, right)
