"""The rules for views on request: what they may be computed from, and of which types."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator, Mapping

from fscore.model.entities import EntityDefinition
from fscore.model.expression import Expression
from fscore.model.names import listed
from fscore.model.views import FeatureDefinition, RequestViewDefinition, ViewDefinition
from fscore.registry.check.problem import Path, Problem, check_name


def check_request_view(
    view: RequestViewDefinition,
    entities: Mapping[str, EntityDefinition],
    views: Mapping[str, ViewDefinition],
    reserved: frozenset[str],
) -> Iterator[Problem]:
    """Yield what is wrong with a view on request; no input may have a name in `reserved`."""
    path = ("views", view.name)
    if view.source is not None:
        yield path, "is computed on request, from no source: leave source out"
    yield from _check_inputs(path, view, entities, reserved)
    for feature in view.features:
        yield from (((*path, feature.name), text) for text in _problems(feature, view, views))


def hidden_join_keys(
    feature: FeatureDefinition | None,
    entities: Mapping[str, EntityDefinition],
    views: Mapping[str, ViewDefinition],
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the join keys of the stored features that a feature's expression reads.

    Each item is (the feature that is read, its entity, the join key, the key's type).
    """
    expression = None if feature is None else _expression(feature)
    if isinstance(expression, Expression):
        for name in expression.features():
            read = views.get(name.partition(":")[0])
            entity = entities.get(read.entity) if read is not None else None
            for key, kind in entity.join_keys if entity is not None else ():
                yield name, read.entity if read is not None else "", key, kind


def _check_inputs(
    path: Path,
    view: RequestViewDefinition,
    entities: Mapping[str, EntityDefinition],
    reserved: frozenset[str],
) -> Iterator[Problem]:
    owners = {key: name for name, entity in entities.items() for key, _ in entity.join_keys}
    for name, _ in view.request:
        yield from check_name(path, "a request input", name)
        if name in reserved:
            yield path, f"request input {name!r} has a meaning of its own in requests: rename it"
        elif name in owners:
            yield path, f"request input {name!r} is a join key of {owners[name]}: rename it"
    for name, times in Counter(name for name, _ in view.request).items():
        if times > 1:
            yield path, f"request input {name!r} is declared twice"


def _problems(
    feature: FeatureDefinition, view: RequestViewDefinition, views: Mapping[str, ViewDefinition]
) -> Iterator[str]:
    expression = _expression(feature)
    if not isinstance(expression, Expression):
        yield expression
        return
    types: dict[str, str] = {}
    found = []
    for name in expression.features():
        read = _read(name, views)
        if isinstance(read, FeatureDefinition):
            types[name] = str(read.type)
        else:
            found.append(read)
    inputs = dict(view.request)
    unknown = [name for name in expression.request_fields() if name not in inputs]
    found += [_unknown_input(name, inputs) for name in unknown]
    if not found:
        try:
            expression.check_type(str(feature.type), types, inputs)
        except ValueError as error:
            found = [str(error)]
    yield from found


def _expression(feature: FeatureDefinition) -> Expression | str:
    """Return the feature's expression, or what is wrong with it."""
    if feature.expression is None:
        return "has no expression: write it as in Feature(request.now - UserProfile.signup_time)"
    try:
        return Expression.from_json(feature.expression)
    except ValueError as error:
        return str(error)


def _read(name: str, views: Mapping[str, ViewDefinition]) -> FeatureDefinition | str:
    """Return the stored feature of this name, or what is wrong with reading it."""
    view_name, _, feature_name = name.partition(":")
    view = views.get(view_name)
    if view is None:
        return f"reads {name}, but there is no view {view_name!r}"
    if isinstance(view, RequestViewDefinition):
        return f"reads {name}, which is computed on request itself: write out its expression"
    feature = view.feature(feature_name)
    if feature is None:
        known = listed(item.name for item in view.features)
        return f"reads {name}, which the view does not have; it has {known}"
    return feature


def _unknown_input(name: str, inputs: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, inputs, n=1)
    hint = f"did you mean {near[0]}?" if near else 'declare it, as in request={"amount": Float64}'
    return f"reads request[{name!r}], which the view does not have; {hint}"
