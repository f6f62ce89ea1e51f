"""What applying new definitions would change, and which of it stored data would not survive.

A change is unsafe when data in Redis becomes unreadable or unreachable by it: a type whose stored
text the new type does not read, a timestamp's unit, an entity's join keys, a view's entity or
layout, and the removal of anything that data or callers may still use. Everything else is safe.

Types: the stored text stays, so a change is safe exactly where every text of the old type is one of
the new type with the same meaning.

| from | safely to |
|---|---|
| Int64 | Float64, String, Bytes |
| Float32 | Float64, String, Bytes |
| Float64 | String, Bytes |
| Bool | Int64, Float32, Float64, String, Bytes (as 1 and 0) |
| String | Bytes |
| Timestamp in milliseconds | Int64, String, Bytes |
| Timestamp in seconds | String, Bytes: as an Int64 it would be a thousandth of what it was |
| List[Int64], List[Float32] | List[Float64], String, Bytes |
| any other list | String, Bytes |
| Vector, Bytes | neither: raw bytes are only themselves, except a Vector as Bytes |

    >>> from fscore import Entity, FeatureView, Float64, Int64, Registry, String
    >>> user = Entity("user", join_keys={"user_id": String})
    >>> class Profile(FeatureView, entity=user):
    ...     age: Int64
    >>> old = Registry.from_definitions([Profile])
    >>> class Profile(FeatureView, entity=user):
    ...     age: String
    ...     score: Float64
    >>> print(diff(old, Registry.from_definitions([Profile])))
    ~ feature profile.age: type Int64 -> String
    + feature profile.score: Float64
    1 added, 1 changed
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fscore._declaration import duration_text
from fscore._registry_model import (
    EntityDefinition,
    FeatureDefinition,
    ServiceDefinition,
    ViewDefinition,
)
from fscore.registry import Registry
from fscore.types import DataType

__all__ = ["Change", "RegistryDiff", "diff", "type_change_is_safe"]

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_TEXTUAL = frozenset({"String", "Bytes"})
_SAFE_SCALARS: dict[str, frozenset[str]] = {
    "Int64": _TEXTUAL | {"Float64"},
    "Float32": _TEXTUAL | {"Float64"},
    "Float64": _TEXTUAL,
    "Bool": _TEXTUAL | {"Int64", "Float32", "Float64"},
    "String": frozenset({"Bytes"}),
    "Bytes": frozenset(),
    "Timestamp": _TEXTUAL | {"Int64"},
    "List": _TEXTUAL,
    "Vector": frozenset({"Bytes"}),
}
_SAFE_ELEMENTS = {("Int64", "Float64"), ("Float32", "Float64")}


def type_change_is_safe(old: DataType, new: DataType) -> bool:
    """Tell whether every stored text of `old` reads as `new`, with the same meaning.

    The module's text has the table.

    >>> type_change_is_safe(DataType.parse("Int64"), DataType.parse("Float64"))
    True
    >>> type_change_is_safe(DataType.parse("Timestamp"), DataType.parse("Timestamp[s]"))
    False
    """
    if old == new:
        return True
    if old.kind == new.kind:
        return old.kind == "List" and (old.element, new.element) in _SAFE_ELEMENTS
    if old.unit == "s" and new.kind == "Int64":
        return False
    return new.kind in _SAFE_SCALARS[old.kind]


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
        sign = _SIGNS[self.kind] if self.safe else "!"
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


@dataclass(frozen=True, slots=True)
class RegistryDiff:
    """All differences between two registries: entities, views with their features, services."""

    changes: tuple[Change, ...]

    @property
    def unsafe(self) -> tuple[Change, ...]:
        """The changes that stored data would not survive."""
        return tuple(change for change in self.changes if not change.safe)

    @property
    def safe(self) -> bool:
        """Whether nothing is unsafe."""
        return not self.unsafe

    def __bool__(self) -> bool:
        """Whether there is any difference."""
        return bool(self.changes)

    def summary(self) -> str:
        """Return one line of counts: `1 added, 2 changed, 1 unsafe`."""
        if not self.changes:
            return "no changes"
        counts = [
            f"{count} {kind}"
            for kind in _SIGNS
            if (count := sum(change.kind == kind for change in self.changes))
        ]
        if self.unsafe:
            counts.append(f"{len(self.unsafe)} unsafe")
        return ", ".join(counts)

    def __str__(self) -> str:
        """Return one line for each change and the summary."""
        return "\n".join([*map(str, self.changes), self.summary()])

    def to_json(self) -> dict[str, Any]:
        """Return plain data for `fscore plan --json`."""
        fields = ("kind", "what", "path", "aspect", "before", "after", "safe", "reason")
        changes = [{name: getattr(change, name) for name in fields} for change in self.changes]
        return {"safe": self.safe, "changes": changes}


def diff(old: Registry, new: Registry) -> RegistryDiff:
    """Return what changes when `new` takes the place of `old`."""
    changes = [
        *_entities(old.entities, new.entities),
        *_views(old.views, new.views),
        *_services(old.services, new.services),
    ]
    return RegistryDiff(tuple(changes))


def _entities(
    old: Mapping[str, EntityDefinition], new: Mapping[str, EntityDefinition]
) -> Iterator[Change]:
    for name in _names(old, new):
        if name not in old:
            yield Change("added", "entity", name, after=_keys_text(new[name]))
        elif name not in new:
            reason = "its data stays in Redis and nothing reads it"
            yield Change("removed", "entity", name, safe=False, reason=reason)
        else:
            before, after = _keys_text(old[name]), _keys_text(new[name])
            if before != after:
                reason = "its data stays under the old keys and is not found"
                yield Change("changed", "entity", name, "join keys", before, after, False, reason)
            yield from _plain("entity", name, old[name], new[name], ("description", "tags"))


def _views(
    old: Mapping[str, ViewDefinition], new: Mapping[str, ViewDefinition]
) -> Iterator[Change]:
    for name in _names(old, new):
        if name not in old:
            text = f"{len(new[name].features)} features of {new[name].entity}"
            yield Change("added", "view", name, after=text)
        elif name not in new:
            reason = "its data stays in Redis and nothing reads it"
            yield Change("removed", "view", name, safe=False, reason=reason)
        else:
            yield from _view(name, old[name], new[name])


def _view(name: str, old: ViewDefinition, new: ViewDefinition) -> Iterator[Change]:
    if old.entity != new.entity:
        reason = "its data stays with the old entity and is not found"
        yield Change("changed", "view", name, "entity", old.entity, new.entity, False, reason)
    if old.layout != new.layout:
        reason = "its data stays in the old layout and is not found"
        yield Change("changed", "view", name, "layout", old.layout, new.layout, False, reason)
    if old.ttl_ms != new.ttl_ms:
        shorter = new.ttl_ms and (not old.ttl_ms or new.ttl_ms < old.ttl_ms)
        reason = "values older than that are EXPIRED at once" if shorter else ""
        before, after = duration_text(old.ttl_ms), duration_text(new.ttl_ms)
        yield Change("changed", "view", name, "ttl", before, after, reason=reason)
    if old.source != new.source:
        before, after = (_text(view.source and view.source.to_json()) for view in (old, new))
        reason = "values follow at the next load"
        yield Change("changed", "view", name, "source", before, after, reason=reason)
    yield from _plain("view", name, old, new, ("owner", "description", "tags"))
    before_by_name = {feature.name: feature for feature in old.features}
    after_by_name = {feature.name: feature for feature in new.features}
    yield from _features(name, before_by_name, after_by_name)
    kept = [feature for feature in before_by_name if feature in after_by_name]
    moved = [feature for feature in after_by_name if feature in before_by_name]
    if kept != moved:
        yield Change("changed", "view", name, "order", ", ".join(kept), ", ".join(moved))


def _features(
    view: str, old: Mapping[str, FeatureDefinition], new: Mapping[str, FeatureDefinition]
) -> Iterator[Change]:
    for name in _names(old, new):
        path = f"{view}.{name}"
        if name not in old:
            yield Change("added", "feature", path, after=str(new[name].type))
        elif name not in new:
            reason = "its data stays in Redis and nothing reads it"
            yield Change("removed", "feature", path, safe=False, reason=reason)
        else:
            yield from _feature(path, old[name], new[name])


def _feature(path: str, old: FeatureDefinition, new: FeatureDefinition) -> Iterator[Change]:
    if old.type != new.type:
        safe = type_change_is_safe(old.type, new.type)
        reason = "" if safe else f"what is stored as {old.type} does not read as {new.type}"
        yield Change("changed", "feature", path, "type", str(old.type), str(new.type), safe, reason)
    before, after = _text(old.type.to_json(old.default)), _text(new.type.to_json(new.default))
    if before != after and (old.default is not None or new.default is not None):
        yield Change("changed", "feature", path, "default", before, after)
    if old.mapping != new.mapping:
        before, after = (_text(item.mapping and item.mapping.to_json()) for item in (old, new))
        reason = "values follow at the next load"
        yield Change("changed", "feature", path, "mapping", before, after, reason=reason)
    yield from _plain("feature", path, old, new, ("description", "tags"))


def _services(
    old: Mapping[str, ServiceDefinition], new: Mapping[str, ServiceDefinition]
) -> Iterator[Change]:
    for name in _names(old, new):
        if name not in old:
            yield Change("added", "service", name, after=f"{len(new[name].features)} features")
        elif name not in new:
            reason = "callers that ask for it get an error"
            yield Change("removed", "service", name, safe=False, reason=reason)
        else:
            before, after = (_outputs_text(service[name]) for service in (old, new))
            if before != after:
                reason = "callers get other columns"
                yield Change("changed", "service", name, "features", before, after, reason=reason)
            aspects = ("version", "owner", "description", "tags")
            yield from _plain("service", name, old[name], new[name], aspects)


def _plain(what: str, path: str, old: Any, new: Any, aspects: Sequence[str]) -> Iterator[Change]:
    """Compare what matters to people only."""
    for aspect in aspects:
        before, after = getattr(old, aspect), getattr(new, aspect)
        if before != after:
            yield Change("changed", what, path, aspect, _text(before), _text(after))


def _names(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the old names in their order, then those that are new."""
    return [*old, *(name for name in new if name not in old)]


def _keys_text(entity: EntityDefinition) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in entity.join_keys)


def _outputs_text(service: ServiceDefinition) -> str:
    parts = (
        f"{item.view}:{item.feature}" + (f" as {item.alias}" if item.alias is not None else "")
        for item in service.features
    )
    return ", ".join(parts)


def _text(value: Any) -> str:
    return "none" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
