"""A cache of values that are made from the definitions and kept until these change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """A map of bounded weight that drops the least recently used entries first.

    It drops everything when the registry changes. A store that was emptied and filled again may
    repeat a revision number, so registries are compared by identity.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._weight = 0
        self._registry: object = None
        self._entries: dict[Hashable, tuple[V, int]] = {}

    def get(self, key: Hashable, registry: object) -> V | None:
        """Return the value made under this registry, or None if there is none."""
        if registry is not self._registry:
            return None
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        # Dicts keep insertion order, so the first entry is always the least recently used.
        self._entries[key] = entry
        return entry[0]

    def put(self, key: Hashable, registry: object, value: V, weight: int = 1) -> None:
        """Keep a value made under this registry, unless it is heavier than the whole cache."""
        if registry is not self._registry:
            self._entries.clear()
            self._registry = registry
            self._weight = 0
        if weight > self._capacity:
            return
        replaced = self._entries.pop(key, None)
        self._weight += weight - (replaced[1] if replaced else 0)
        self._entries[key] = value, weight
        while self._weight > self._capacity:
            _, dropped = self._entries.pop(next(iter(self._entries)))
            self._weight -= dropped
