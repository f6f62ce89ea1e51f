"""Mappings: how a feature follows from the events of a source, as people write it.

`latest("platform")` and its kin make data (`FeatureMapping`): the loader executes it, and the
registry stores it as JSON.

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


# These return Any, so that a type checker accepts them behind any feature's annotation.


def latest(column: str, *, where: Where | None = None) -> Any:
    """The column's value in the newest row by event time; of equal times the later row wins."""
    return _mapping("latest", column, where)


def first(column: str, *, where: Where | None = None) -> Any:
    """The column's value in the oldest row by event time; of equal times the earlier row wins."""
    return _mapping("first", column, where)


def count(*, where: Where | None = None) -> Any:
    """How many rows there are, of those that `where` selects."""
    return _mapping("count", None, where)


def distinct(column: str, *, where: Where | None = None) -> Any:
    """How many different values the column has."""
    return _mapping("distinct", column, where)


def total(column: str, *, where: Where | None = None) -> Any:
    """The sum of the column."""
    return _mapping("total", column, where)


def smallest(column: str, *, where: Where | None = None) -> Any:
    """The smallest value of the column."""
    return _mapping("smallest", column, where)


def largest(column: str, *, where: Where | None = None) -> Any:
    """The largest value of the column."""
    return _mapping("largest", column, where)


def ever(*, where: Where | None = None) -> Any:
    """Whether there ever was a row, of those that `where` selects; for the features of flags."""
    return _mapping("ever", None, where)
