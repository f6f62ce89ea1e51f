"""A change of the definitions, and the functions that all comparisons share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

ChangeKind: TypeAlias = Literal["added", "removed", "changed"]
ChangedPart: TypeAlias = Literal["entity", "view", "feature", "service"]

SIGNS: dict[ChangeKind, str] = {"added": "+", "removed": "-", "changed": "~"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two registries.

    - `kind` is `added`, `removed` or `changed`.
    - `what` is `entity`, `view`, `feature` or `service`.
    - `path` names it, such as `user_activity.age`.
    - `aspect` is the part of it that changed; it is empty for additions and removals.
    - `before` and `after` are that part as text.
    - `safe` is False if stored data or callers would not survive the change.
    - `reason` is the consequence of the change; it is never empty if `safe` is False.
    """

    kind: ChangeKind
    what: ChangedPart
    path: str
    aspect: str = ""
    before: str = ""
    after: str = ""
    safe: bool = True
    reason: str = ""

    def __str__(self) -> str:
        """Return one line, as in a diff; it begins with `!` if the change is unsafe."""
        sign = SIGNS[self.kind] if self.safe else "!"
        line = f"{sign} {self.what} {self.path}"
        if self.kind == "changed":
            line += f": {self.aspect} {self.before} -> {self.after}"
        elif self.kind == "removed" and not self.safe:
            line += ": removed"
        elif self.after:
            line += f": {self.after}"
        if self.reason:
            line += f"  ({'' if self.safe else 'unsafe: '}{self.reason})"
        return line


def counted(number: int, what: str) -> str:
    """Return a count with its noun: `1 feature`, `2 features`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def plain_changes(
    what: ChangedPart, path: str, old: Any, new: Any, aspects: Sequence[str]
) -> Iterator[Change]:
    """Yield the changes of attributes that have no effect on stored data."""
    for aspect in aspects:
        before, after = getattr(old, aspect), getattr(new, aspect)
        if before != after:
            yield Change("changed", what, path, aspect, as_text(before), as_text(after))


def names_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the old names in their order, then the names that are new."""
    return [*old, *(name for name in new if name not in old)]


def as_text(value: Any) -> str:
    """Return a value as messages show it: as JSON, and None as `none`."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
