"""Mappings, which compute the features of a view from the rows of its source.

Write them in `Feature`, as in `platform: String = Feature(latest("platform"))`. A mapping is data:
the registry stores it as JSON, and the loader computes it for each entity. `where` selects the rows
that count: `{"event": "purchase"}` takes the rows whose column `event` is `purchase`, and a list
takes several values. None stands for null and for an empty cell. Functions of a column ignore rows
in which the column is null. An invalid argument raises nothing here; `Registry` reports it with
everything else that is wrong.

    >>> from fscore import count, latest
    >>> latest("platform").to_json()
    {'op': 'latest', 'column': 'platform', 'where': {}}
    >>> count(where={"event": "purchase"}).to_json()
    {'op': 'count', 'column': None, 'where': {'event': ['purchase']}}
"""

from __future__ import annotations

from typing import Any

from fscore.model.mapping import FeatureMapping, Where, checked_where

__all__ = [
    "count",
    "distinct",
    "ever",
    "first",
    "largest",
    "latest",
    "smallest",
    "total",
]


def _mapping(op: str, column: Any, where: Any) -> FeatureMapping:
    conditions, mistakes = checked_where(where)
    return FeatureMapping(op, column, conditions, mistakes)


# A type checker must accept them after any feature's annotation, so these return Any.


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


def count(*, where: Where | None = None) -> Any:
    """Count the rows that `where` selects, or all rows; fills features of a number type."""
    return _mapping("count", None, where)


def distinct(column: str, *, where: Where | None = None) -> Any:
    """Count the different values of the column; fills features of a number type."""
    return _mapping("distinct", column, where)


def total(column: str, *, where: Where | None = None) -> Any:
    """Add up the column, read as the feature's type, a number; 0 if no row matches."""
    return _mapping("total", column, where)


def smallest(column: str, *, where: Where | None = None) -> Any:
    """Find the smallest value of the column, read as the feature's type.

    The type is a number, `Timestamp` or `String`. If no row matches, the feature is NULL.
    """
    return _mapping("smallest", column, where)


def largest(column: str, *, where: Where | None = None) -> Any:
    """Find the largest value of the column, read as the feature's type.

    The type is a number, `Timestamp` or `String`. If no row matches, the feature is NULL.
    """
    return _mapping("largest", column, where)


def ever(*, where: Where | None = None) -> Any:
    """Tell whether `where` selects any row; fills the features of a `FlagView`."""
    return _mapping("ever", None, where)
