"""The rules that definitions obey, checked on plain data, all at once.

Both ways into a registry pass here: Python declarations and stored JSON. A problem is (path,
message); the path is a tuple such as `("views", "user_activity", "age")`, which the caller turns
into a place that people recognise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fscore._declaration import MAX_TTL_MS, listed, name_problem
from fscore._registry_model import (
    LAYOUTS,
    EntityDefinition,
    FeatureDefinition,
    ServiceDefinition,
    ViewDefinition,
)
from fscore.entity import JOIN_KEY_TYPES
from fscore.source import FileSource

Path = tuple[str, ...]
Problem = tuple[Path, str]

MAX_VERSION = 2**63 - 1

# In a request for one entity these stand beside the join keys, and in a row to be written so does
# the event time.
RESERVED_JOIN_KEYS = frozenset(
    {"consistency", "event_time", "features", "partial", "service", "timestamps", "version"}
)
RESERVED_FEATURES = frozenset({"event_time"})


def check(
    entities: Mapping[str, EntityDefinition],
    views: Mapping[str, ViewDefinition],
    services: Mapping[str, ServiceDefinition],
) -> Iterator[Problem]:
    """Yield everything that is wrong."""
    for entity in entities.values():
        yield from _check_entity(entity)
    for view in views.values():
        yield from _check_view(view, entities)
    yield from _check_uniqueness(views)
    yield from _check_sources(views)
    for service in services.values():
        yield from _check_service(service, entities, views)


def _name(path: Path, what: str, name: object) -> Iterator[Problem]:
    problem = name_problem(what, name)
    if problem is not None:
        yield path, problem


def _texts(
    path: Path,
    item: EntityDefinition | FeatureDefinition | ServiceDefinition | ViewDefinition,
    aspects: Sequence[str] = ("description", "owner"),
) -> Iterator[Problem]:
    """Check what is for people only."""
    for aspect in aspects:
        text = getattr(item, aspect)
        if not isinstance(text, str):
            yield path, f"{aspect} must be text, not {text!r}"
    tags = item.tags
    if not isinstance(tags, Mapping) or not all(
        isinstance(text, str) for pair in tags.items() for text in pair
    ):
        yield path, f"tags must be a dict of text to text, not {tags!r}"


def _check_entity(entity: EntityDefinition) -> Iterator[Problem]:
    path = ("entities", entity.name)
    yield from _name(path, "an entity", entity.name)
    yield from _texts(path, entity, ("description",))
    if not entity.join_keys:
        yield path, 'has no join keys: give it one, like join_keys={"user_id": String}'
    seen = set()
    for key, kind in entity.join_keys:
        yield from _name(path, "a join key", key)
        if kind not in JOIN_KEY_TYPES:
            yield path, f"join key {key!r} must be Int64 or String, not {kind!r}"
        if key in RESERVED_JOIN_KEYS:
            yield path, f"join key {key!r} has a meaning of its own in requests: rename it"
        if key in seen:
            yield path, f"join key {key!r} is there twice"
        seen.add(key)


def _check_view(
    view: ViewDefinition, entities: Mapping[str, EntityDefinition]
) -> Iterator[Problem]:
    path = ("views", view.name)
    yield from _name(path, "a feature view", view.name)
    yield from _texts(path, view)
    entity = entities.get(view.entity)
    join_keys = [name for name, _ in entity.join_keys] if entity is not None else []
    if entity is None:
        yield path, _no_entity(view, entities)
    if not view.features:
        yield path, "has no features: annotate one, like age: Int64"
    if not _is_int(view.ttl_ms) or not 0 <= view.ttl_ms <= MAX_TTL_MS:
        yield path, f"ttl_ms must be between 0 (never) and {MAX_TTL_MS}, not {view.ttl_ms!r}"
    if view.layout not in LAYOUTS:
        yield path, f"layout must be one of {listed(LAYOUTS)}, not {view.layout!r}"
    if view.source is not None and entity is not None:
        for problem in view.source.problems(join_keys):
            yield path, f"source {view.source.name}: {problem}"
    for feature in view.features:
        feature_path = (*path, feature.name)
        yield from _name(feature_path, "a feature", feature.name)
        yield from _texts(feature_path, feature, ("description",))
        if feature.name in join_keys:
            yield feature_path, f"is also a join key of entity {view.entity}: rename one"
        for problem in _feature_problems(feature, view):
            yield feature_path, problem


def _no_entity(view: ViewDefinition, entities: Mapping[str, EntityDefinition]) -> str:
    if not view.entity:
        return "has no entity: give it an Entity, as in class Profile(FeatureView, entity=user)"
    return f"is of entity {view.entity!r}, which is not defined; there are {listed(entities)}"


def _feature_problems(feature: FeatureDefinition, view: ViewDefinition) -> Iterator[str]:
    if feature.name in RESERVED_FEATURES:
        yield "is what a row calls its event time: rename it"
    if feature.default is not None:
        try:
            feature.type.normalize(feature.default)
        except ValueError as error:
            yield f"default: {error}"
    if feature.mapping is not None:
        yield from feature.mapping.problems(feature.type)
        if view.source is None:
            yield (
                "is mapped, but its view has no source: add source=… to the view, or leave "
                "the mapping out"
            )


def _check_uniqueness(views: Mapping[str, ViewDefinition]) -> Iterator[Problem]:
    """A feature is a field of its entity's hash, so its name belongs to one view only."""
    owner: dict[tuple[str, str], str] = {}
    for view in views.values():
        for feature in view.features:
            other = owner.setdefault((view.entity, feature.name), view.name)
            path = ("views", view.name, feature.name)
            if other != view.name:
                yield (
                    path,
                    f"is a feature of {other} already, and both are of entity "
                    f"{view.entity}: rename one",
                )
        for name, times in Counter(feature.name for feature in view.features).items():
            if times > 1:
                yield ("views", view.name, name), "is there twice"


