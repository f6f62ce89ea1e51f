"""Compiles the declarations in the user's files into definitions, which are plain data."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from fscore.definitions.entity import Entity
from fscore.definitions.origin import Origin
from fscore.definitions.service import FeatureService
from fscore.definitions.views.declaring import (
    DeclaredFeature,
    ViewDeclaration,
    declaration_of,
)
from fscore.model.entities import EntityDefinition, ServiceDefinition, ServiceFeature
from fscore.model.expression import Expression, ViewClass
from fscore.model.names import text_of
from fscore.model.views import FeatureDefinition, ViewDefinition
from fscore.registry.check.problem import Path as DefinitionPath

if TYPE_CHECKING:
    from fscore.definitions.folder import Declaration


class Collector:
    """Compiles declarations into definitions, and remembers where each was declared."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        self.entities: dict[str, Entity] = {}
        self.views: dict[str, tuple[object, ViewDeclaration]] = {}
        self.services: dict[str, FeatureService] = {}
        self.unjudged: set[DefinitionPath] = set()

    def add(self, declaration: Declaration | ViewClass) -> None:
        """Take a declaration and everything that it refers to.

        Raises TypeError if it is not an Entity, a view or a FeatureService.
        """
        if isinstance(declaration, Entity):
            self._add_once(
                self.entities, declaration, declaration.name, "entity", declaration.origin
            )
        elif isinstance(declaration, FeatureService):
            for reference in declaration.features:
                self.add(reference.view)
            self._add_once(
                self.services, declaration, declaration.name, "service", declaration.origin
            )
        elif (declared := declaration_of(declaration)) is not None:
            if declared.entity is not None:
                self.add(declared.entity)
            for expression in _expressions(declared).values():
                for view in expression.views():
                    self.add(view)
            known = self.views.get(declared.name)
            if known is None:
                self.views[declared.name] = (declaration, declared)
            elif known[0] is not declaration:
                self._twice("view", declared.name, known[1].origin, declared.origin)
        else:
            raise TypeError(f"{declaration!r} is not an Entity, a view or a FeatureService")

    def _add_once(
        self, known: dict[str, Any], item: Any, name: Any, what: str, origin: Origin
    ) -> None:
        name = text_of(name)
        other = known.setdefault(name, item)
        if other is not item:
            self._twice(what, name, other.origin, origin)

    def _twice(self, what: str, name: str, one: Origin, other: Origin) -> None:
        line = (
            f"{other}: {what} {name!r} is declared at {one} already: rename one, or import that one"
        )
        if line not in self.problems:
            self.problems.append(line)

    def compiled(
        self,
    ) -> tuple[
        dict[str, EntityDefinition], dict[str, ViewDefinition], dict[str, ServiceDefinition]
    ]:
        """Return the definitions, and add to `problems` what the declarations noted."""
        for what, known in (("Entity", self.entities), ("FeatureService", self.services)):
            for name, item in known.items():
                self.problems += [
                    f"{item.origin}: {what} {name}: {problem}" for problem in item.problems
                ]
        for _, declared in self.views.values():
            for feature, problem in declared.problems:
                place = self.place(("views", declared.name, *([feature] if feature else [])))
                self.problems.append(f"{place}: {problem}")
            self.unjudged |= {("views", declared.name, name) for name in declared.unjudged}
        for _, declared in self.views.values():
            for name, expression in _expressions(declared).items():
                read = {("views", *item.split(":")) for item in expression.features()}
                if not self.unjudged.isdisjoint(read):
                    self.unjudged.add(("views", declared.name, name))
        entities = {
            name: EntityDefinition(name, entity.join_keys, entity.description, entity.tags)
            for name, entity in sorted(self.entities.items())
        }
        views = {name: _compile_view(view[1]) for name, view in sorted(self.views.items())}
        services = {
            name: _compile_service(name, service) for name, service in sorted(self.services.items())
        }
        return entities, views, services

    def place(self, path: DefinitionPath) -> str:
        """Return the place in the user's files at which a definition is declared."""
        kind, name = path[0], path[1]
        if kind == "views":
            declared = self.views[name][1]
            return f"{declared.origin}: {'.'.join((declared.class_name, *path[2:]))}"
        if kind == "entities":
            return f"{self.entities[name].origin}: Entity {name}"
        return f"{self.services[name].origin}: FeatureService {name}"


def _expressions(declared: ViewDeclaration) -> dict[str, Expression]:
    return {
        name: feature.options.follows_from
        for name, feature in declared.features.items()
        if isinstance(feature.options.follows_from, Expression)
    }


def _compile_view(declared: ViewDeclaration) -> ViewDefinition:
    return declared.kind.model(
        declared.name,
        declared.entity_name,
        tuple(
            _compile_feature(feature, declared.kind.member)
            for feature in declared.features.values()
        ),
        owner=declared.owner,
        description=declared.description,
        tags=declared.tags,
        source=declared.source,
        **declared.settings,
    )


def _compile_feature(declared: DeclaredFeature, member: str) -> FeatureDefinition:
    data_type, options = declared.data_type, declared.options
    if declared.annotation.problem:
        # Without a type, neither its default nor what it is computed from can be checked.
        return FeatureDefinition(declared.name, data_type)
    default = options.default
    if default is not None:
        # The check reports a default that does not fit, so it stays as it is.
        with contextlib.suppress(ValueError):
            default = data_type.normalize(default)
    value = options.follows_from
    follows_from = {member: value.to_json() if isinstance(value, Expression) else value}
    return FeatureDefinition(
        declared.name,
        data_type,
        default,
        options.description,
        options.tags,
        ttl_ms=declared.ttl_ms,
        **follows_from,
    )


def _compile_service(name: str, service: FeatureService) -> ServiceDefinition:
    features = tuple(
        ServiceFeature(
            declared.name,
            reference.name,
            None if reference.output == reference.name else reference.output,
        )
        for reference in service.features
        if (declared := declaration_of(reference.view)) is not None
    )
    return ServiceDefinition(
        name, features, service.version, service.owner, service.description, service.tags
    )
