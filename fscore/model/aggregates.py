"""The names of aggregates, and how the registry spells each operation.

Mappings and window functions share one vocabulary. Definitions are compared by their JSON, so an
operation keeps the spelling that it was first stored with. Everything that people write or read has
the name.
"""

from __future__ import annotations

from collections.abc import Mapping

MAPPINGS: Mapping[str, str] = {
    "count": "count",
    "sum": "total",
    "mean": "mean",
    "min": "smallest",
    "max": "largest",
    "distinct": "distinct",
    "latest": "latest",
    "first": "first",
    "ever": "ever",
}
"""The operation of each function of mappings."""

WINDOWS: Mapping[str, str] = {
    "count": "count",
    "sum": "sum",
    "mean": "avg",
    "min": "min",
    "max": "max",
    "distinct": "distinct",
    "last": "last",
    "last_times": "last_times",
    "time_since_last": "time_since_last",
    "session_length": "session_length",
}
"""The operation of each window function."""


def name_of(op: str, operations: Mapping[str, str]) -> str:
    """Return the name of an operation; an unknown operation is its own name.

    >>> name_of("total", MAPPINGS), name_of("avg", WINDOWS), name_of("median", MAPPINGS)
    ('sum', 'mean', 'median')
    """
    return next((name for name, stored in operations.items() if stored == op), op)
