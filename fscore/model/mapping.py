"""Mappings as data: how a feature is computed from the source's rows of one entity.

A mapping is `{"op": str, "column": str | null, "where": {column: [text | null, ...]}}`.

- A row matches if, for every column of `where`, the text of its cell is in the list. Text stands
  for itself, integers are in decimal, floats in their shortest form, booleans are `true` and
  `false`. An empty CSV cell, a null and an absent field are null.
- Every operation that has a column ignores rows in which the column is null.
- The ops are those of `fscore.model.aggregates.MAPPINGS`, whose names messages use.

| op | column | value | if no row matches |
|---|---|---|---|
| `latest` | yes | cell of the row with the newest event time; of equal times the later row | null |
| `first` | yes | cell of the row with the oldest event time; of equal times the first row | null |
| `count` | null | number of rows | 0 |
| `distinct` | yes | number of different cell texts | 0 |
| `total` | yes | sum of the cells, read as the feature's type | 0 |
| `mean` | yes | sum of the cells, read as Float64, divided by their number | null |
| `smallest`, `largest` | yes | the smallest or largest cell, read as the feature's type | null |
| `ever` | null | whether there is a row; fills flags | false |

Nothing is written for an entity without any row in the source. The event time of a written row is
the newest event time among the entity's rows.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from fscore.model.aggregates import MAPPINGS, name_of
from fscore.model.data_type import DataType

WhereValue = str | int | float | bool | None
Where = Mapping[str, WhereValue | Collection[WhereValue]]
Conditions = Mapping[str, tuple[str | None, ...]]
"""Canonical form of `where`: for each column, sorted by name, the texts that match."""

_NUMBERS = frozenset({"Int64", "Float32", "Float64"})
_ORDERED = _NUMBERS | {"Timestamp", "String"}
_RESULTS: dict[str, frozenset[str] | None] = {
    "latest": None,
    "first": None,
    "count": _NUMBERS,
    "distinct": _NUMBERS,
    "total": _NUMBERS,
    "mean": frozenset({"Float64"}),
    "smallest": _ORDERED,
    "largest": _ORDERED,
    "ever": frozenset({"Bool"}),
}
"""The kinds of features that each operation can fill; None means any."""

_OF_ROWS = ("count", "ever")


@dataclass(frozen=True, slots=True)
class FeatureMapping:
    """How one feature is computed from the source's rows of an entity.

    The docstring of this module describes the JSON form and its meaning.
    """

    op: str
    column: str | None
    where: Conditions = field(default_factory=dict)
    mistakes: tuple[str, ...] = field(default=(), compare=False, repr=False)

    @property
    def name(self) -> str:
        """The function that people write for `op`."""
        return name_of(self.op, MAPPINGS)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {"op": self.op, "column": self.column, "where": where_json(self.where)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the JSON data that the registry stores; `problems` returns what is wrong with it."""
        if not isinstance(data, dict) or set(data) != {"op", "column", "where"}:
            return cls("", None, {}, (f"a mapping has op, column and where, not {data!r}",))
        where, mistakes = checked_where(data["where"])
        return cls(data["op"], data["column"], where, mistakes)

    def problems(self, data_type: DataType) -> list[str]:
        """Return what is wrong with this mapping for a feature of `data_type`."""
        found = list(self.mistakes)
        if not isinstance(self.op, str) or self.op not in _RESULTS:
            if not found:
                found.append(f"{self.op!r} is not an operation: use one of {', '.join(_RESULTS)}")
            return found
        if self.op in _OF_ROWS:
            if self.column is not None:
                found.append(f"{self.name}() counts rows and has no column, not {self.column!r}")
        elif not isinstance(self.column, str) or not self.column:
            found.append(f"{self.name}() needs the name of a column, not {self.column!r}")
        kinds = _RESULTS[self.op]
        if kinds is not None and data_type.kind not in kinds:
            one_of = "one of " if len(kinds) > 1 else ""
            found.append(
                f"{self.name}() cannot fill a {data_type}: the type must be {one_of}"
                f"{', '.join(sorted(kinds))}"
            )
        return found


def where_json(where: Conditions) -> dict[str, list[str | None]]:
    """Return conditions as the JSON data that the registry stores."""
    return {column: list(values) for column, values in where.items()}


def checked_where(where: Any) -> tuple[Conditions, tuple[str, ...]]:
    """Return the canonical form of `where`, and what is wrong with it."""
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
    """Return the text by which cells are compared; None for null and for an empty cell.

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
