"""Which keys may still have an expiry that earlier definitions gave them.

Redis drops a key when its definitions of that time said so, whatever the definitions say by now. So
the next row takes such an expiry back, or replaces it. To do so costs a command for each row, a
quarter of what Redis spends on it; so the registry remembers for which keys, and until when, it is
needed. After that every key with such an expiry is gone, or was written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from fscore.model.views import FeatureViewDefinition, SeriesViewDefinition, ViewDefinition
from fscore.registry.registry import Registry

__all__ = [
    "Expiries",
    "Outdated",
    "from_json",
    "outdated",
    "outdated_of",
    "to_json",
]

Expiries: TypeAlias = Mapping[str, int]
"""By kind of keys, until when (epoch ms) some may have an expiry that earlier definitions set.

The kinds are `hash:<entity>`, `packed:<view>` and `series:<view>`, and `fields:<view>` for single
fields of a hash.
"""

Outdated: TypeAlias = Literal["keys", "fields"] | None
"""Which expiries of earlier definitions there may be: of keys, or of single fields in them too."""

LATE_MS = 24 * 3_600_000
"""How much later than an apply its writers may still go by the definitions before it.

They look once a second, but a process may be stopped for a while, and an event be ahead of the
clock.
"""


def outdated(before: Registry, after: Registry, known: Expiries, now_ms: int) -> dict[str, int]:
    """Return what the registry remembers when one registry replaces another."""
    found = {kind: until_ms for kind, until_ms in known.items() if until_ms > now_ms}
    lives_after = _lives(after)
    for kind, lives in _lives(before).items():
        new = lives_after.get(kind, {})
        longest = max((life for name, life in lives.items() if new.get(name) != life), default=0)
        if longest:
            found[kind] = max(found.get(kind, 0), now_ms + longest + LATE_MS)
    return found


def outdated_of(expiries: Expiries, view: ViewDefinition, now_ms: int) -> Outdated:
    """Return which expiries of earlier definitions there may be where rows of a view go."""
    if not expiries:
        return None
    if now_ms < expiries.get(_fields(view), 0):
        return "fields"
    return "keys" if any(now_ms < expiries.get(kind, 0) for kind in _kinds(view)) else None


def to_json(expiries: Expiries) -> str:
    """Return what is stored."""
    return json.dumps(expiries, separators=(",", ":"), sort_keys=True)


def from_json(text: str | bytes | None) -> dict[str, int]:
    """Read what `to_json` wrote; ValueError where it is something else."""
    try:
        found: Any = {} if text is None else json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not all(type(each) is int for each in found.values()):
        raise ValueError("it is not an object of times")
    return found


def _kinds(view: ViewDefinition) -> list[str]:
    match view:
        case FeatureViewDefinition():
            return [
                f"hash:{view.entity}" if layout == "hash" else f"packed:{view.name}"
                for layout in view.layouts
            ]
        case SeriesViewDefinition():
            return [f"series:{view.name}"]
    return []


def _fields(view: ViewDefinition) -> str:
    return f"fields:{view.name}"


def _lives(registry: Registry) -> dict[str, dict[str, int]]:
    """How long what is in keys of each kind keeps them, or a field itself, in ms: 0 for ever."""
    found: dict[str, dict[str, int]] = {}
    for view in registry.views.values():
        for kind in _kinds(view):
            lives = found.setdefault(kind, {})
            if isinstance(view, SeriesViewDefinition):
                lives[view.name] = view.retention_ms
            elif isinstance(view, FeatureViewDefinition):
                sharing = registry.hash_views_of(view.entity) if kind.startswith("hash:") else []
                is_kept = not all(other.life_ms for other in sharing)
                life = lives[view.name] = 0 if is_kept else view.life_ms
                if sharing:
                    found[_fields(view)] = {
                        feature.name: ttl if not life or ttl < life else 0
                        for feature in view.features
                        for ttl in (feature.ttl_ms or view.ttl_ms,)
                    }
    return found
