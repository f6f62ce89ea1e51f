"""What is made from the definitions once and kept until they change."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, TypeVar

V = TypeVar("V")


class Cache(Generic[V]):
    """A map of bounded weight that forgets the least recently used first.

    It forgets everything when the registry changes. Registries are compared by identity: a store
    that was emptied and filled again may come back with a revision number that was used before.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._weight = 0
        self._registry: object = None
        self._entries: dict[Hashable, tuple[V, int]] = {}

    def get(self, key: Hashable, registry: object) -> V | None:
        """The entry made under this registry, if there is one."""
        if registry is not self._registry:
            return None
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        # Dicts keep insertion order: the first is always the one not used for longest.
        self._entries[key] = entry
        return entry[0]

    def put(self, key: Hashable, registry: object, value: V, weight: int = 1) -> None:
        """Keeps a value made under this registry; one heavier than the whole cache is not kept."""
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
