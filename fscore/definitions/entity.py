"""Entities: what features describe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fscore.definitions.markers import Int64, String
from fscore.definitions.origin import declared_at
from fscore.model.entities import JOIN_KEY_TYPES

__all__ = ["Entity"]

# In place of keys that are reported already, so that their absence is not reported as well.
_STAND_IN = ("id", "String")


class Entity:
    """A thing that features describe, found by one or more typed join keys.

    `join_keys` maps each key's name to `Int64` or `String`; their order is the order inside the
    Redis key and never changes once there is data. Nothing raises here: what is wrong is reported
    with everything else when the definitions are collected.

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
        """Name the entity and its join keys."""
        keys = ", ".join(f"{name}: {kind}" for name, kind in self.join_keys)
        return f"Entity({self.name!r}, {keys})"
