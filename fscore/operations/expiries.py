"""Remembers which keys may still have an expiry that earlier definitions gave them.

Redis drops a key at the time that was set when its row was written, even if the definitions have
changed since. So the next row must remove such an expiry, or replace it. That costs a command for
each row, a quarter of the time that Redis spends on the row. So the registry remembers which keys
need it, and until when. After that time every key with such an expiry is gone, or was written
again.
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
"""The time (epoch ms) until which keys may have an expiry of earlier definitions, by kind of keys.

The kinds are `hash:<entity>`, `packed:<view>` and `series:<view>`, and `fields:<view>` for single
fields of a hash.
"""

Outdated: TypeAlias = Literal["keys", "fields"] | None
"""Which expiries earlier definitions may have left: of keys, or of single fields in them too."""

LATE_MS = 24 * 3_600_000
"""How long after an apply writers may still use the definitions before it, in milliseconds.

They look once a second, but a process may be stopped for a while, and an event may be ahead of the
clock.
"""


def outdated(before: Registry, after: Registry, known: Expiries, now_ms: int) -> dict[str, int]:
    """Return the expiries to remember when the registry `after` replaces `before`.

    `known` are the expiries that were remembered so far.
    """
    found = {kind: until_ms for kind, until_ms in known.items() if until_ms > now_ms}
    lives_after = _lives(after)
    for kind, lives in _lives(before).items():
        new = lives_after.get(kind, {})
        longest = max((life for name, life in lives.items() if new.get(name) != life), default=0)
        if longest:
            found[kind] = max(found.get(kind, 0), now_ms + longest + LATE_MS)
    return found


def outdated_of(expiries: Expiries, view: ViewDefinition, now_ms: int) -> Outdated:
    """Return which expiries of earlier definitions the keys of a view may have."""
    if not expiries:
        return None
    if now_ms < expiries.get(_fields(view), 0):
        return "fields"
    return "keys" if any(now_ms < expiries.get(kind, 0) for kind in _kinds(view)) else None


def to_json(expiries: Expiries) -> str:
    """Return the JSON that is stored."""
    return json.dumps(expiries, separators=(",", ":"), sort_keys=True)


def from_json(text: str | bytes | None) -> dict[str, int]:
    """Read the JSON of `to_json`; raises ValueError if it is something else."""
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
    """Return how long rows keep the keys of each kind, or a field itself, in ms: 0 for ever."""
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
