"""Resolution: turns the names in a request into the entities, views and features to read.

>>> from fscore import Entity, FeatureService, FeatureView, Int64, Registry, String, resolve
>>> user = Entity("user", join_keys={"user_id": String})
>>> class Profile(FeatureView, entity=user, ttl="30d"):
...     age: Int64
...     country: String
>>> registry = Registry.from_definitions([FeatureService("ranking", features=[Profile])])
>>> resolved = resolve(registry, service="ranking")
>>> resolved.names, resolved.join_keys, resolved.entities[0].fields_total
(('age', 'country'), {'user_id': 'String'}, 3)
"""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fscore.definitions.named import EntityLike, FeatureLike, ServiceLike, names_of_read
from fscore.errors import (
    AmbiguousFeature,
    EntityNotFound,
    FeatureNotFound,
    FeatureServiceNotFound,
    FeatureViewNotFound,
)
from fscore.model.entities import ServiceDefinition
from fscore.model.expression import Expression
from fscore.model.names import MAX_NAME, listed
from fscore.model.views import FeatureDefinition, RequestViewDefinition, ViewDefinition
from fscore.registry.check.on_request import hidden_join_keys
from fscore.registry.registry import Registry, checked_registry
from fscore.specs.read import (
    Output,
    ResolvedComputed,
    ResolvedEntity,
    ResolvedFeature,
    ResolvedSet,
    ResolvedView,
)
from fscore.specs.write import delete_spec_of, write_spec_of

__all__ = [
    "ResolvedComputed",
    "ResolvedEntity",
    "ResolvedFeature",
    "ResolvedSet",
    "ResolvedView",
    "delete_spec",
    "resolve",
    "write_spec",
]


def resolve(
    registry: Registry,
    service: ServiceLike | None = None,
    features: Sequence[FeatureLike] | None = None,
    entity: EntityLike | None = None,
) -> ResolvedSet:
    """Resolve the names in a request to the features to read.

    - `service` alone reads its features, in its order. With `features` too, it reads only these of
      its outputs, in the given order; `view:feature` names an output by its feature.
    - `features` lists names, each `view:feature`, or a feature name alone if only one feature has
      it (one feature of `entity`, if that is given too). A column has the name of its feature. If
      two columns would have the same name, both are called `view:feature`.
    - `entity` alone reads every feature of its views, with views sorted by name and features as
      declared. Features computed on request are included only if they need no more than the
      entity's join keys.

    Instead of a name each may be the object that declares it: a FeatureService, a feature of a
    view's class, an Entity. The registry says what is read, not the object.

    The stored features that an expression reads are read as well, without being outputs. Without a
    service the version is 1.

    Raises InvalidArgument if an argument is neither a name nor such an object. Raises
    FeatureServiceNotFound, FeatureViewNotFound, FeatureNotFound or EntityNotFound, with the nearest
    known names, if a name is unknown. Raises AmbiguousFeature if a name fits several features or is
    given twice, or if features need join keys or inputs of the same name and different types.
    """
    registry = checked_registry(registry)
    service, features, entity = names_of_read(service, features, entity)
    if entity is not None and entity not in registry.entities:
        raise EntityNotFound(
            _unknown("entity", entity, registry.entities),
            name=entity,
            suggestions=_near(entity, registry.entities),
        )
    if service is not None:
        definition = registry.services.get(service)
        if definition is None:
            raise FeatureServiceNotFound(
                _unknown("feature service", service, registry.services),
                name=service,
                suggestions=_near(service, registry.services),
            )
        chosen = _of_service(registry, definition, features)
        return _resolved(registry, chosen, service, definition.version)
    if features is not None:
        return _resolved(registry, _of_names(registry, features, entity), None, 1)
    if entity is not None:
        every = _of_entity(registry, entity)
        if not every:
            raise FeatureNotFound(
                f"entity {entity!r} has no features: no view describes it", name=entity
            )
        return _resolved(registry, every, None, 1)
    raise EntityNotFound(
        f"nothing to read was named: give a service ({listed(registry.services)}), features, "
        f"or an entity ({listed(registry.entities)})"
    )


def write_spec(registry: Registry, view: str) -> dict[str, Any]:
    """Return the plain data from which the extension compiles the write plan of a view.

    - `key_ttl_ms` is how long after its event time Redis keeps what is written; 0 is for ever. For
      a hash it is the longest TTL of the view's features, or 0 if any view in the hash has values
      that never expire.
    - `shared_key` says whether other views share the hash.
    - A feature's `ttl_ms` is its own TTL, or else its view's.
    - `also` is the spec of the other layout during a migration, when rows are written in both.

    Raises FeatureViewNotFound if there is no such view, and InvalidValue if it is computed on
    request.
    """
    return write_spec_of(registry, _view(registry, view))