def _check_sources(views: Mapping[str, ViewDefinition]) -> Iterator[Problem]:
    """A source's name stands for one source, however many views read it."""
    known: dict[str, tuple[str, FileSource]] = {}
    for view in views.values():
        source = view.source
        if source is None or name_problem("a source", source.name):
            continue
        other, first = known.setdefault(source.name, (view.name, source))
        if first != source:
            yield (
                ("views", view.name),
                f"source {source.name!r} differs from that of {other}: rename one, or share it",
            )


def _check_service(
    service: ServiceDefinition,
    entities: Mapping[str, EntityDefinition],
    views: Mapping[str, ViewDefinition],
) -> Iterator[Problem]:
    path = ("services", service.name)
    yield from _name(path, "a feature service", service.name)
    yield from _texts(path, service)
    if not service.features:
        yield path, "has no features: list those that the model reads"
    if not _is_int(service.version) or not 1 <= service.version <= MAX_VERSION:
        yield path, f"version must be a positive integer, not {service.version!r}"
    outputs: dict[str, str] = {}
    join_keys: dict[str, tuple[str, str]] = {}
    for item in service.features:
        full = f"{item.view}:{item.feature}"
        if item.alias is not None:
            yield from _name(path, "an alias", item.alias)
        other = outputs.setdefault(item.output, full)
        if other is not full:
            yield path, _collision(item.output, other, full)
        view = views.get(item.view)
        if view is None:
            yield path, f"uses {full}, but there is no view {item.view!r}"
            continue
        if view.feature(item.feature) is None:
            yield (
                path,
                f"uses {full}, which the view has not; it has "
                f"{listed(f.name for f in view.features)}",
            )
        entity = entities.get(view.entity)
        for key, kind in entity.join_keys if entity is not None else ():
            first_entity, first_kind = join_keys.setdefault(key, (view.entity, kind))
            if first_kind != kind:
                yield (
                    path,
                    f"join key {key!r} is {first_kind} in entity {first_entity} and "
                    f"{kind} in entity {view.entity}: a request has one "
                    "column for both, so make the types the same or rename one",
                )
                join_keys[key] = (view.entity, kind)


def _collision(output: str, one: str, other: str) -> str:
    if one == other:
        return (
            f"lists {one} twice as {output!r}: leave one out, or give one an alias with .alias(…)"
        )
    return (
        f"has two features called {output!r} ({one} and {other}): give one an alias with .alias(…)"
    )


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
