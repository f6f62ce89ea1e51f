"""Entities, the things that features describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fscore.definitions.markers import Int64, String
from fscore.definitions.origin import declared_at
from fscore.model.entities import JOIN_KEY_TYPES

__all__ = ["Entity"]

# Replaces join keys that are reported already, so that the check does not also report that there
# are none.
_STAND_IN = ("id", "String")


class Entity:
    """Define a thing that features describe, identified by one or more typed join keys.

    `join_keys` maps the name of each key to `Int64` or `String`. Their order is their order in the
    Redis key, so it must not change once there is data. `description` and `tags` are for people.
    An invalid argument raises nothing here; `Registry` reports it with everything else that is
    wrong.

    >>> user = Entity("user", join_keys={"user_id": String}, description="a visitor of the shop")
    >>> user.join_keys
    (('user_id', 'String'),)
    """

    def __init__(
        self,
        name: str,
        *,
        join_keys: Mapping[str, type[Int64] | type[String]],
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = declared_at()
        self.problems: list[str] = []
        self.name = name
        self.join_keys = self._checked_keys(join_keys)
        self.description = description
        self.tags = {} if tags is None else tags

    def _checked_keys(self, join_keys: Any) -> tuple[tuple[str, str], ...]:
        if not isinstance(join_keys, Mapping):
            self.problems.append(
                f'join_keys must be a dict like {{"user_id": String}}, not {join_keys!r}'
            )
            return (_STAND_IN,)
        checked = []
        for name, marker in join_keys.items():
            kind = getattr(marker, "kind", None)
            if kind not in JOIN_KEY_TYPES:
                shown = getattr(marker, "__name__", repr(marker))
                self.problems.append(f"join key {name!r} must be Int64 or String, not {shown}")
                kind = "String"
            checked.append((name, kind))
        return tuple(checked)

    def __repr__(self) -> str:
        """Return the entity's name and its join keys."""
        keys = ", ".join(f"{name}: {kind}" for name, kind in self.join_keys)
        return f"Entity({self.name!r}, {keys})"
