"""Compares two registries: what applying the new one would change, and which changes are unsafe.

A change is unsafe if it makes data in Redis unreadable or unreachable, or makes it count twice.
Such changes are: a type that cannot read the stored text of the old type, the unit of a timestamp,
the join keys of an entity, the kind, entity or layout of a view, the fields of a series' events,
and the removal of anything that data or callers may still use. Everything else is safe.
`registry.diff.views` has the rules for each kind of view, `registry.diff.types` those for types.

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

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fscore.model.entities import EntityDefinition, ServiceDefinition
from fscore.model.views import ViewDefinition
from fscore.registry.diff.change import SIGNS, Change, counted, names_of, plain_changes
from fscore.registry.diff.types import type_change_is_safe
from fscore.registry.diff.views import added_view, removed_view, view_changes
from fscore.registry.registry import Registry, checked_registry

__all__ = ["Change", "RegistryDiff", "diff", "type_change_is_safe"]


@dataclass(frozen=True, slots=True)
class RegistryDiff:
    """All differences between two registries: of entities, views, their features, and services.

    It is true if there are any.
    """

    changes: tuple[Change, ...]

    @property
    def unsafe(self) -> tuple[Change, ...]:
        """The unsafe changes, which stored data or callers would not survive."""
        return tuple(change for change in self.changes if not change.safe)

    @property
    def safe(self) -> bool:
        """Whether no change is unsafe."""
        return not self.unsafe

    def __bool__(self) -> bool:
        """Return whether there is any difference."""
        return bool(self.changes)

    def summary(self) -> str:
        """Return one line of counts: `1 added, 2 changed, 1 unsafe`."""
        if not self.changes:
            return "no changes"
        counts = [
            f"{count} {kind}"
            for kind in SIGNS
            if (count := sum(change.kind == kind for change in self.changes))
        ]
        if self.unsafe:
            counts.append(f"{len(self.unsafe)} unsafe")
        return ", ".join(counts)

    def __str__(self) -> str:
        """Return one line for each change, and the summary."""
        return "\n".join([*map(str, self.changes), self.summary()])

    def to_json(self) -> dict[str, Any]:
        """Return the changes as JSON data, which `fscore plan --json` prints."""
        fields = ("kind", "what", "path", "aspect", "before", "after", "safe", "reason")
        changes = [{name: getattr(change, name) for name in fields} for change in self.changes]
        return {"safe": self.safe, "changes": changes}


def diff(old: Registry, new: Registry) -> RegistryDiff:
    """Compare two registries: return what changes if `new` takes the place of `old`.

    Raises InvalidArgument if one of them is not a Registry.
    """
    old, new = checked_registry(old, "old"), checked_registry(new, "new")
    changes = [
        *_entities(old.entities, new.entities),
        *_views(old.views, new.views),
        *_services(old.services, new.services),
    ]
    return RegistryDiff(tuple(changes))


def _entities(
    old: Mapping[str, EntityDefinition], new: Mapping[str, EntityDefinition]
) -> Iterator[Change]:
    for name in names_of(old, new):
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
            yield from plain_changes("entity", name, old[name], new[name], ("description", "tags"))


def _views(
    old: Mapping[str, ViewDefinition], new: Mapping[str, ViewDefinition]
) -> Iterator[Change]:
    for name in names_of(old, new):
        if name not in old:
            yield added_view(name, new[name])
        elif name not in new:
            yield removed_view(name, old[name])
        else:
            yield from view_changes(name, old[name], new[name])


def _services(
    old: Mapping[str, ServiceDefinition], new: Mapping[str, ServiceDefinition]
) -> Iterator[Change]:
    for name in names_of(old, new):
        if name not in old:
            yield Change(
                "added", "service", name, after=counted(len(new[name].features), "feature")
            )
        elif name not in new:
            reason = "callers that ask for it get an error"
            yield Change("removed", "service", name, safe=False, reason=reason)
        else:
            before, after = (_outputs_text(service[name]) for service in (old, new))
            if before != after:
                reason = "callers get other columns"
                yield Change("changed", "service", name, "features", before, after, reason=reason)
            aspects = ("version", "owner", "description", "tags")
            yield from plain_changes("service", name, old[name], new[name], aspects)


def _keys_text(entity: EntityDefinition) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in entity.join_keys)


def _outputs_text(service: ServiceDefinition) -> str:
    parts = (
        f"{item.view}:{item.feature}" + (f" as {item.alias}" if item.alias is not None else "")
        for item in service.features
    )
    return ", ".join(parts)
