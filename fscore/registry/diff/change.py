"""One change of the definitions, and what all comparisons share."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SIGNS = {"added": "+", "removed": "-", "changed": "~"}


@dataclass(frozen=True, slots=True)
class Change:
    """One difference.

    `kind` is `added`, `removed` or `changed`; `what` is `entity`, `view`, `feature` or `service`;
    `path` names it (`user_activity.age`); `aspect` is what of it changed (empty for additions and
    removals); `before` and `after` are text; `reason` says what follows from it, and always why
    where `safe` is False.
    """

    kind: str
    what: str
    path: str
    aspect: str = ""
    before: str = ""
    after: str = ""
    safe: bool = True
    reason: str = ""

    def __str__(self) -> str:
        """Return one line, as a diff has it; unsafe ones begin with `!`."""
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
    """Return `1 feature`, `2 features`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def plain_changes(
    what: str, path: str, old: Any, new: Any, aspects: Sequence[str]
) -> Iterator[Change]:
    """Compare what matters to people only."""
    for aspect in aspects:
        before, after = getattr(old, aspect), getattr(new, aspect)
        if before != after:
            yield Change("changed", what, path, aspect, as_text(before), as_text(after))


def names_of(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the old names in their order, then those that are new."""
    return [*old, *(name for name in new if name not in old)]


def as_text(value: Any) -> str:
    """Return a value as messages show it: JSON, and `none` where there is none."""
    return "none" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
