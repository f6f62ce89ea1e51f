"""Mappings, which compute the features of a view from the rows of its source.

Write them in `Feature`, as in `platform: String = Feature(latest("platform"))`. A mapping is data:
the registry stores it as JSON, and the loader computes it for each entity. `where` selects the rows
that count: `{"event": "purchase"}` takes the rows whose column `event` is `purchase`, and a list
takes several values. None stands for null and for an empty cell. Functions of a column ignore rows
in which the column is null. An invalid argument raises nothing here; `Registry` reports it with
everything else that is wrong.

`sum`, `min` and `max` have the names of Python builtins, so `from fscore import *` leaves them out:
write `fscore.sum("amount")`.

    >>> import fscore
    >>> from fscore import count, latest
    >>> latest("platform").to_json()
    {'op': 'latest', 'column': 'platform', 'where': {}}
    >>> count(where={"event": "purchase"}).to_json()
    {'op': 'count', 'column': None, 'where': {'event': ['purchase']}}
    >>> fscore.sum("amount").name
    'sum'
"""

from __future__ import annotations

from typing import Any

from fscore.model.aggregates import MAPPINGS
from fscore.model.mapping import FeatureMapping, Where, checked_where

__all__ = [
    "count",
    "distinct",
    "ever",
    "first",
    "latest",
    "max",
    "mean",
    "min",
    "sum",
]


def _mapping(name: str, column: Any, where: Any) -> FeatureMapping:
    conditions, mistakes = checked_where(where)
    return FeatureMapping(MAPPINGS[name], column, conditions, mistakes)


# A type checker must accept them after any feature's annotation, so these return Any.


def count(*, where: Where | None = None) -> Any:
    """Count the rows that `where` selects, or all rows; fills features of a number type."""
    return _mapping("count", None, where)


def sum(column: str, *, where: Where | None = None) -> Any:
    """Add up the column, read as the feature's type, a number; 0 if no row matches."""
    return _mapping("sum", column, where)


def mean(column: str, *, where: Where | None = None) -> Any:
    """Compute the mean of the column, read as Float64; fills features of that type.

    It is the exact mean, rounded once, whatever the order of the rows. If no row matches, the
    feature is NULL.
    """
    return _mapping("mean", column, where)


def min(column: str, *, where: Where | None = None) -> Any:
    """Find the smallest value of the column, read as the feature's type.

    The type is a number, `Timestamp` or `String`. If no row matches, the feature is NULL.
    """
    return _mapping("min", column, where)


def max(column: str, *, where: Where | None = None) -> Any:
    """Find the largest value of the column, read as the feature's type.

    The type is a number, `Timestamp` or `String`. If no row matches, the feature is NULL.
    """
    return _mapping("max", column, where)


def distinct(column: str, *, where: Where | None = None) -> Any:
    """Count the different values of the column; fills features of a number type."""
    return _mapping("distinct", column, where)


def latest(column: str, *, where: Where | None = None) -> Any:
    """Take the column's value from the row with the newest event time.

    Among rows of the same time, the later row counts. If no row matches, the feature is NULL.
    """
    return _mapping("latest", column, where)


def first(column: str, *, where: Where | None = None) -> Any:
    """Take the column's value from the row with the oldest event time.

    Among rows of the same time, the earlier row counts. If no row matches, the feature is NULL.
    """
    return _mapping("first", column, where)


def ever(*, where: Where | None = None) -> Any:
    """Tell whether `where` selects any row; fills the features of a `FlagView`."""
    return _mapping("ever", None, where)