def delete_spec(registry: Registry, view: str) -> dict[str, Any]:
    """Return the plain data from which the extension compiles the removal of a view's rows.

    It is like that of `write_spec`, but always covers both layouts. Raises as `write_spec` does.
    """
    return delete_spec_of(registry, _view(registry, view))


_Chosen = tuple[str, ViewDefinition, FeatureDefinition]


def _of_service(
    registry: Registry, service: ServiceDefinition, features: Sequence[str] | None
) -> list[_Chosen]:
    by_output: dict[str, _Chosen] = {}
    for item in service.features:
        view = registry.views[item.view]
        feature = view.feature(item.feature)
        if feature is None:  # a checked registry has no such service
            raise FeatureNotFound(_unknown_in_view(item.feature, view), name=item.feature)
        by_output[item.output] = (item.output, view, feature)
    if features is None:
        return list(by_output.values())
    outputs = _outputs(service, features)
    _once(outputs)
    return [by_output[output] for output in outputs]


def _outputs(service: ServiceDefinition, names: Sequence[str]) -> list[str]:
    """Return the outputs of a service with these names, each its own or a `view:feature`."""
    known = [item.output for item in service.features]
    by_name = {output: [output] for output in known}
    for item in service.features:
        by_name.setdefault(f"{item.view}:{item.feature}", []).append(item.output)
    outputs = []
    for name in names:
        found = by_name.get(name)
        if found is None:
            raise FeatureNotFound(
                f"{_unknown('feature', name, known)}, in service {service.name!r}",
                name=name,
                suggestions=_near(name, known),
            )
        if len(found) > 1:
            raise AmbiguousFeature(
                f"feature {name!r} is several outputs of service {service.name!r}: write "
                f"{' or '.join(found)}",
                name=name,
                candidates=found,
            )
        outputs += found
    return outputs


def _of_names(registry: Registry, names: Sequence[str], entity: str | None) -> list[_Chosen]:
    _once(names)
    if not names:
        raise FeatureNotFound("the list of features is empty: name at least one")
    views = [view for view in registry.views.values() if entity in (None, view.entity)]
    found = [_one(registry, name, entity, views) for name in names]
    _once([f"{view.name}:{feature.name}" for view, feature in found])
    times = Counter(feature.name for _, feature in found)
    return [
        (
            feature.name if times[feature.name] == 1 else f"{view.name}:{feature.name}",
            view,
            feature,
        )
        for view, feature in found
    ]


