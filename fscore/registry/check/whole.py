"""The check of all definitions together, on plain data.

Python declarations and stored JSON both pass this check. A problem is a pair (path, message). The
path is a tuple such as `("views", "user_activity", "age")`, which the caller turns into a place
that people recognise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from fscore.model.entities import JOIN_KEY_TYPES, EntityDefinition, ServiceDefinition
from fscore.model.fingerprint import fingerprint
from fscore.model.names import listed
from fscore.model.source import EventSource
from fscore.model.views import (
    Columns,
    FeatureViewDefinition,
    FlagViewDefinition,
    RequestViewDefinition,
    SeriesViewDefinition,
    ViewDefinition,
)
from fscore.registry.check.on_request import check_request_view, hidden_join_keys
from fscore.registry.check.problem import Problem, check_name, check_texts, is_integer
from fscore.registry.check.views import check_view

MAX_VERSION = 2**63 - 1

# A request for one entity has these members beside the join keys, and a row to be written has the
# event time.
RESERVED_JOIN_KEYS = frozenset(
    {
        *("as_of", "consistency", "event_time", "features", "partial", "request", "service"),
        *("timestamps", "version"),
    }
)

# `request.now` is the `as_of` of the read.
RESERVED_INPUTS = RESERVED_JOIN_KEYS | {"now"}

# Other Redis keys begin with these names.
RESERVED_SERIES = frozenset({"feature_version", "flag", "fscore"})


def check(
    entities: Mapping[str, EntityDefinition],
    views: Mapping[str, ViewDefinition],
    services: Mapping[str, ServiceDefinition],
) -> Iterator[Problem]:
    """Yield everything that is wrong with these definitions."""
    for entity in entities.values():
        yield from _check_entity(entity)
    for view in views.values():
        yield from check_view(view, entities)
        if isinstance(view, RequestViewDefinition):
            yield from check_request_view(view, entities, views, RESERVED_INPUTS)
    yield from _check_uniqueness(views)
    yield from _check_keys(entities, views)
    yield from _check_schemas(views)
    yield from _check_sources(entities, views)
    for service in services.values():
        yield from _check_service(service, entities, views)


def _check_entity(entity: EntityDefinition) -> Iterator[Problem]:
    path = ("entities", entity.name)
    yield from check_name(path, "an entity", entity.name)
    yield from check_texts(path, entity, ("description",))
    if not entity.join_keys:
        yield path, 'has no join keys: give it one, like join_keys={"user_id": String}'
    seen = set()
    for key, kind in entity.join_keys:
        yield from check_name(path, "a join key", key)
        if kind not in JOIN_KEY_TYPES:
            yield path, f"join key {key!r} must be Int64 or String, not {kind!r}"
        if key in RESERVED_JOIN_KEYS:
            yield path, f"join key {key!r} has a meaning of its own in requests: rename it"
        if key in seen:
            yield path, f"join key {key!r} is declared twice"
        seen.add(key)


def _check_uniqueness(views: Mapping[str, ViewDefinition]) -> Iterator[Problem]:
    """Yield features whose name is not unique within their entity.

    Requests may name a feature by entity and name alone, so the name belongs to one view only.
    """
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
                yield ("views", view.name, name), "is declared twice"


def _check_keys(
    entities: Mapping[str, EntityDefinition], views: Mapping[str, ViewDefinition]
) -> Iterator[Problem]:
    """Yield series and flags whose Redis keys would collide with others.

    The keys of a series begin with its name, and the key of a flag is made from the flag's name.
    """
    owner: dict[str, str] = {}
    for view in views.values():
        path = ("views", view.name)
        if isinstance(view, SeriesViewDefinition):
            taken = "an entity" if view.name in entities else "other keys"
            if view.name in entities or view.name in RESERVED_SERIES:
                yield (
                    path,
                    f"is a series whose keys would begin with {view.name}:, as the keys of {taken} "
                    'do: rename it, with name="…"',
                )
        elif isinstance(view, FlagViewDefinition):
            for feature in view.features:
                other = owner.setdefault(feature.name, view.name)
                # `_check_uniqueness` reports two flags of the same entity.
                if other != view.name and views[other].entity != view.entity:
                    yield (
                        (*path, feature.name),
                        f"is a flag of {other} already, and flags are found by their name alone: "
                        "rename one",
                    )


def _check_schemas(views: Mapping[str, ViewDefinition]) -> Iterator[Problem]:
    """Yield packed views whose schema has the same fingerprint as another schema.

    A packed row names its schema only by the 32 bits of the fingerprint.
    """
    known: dict[int, tuple[str, Columns]] = {}
    for view in views.values():
        if isinstance(view, FeatureViewDefinition) and "packed" in view.layouts:
            number = fingerprint(view.columns)
            other, columns = known.setdefault(number, (view.name, view.columns))
            if columns != view.columns:
                yield (
                    ("views", view.name),
                    f"has features with the same fingerprint as the features of {other}, "
                    f"{number:08x}: rename one of them",
                )


def _check_sources(
    entities: Mapping[str, EntityDefinition], views: Mapping[str, ViewDefinition]
) -> Iterator[Problem]:
    """Yield sources that differ under one name, and sources that name unknown join keys.

    Several views may share a source. The entity of each view has some of the join keys in `keys`,
    and together the entities must have all.
    """
    known: dict[str, tuple[str, EventSource]] = {}
    join_keys: dict[str, dict[str, None]] = {}
    for view in views.values():
        source = view.source
        if source is None or source.problems():
            continue
        other, first = known.setdefault(source.name, (view.name, source))
        if first != source:
            yield (
                ("views", view.name),
                f"source {source.name!r} differs from the source of that name in {other}: "
                "rename one, or share it",
            )
        if view.entity in entities:
            keys = (name for name, _ in entities[view.entity].join_keys)
            join_keys.setdefault(source.name, {}).update(dict.fromkeys(keys))
    for name, there in join_keys.items():
        view_name, source = known[name]
        if unknown := [key for key in source.keys if key not in there]:
            yield (
                ("views", view_name),
                f"source {name}: keys names {listed(unknown)}, which no entity of its views has; "
                f"their join keys are {listed(there)}",
            )


def _check_service(
    service: ServiceDefinition,
    entities: Mapping[str, EntityDefinition],
    views: Mapping[str, ViewDefinition],
) -> Iterator[Problem]:
    path = ("services", service.name)
    yield from check_name(path, "a feature service", service.name)
    yield from check_texts(path, service)
    if not service.features:
        yield path, "has no features: list those that the model reads"
    if not is_integer(service.version, 1, MAX_VERSION):
        yield path, f"version must be a positive integer, not {service.version!r}"
    outputs: dict[str, str] = {}
    for item in service.features:
        full = f"{item.view}:{item.feature}"
        if item.alias is not None:
            yield from check_name(path, "an alias", item.alias)
        other = outputs.setdefault(item.output, full)
        if other is not full:
            yield path, _collision(item.output, other, full)
        view = views.get(item.view)
        if view is None:
            yield path, f"uses {full}, but there is no view {item.view!r}"
        elif view.feature(item.feature) is None:
            yield (
                path,
                f"uses {full}, which the view does not have; it has "
                f"{listed(f.name for f in view.features)}",
            )
    for problem in _brought_problems(service, entities, views):
        yield path, problem


def _brought_problems(
    service: ServiceDefinition,
    entities: Mapping[str, EntityDefinition],
    views: Mapping[str, ViewDefinition],
) -> Iterator[str]:
    """Say what is wrong with the join keys and the inputs that a request must have."""
    join_keys: dict[str, tuple[str, str]] = {}
    inputs: dict[str, tuple[str, str]] = {}
    for view in [views[item.view] for item in service.features if item.view in views]:
        entity = entities.get(view.entity)
        for key, kind in entity.join_keys if entity is not None else ():
            yield from _join_key_problems(join_keys, view.entity, key, kind)
        for name, kind in view.request if isinstance(view, RequestViewDefinition) else ():
            other, known = inputs.setdefault(name, (view.name, kind))
            if known != kind:
                yield (
                    f"request input {name!r} is {known} in {other} and {kind} in {view.name}: a "
                    "request has one for both, so make the types the same or rename one"
                )
                inputs[name] = (view.name, kind)
    for item in service.features:
        item_view = views.get(item.view)
        feature = item_view.feature(item.feature) if item_view is not None else None
        for name, owner, key, kind in hidden_join_keys(feature, entities, views):
            if key in join_keys:
                yield from _join_key_problems(join_keys, owner, key, kind)
                continue
            yield (
                f"uses {item.view}:{item.feature}, which reads {name} of entity {owner}, and no "
                f"feature of the service has the join key {key}: list one that has"
            )


def _join_key_problems(
    known: dict[str, tuple[str, str]], entity: str, key: str, kind: str
) -> Iterator[str]:
    first_entity, first_kind = known.setdefault(key, (entity, kind))
    if first_kind != kind:
        yield (
            f"join key {key!r} is {first_kind} in entity {first_entity} and {kind} in entity "
            f"{entity}: a request has one column for both, so make the types the same or rename one"
        )
        known[key] = (entity, kind)


def _collision(output: str, one: str, other: str) -> str:
    if one == other:
        return (
            f"lists {one} twice as {output!r}: leave one out, or give one an alias with .alias(…)"
        )
    return (
        f"has two features called {output!r} ({one} and {other}): give one an alias with .alias(…)"
    )
