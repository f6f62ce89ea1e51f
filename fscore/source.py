"""Where a view's values come from: a source of events, and how each feature follows from them.

The mapping functions say how a feature is computed from the events of one entity. They are data:
the loader executes them, and the registry stores them as JSON. This is that form, and what it
means.

A source is `{"kind": "file", "name": str, "event_time": column, "timestamp_format": str | null,
"keys": {join key: column}}`.

- A join key that `keys` does not name stands in the column of its own name.
- `timestamp_format` says how the text of a moment is read, in the event time and in every
  `Timestamp` feature of the view: null is ISO 8601 (RFC 3339 included), `"unix"` epoch seconds,
  `"unix_ms"` epoch milliseconds, anything else a `strptime` pattern. Without a zone a moment is
  UTC. Typed columns (Parquet timestamps) need no reading.

A mapping is `{"op": str, "column": str | null, "where": {column: [text | null, ...]}}`.

- A row belongs to the mapping when, for every column of `where`, the cell's text is one of those
  listed. A cell's text: text as it is, integers in decimal, floats in their shortest form, booleans
  `true` and `false`; an empty CSV cell, a null and an absent field are null.
- Rows whose `column` is null are passed over by every operation that has a column.

| op | column | value | where nothing matches |
|---|---|---|---|
| `latest` | yes | of the row with the newest event time; of equal times the later row | null |
| `first` | yes | of the row with the oldest event time; of equal times the earlier row | null |
| `count` | null | how many rows | 0 |
| `distinct` | yes | how many different cell texts | 0 |
| `total` | yes | sum of the cells, read as the feature's type | 0 |
| `smallest`, `largest` | yes | of the cells, read as the feature's type | null |
| `ever` | null | whether there is a row; fills flags | false |

An entity without any row in the source is not written. The event time of what is written is the
newest of the entity's rows.

    >>> from fscore import count, latest
    >>> latest("platform").to_json()
    {'op': 'latest', 'column': 'platform', 'where': {}}
    >>> count(where={"event": "purchase"}).to_json()
    {'op': 'count', 'column': None, 'where': {'event': ['purchase']}}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from fscore._data_type import DataType
from fscore._declaration import name_problem

__all__ = [
    "FeatureMapping",
    "FileSource",
    "count",
    "distinct",
    "ever",
    "first",
    "largest",
    "latest",
    "smallest",
    "total",
]

WhereValue = str | int | float | bool | None
Where = Mapping[str, WhereValue | Collection[WhereValue]]
Conditions = Mapping[str, tuple[str | None, ...]]
"""What `where` means, canonically: for each column, sorted by name, the texts that match."""

_NUMBERS = frozenset({"Int64", "Float32", "Float64"})
_ORDERED = _NUMBERS | {"Timestamp", "String"}
_RESULTS: dict[str, frozenset[str] | None] = {
    "latest": None,
    "first": None,
    "count": _NUMBERS,
    "distinct": _NUMBERS,
    "total": _NUMBERS,
    "smallest": _ORDERED,
    "largest": _ORDERED,
    "ever": frozenset({"Bool"}),
}
"""Per operation the kinds of feature it can fill; None is any."""

_OF_ROWS = ("count", "ever")


@dataclass(frozen=True, slots=True)
class FeatureMapping:
    """How one feature follows from the events of an entity.

    The module's text has the JSON form and its meaning.
    """

    op: str
    column: str | None
    where: Conditions = field(default_factory=dict)
    mistakes: tuple[str, ...] = field(default=(), compare=False, repr=False)

    def to_json(self) -> dict[str, Any]:
        """Return the registry's form."""
        return {"op": self.op, "column": self.column, "where": where_json(self.where)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the registry's form; what does not fit is noted and comes back from `problems`."""
        if not isinstance(data, dict) or set(data) != {"op", "column", "where"}:
            return cls("", None, {}, (f"a mapping has op, column and where, not {data!r}",))
        where, mistakes = checked_where(data["where"])
        return cls(data["op"], data["column"], where, mistakes)

    def problems(self, data_type: DataType) -> list[str]:
        """Return what is wrong with this mapping for a feature of `data_type`."""
        found = list(self.mistakes)
        if not isinstance(self.op, str) or self.op not in _RESULTS:
            if not found:
                found.append(f"{self.op!r} is no operation: use one of {', '.join(_RESULTS)}")
            return found
        if self.op in _OF_ROWS:
            if self.column is not None:
                found.append(f"{self.op}() counts rows and has no column, not {self.column!r}")
        elif not isinstance(self.column, str) or not self.column:
            found.append(f"{self.op}() needs the name of a column, not {self.column!r}")
        kinds = _RESULTS[self.op]
        if kinds is not None and data_type.kind not in kinds:
            found.append(
                f"{self.op}() cannot fill a {data_type}: the type must be one of "
                f"{', '.join(sorted(kinds))}"
            )
        return found


def _mapping(op: str, column: Any, where: Any) -> FeatureMapping:
    conditions, mistakes = checked_where(where)
    return FeatureMapping(op, column, conditions, mistakes)


def where_json(where: Conditions) -> dict[str, list[str | None]]:
    """Return the registry's form of conditions."""
    return {column: list(values) for column, values in where.items()}


def checked_where(where: Any) -> tuple[Conditions, tuple[str, ...]]:
    """Return the conditions, and what is wrong with them."""
    if where is None:
        return {}, ()
    if not isinstance(where, Mapping):
        return {}, (
            "where must be a dict of column to value or values, like "
            f'{{"event": "purchase"}}, not {where!r}',
        )
    conditions: dict[str, tuple[str | None, ...]] = {}
    mistakes = []
    for column, wanted in where.items():
        values = list(wanted) if isinstance(wanted, (list, tuple, set, frozenset)) else [wanted]
        if not isinstance(column, str) or not column:
            mistakes.append(f"where needs names of columns, not {column!r}")
        elif not values:
            mistakes.append(f"where[{column!r}] lists no value, so no row could match")
        elif bad := [v for v in values if not isinstance(v, (str, int, float, bool, type(None)))]:
            mistakes.append(
                f"where[{column!r}] compares with text, numbers, booleans or None, not {bad[0]!r}"
            )
        else:
            texts = {cell_text(value) for value in values}
            conditions[column] = tuple(
                sorted(texts, key=lambda text: (text is not None, text or ""))
            )
    return dict(sorted(conditions.items())), tuple(mistakes)


def cell_text(value: WhereValue) -> str | None:
    """Return the text that a cell is compared by; null (also an empty cell) is None.

    >>> cell_text(True), cell_text(3), cell_text(0.5), cell_text("")
    ('true', '3', '0.5', None)
    """
    match value:
        case None | "":
            return None
        case bool():
            return "true" if value else "false"
        case _:
            return str(value)


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


@dataclass(frozen=True)
class FileSource:
    """Events in files: CSV, NDJSON or Parquet. Which files is said when loading.

    `event_time` is the column with each row's moment, `timestamp_format` how its text is read
    (None: ISO 8601; `"unix"` and `"unix_ms"`: integers; else a `strptime` pattern; no zone means
    UTC). `keys` says which column holds which join key; join keys it does not name stand in columns
    of their own name.

    >>> FileSource("clickstream", event_time="timestamp", keys={"user_id": "uid"}).keys
    {'user_id': 'uid'}
    """

    name: str
    event_time: str = field(kw_only=True)
    timestamp_format: str | None = field(default=None, kw_only=True)
    keys: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def columns_of(self, join_keys: Sequence[str]) -> dict[str, str]:
        """Return the column of each of an entity's join keys."""
        return {name: self.keys.get(name, name) for name in join_keys}

    def to_json(self) -> dict[str, Any]:
        """Return the registry's form."""
        return {
            "kind": "file",
            "name": self.name,
            "event_time": self.event_time,
            "timestamp_format": self.timestamp_format,
            "keys": dict(self.keys),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the registry's form; ValueError where it is not."""
        fields = {"kind", "name", "event_time", "timestamp_format", "keys"}
        if not isinstance(data, dict) or set(data) != fields or data["kind"] != "file":
            raise ValueError(
                f'a source has {", ".join(sorted(fields))} and is of kind "file", not {data!r}'
            )
        return cls(
            data["name"],
            event_time=data["event_time"],
            timestamp_format=data["timestamp_format"],
            keys=data["keys"],
        )

    def problems(self) -> list[str]:
        """Return what is wrong with this source, whoever reads it."""
        found = [problem] if (problem := name_problem("a source", self.name)) else []
        if not isinstance(self.event_time, str) or not self.event_time:
            found.append(f"event_time must name a column, not {self.event_time!r}")
        pattern = self.timestamp_format
        if pattern is not None and (
            not isinstance(pattern, str)
            or ("%" not in pattern and pattern not in ("unix", "unix_ms"))
        ):
            found.append(
                'timestamp_format must be a strptime pattern, "unix", "unix_ms" or None, '
                f"not {pattern!r}"
            )
        if not isinstance(self.keys, Mapping) or not all(
            isinstance(text, str) and text for pair in self.keys.items() for text in pair
        ):
            found.append(f"keys must be a dict of join key to column, not {self.keys!r}")
        return found