def _one(
    registry: Registry, name: str, entity: str | None, views: Sequence[ViewDefinition]
) -> tuple[ViewDefinition, FeatureDefinition]:
    view_name, colon, feature_name = name.partition(":")
    if colon:
        view = _view(registry, view_name)
        feature = view.feature(feature_name)
        if feature is None:
            names = [item.name for item in view.features]
            raise FeatureNotFound(
                _unknown_in_view(feature_name, view),
                name=name,
                suggestions=[f"{view_name}:{near}" for near in _near(feature_name, names)],
            )
        if entity is not None and view.entity != entity:
            raise FeatureNotFound(
                f"feature {name!r} is of entity {view.entity!r}, not of {entity!r}", name=name
            )
        return view, feature
    found = [(view, feature) for view in views if (feature := view.feature(name)) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        candidates = [f"{view.name}:{name}" for view, _ in found]
        raise AmbiguousFeature(
            f"feature {name!r} is in several views: write {' or '.join(candidates)}",
            name=name,
            candidates=candidates,
        )
    known = [feature.name for view in views for feature in view.features]
    raise FeatureNotFound(
        _unknown("feature", name, known), name=name, suggestions=_near(name, known)
    )


def _view(registry: Registry, name: str) -> ViewDefinition:
    view = registry.views.get(name)
    if view is None:
        raise FeatureViewNotFound(
            _unknown("feature view", name, registry.views),
            name=name,
            suggestions=_near(name, registry.views),
        )
    return view


def _once(names: Sequence[str]) -> None:
    for name, times in Counter(names).items():
        if times > 1:
            raise AmbiguousFeature(
                f"feature {_shown(name)} is asked for twice: leave one out", name=name
            )


def _resolved(
    registry: Registry, chosen: Sequence[_Chosen], service: str | None, version: int
) -> ResolvedSet:
    builder = _SetBuilder(registry)
    outputs: list[Output] = []
    computed: list[tuple[str, str, FeatureDefinition, Expression]] = []
    request: dict[str, str] = {}
    for name, view, feature in chosen:
        if isinstance(view, RequestViewDefinition):
            expression = Expression.from_json(feature.expression)
            inputs = dict(view.request)
            for field in expression.request_fields():
                _one_type("request input", request, field, inputs[field])
            builder.entity(view.entity)
            outputs.append(("computed", len(computed)))
            computed.append((name, view.name, feature, expression))
        else:
            outputs.append(("read", builder.read(name, view, feature)))
    # Outputs come first, so features that are read only for these are added last.
    done = [
        ResolvedComputed(
            name, view, feature, {part: builder.input(part) for part in expression.features()}
        )
        for name, view, feature, expression in computed
    ]
    entities = tuple(_entity(registry, name) for name in builder.entities)
    _check_shared_keys(entities)
    return ResolvedSet(
        service,
        version,
        entities,
        tuple(builder.views.values()),
        tuple(builder.features),
        tuple(outputs),
        tuple(done),
        tuple(request.items()),
    )


class _SetBuilder:
    """Gathers the entities, views and features to read, each in order of first use."""

    def __init__(self, registry: Registry) -> None:
        self.entities: dict[str, int] = {}
        self.views: dict[str, ResolvedView] = {}
        self.features: list[ResolvedFeature] = []
        self._registry = registry
        self._positions: dict[str, int] = {}
        self._places: dict[str, int] = {}

    def entity(self, name: str) -> int:
        """Return the index of an entity, which is added if it is new."""
        return self.entities.setdefault(name, len(self.entities))

    def read(self, name: str, view: ViewDefinition, feature: FeatureDefinition) -> int:
        """Add a feature to be read under this name; return its index."""
        self.views.setdefault(view.name, ResolvedView(view, self.entity(view.entity)))
        position = self._positions.setdefault(view.name, len(self._positions))
        place = len(self.features)
        self.features.append(ResolvedFeature(name, position, feature))
        self._places.setdefault(f"{view.name}:{feature.name}", place)
        return place

    def input(self, name: str) -> int:
        """Return the index of a `view:feature` that an expression reads; add it if it is new."""
        if name in self._places:
            return self._places[name]
        view_name, _, feature_name = name.partition(":")
        view = _view(self._registry, view_name)
        feature = view.feature(feature_name)
        if feature is None:  # a checked registry has no such expression
            raise FeatureNotFound(_unknown_in_view(feature_name, view), name=name)
        return self.read(name, view, feature)


def _entity(registry: Registry, name: str) -> ResolvedEntity:
    views = registry.hash_views_of(name)
    fields_total = sum(len(view.features) + 1 for view in views)
    wide = any(feature.type.wide for view in views for feature in view.features)
    return ResolvedEntity(name, registry.entities[name].join_keys, fields_total, wide)


def _one_type(what: str, known: dict[str, str], name: str, kind: str) -> None:
    """Note the type of a request input; all features that read it share one column."""
    if known.setdefault(name, kind) != kind:
        raise AmbiguousFeature(
            f"{what} {name!r} is {known[name]} for one of these features and {kind} for another: "
            "read them in two requests",
            name=name,
        )


def _of_entity(registry: Registry, entity: str) -> list[_Chosen]:
    """Return every feature that can be read with the entity's join keys alone."""
    return [
        (feature.name, view, feature)
        for view in registry.views_of(entity)
        for feature in view.features
        if not isinstance(view, RequestViewDefinition) or _needs_only(registry, entity, feature)
    ]


def _needs_only(registry: Registry, entity: str, feature: FeatureDefinition) -> bool:
    expression = Expression.from_json(feature.expression)
    if expression.request_fields():
        return False
    join_keys = dict(registry.entities[entity].join_keys)
    needed = hidden_join_keys(feature, registry.entities, registry.views)
    return all(join_keys.get(key) == kind for _, _, key, kind in needed)


def _check_shared_keys(entities: Iterable[ResolvedEntity]) -> None:
    """Raise AmbiguousFeature if entities share a join key of different types.

    The features of a service were checked when it was applied, but a list of features can still
    combine such entities.
    """
    known: dict[str, tuple[str, str]] = {}
    for entity in entities:
        for name, kind in entity.join_keys:
            other, other_kind = known.setdefault(name, (entity.name, kind))
            if kind != other_kind:
                raise AmbiguousFeature(
                    f"join key {name!r} is {other_kind} in entity {other} and {kind} in "
                    f"entity {entity.name}: "
                    "read them in two requests",
                    name=name,
                )


def _near(name: str, known: Iterable[str]) -> list[str]:
    if len(name) > MAX_NAME:  # requests can send long names, which are slow to compare
        return []
    return difflib.get_close_matches(name, list(dict.fromkeys(known)), n=3)


def _unknown(what: str, name: str, known: Iterable[str] | Mapping[str, Any]) -> str:
    names = list(dict.fromkeys(known))
    near = _near(name, names)
    if near:
        return f"unknown {what} {_shown(name)}; did you mean {' or '.join(near)}?"
    shown = listed(names[:20]) + (", …" if len(names) > 20 else "")
    return f"unknown {what} {_shown(name)}; there are {shown}"


def _shown(name: str) -> str:
    return repr(name if len(name) <= MAX_NAME else f"{name[:MAX_NAME]}…")


def _unknown_in_view(name: str, view: ViewDefinition) -> str:
    names = [feature.name for feature in view.features]
    return f"{_unknown('feature', name, names)}, in view {view.name!r}"
