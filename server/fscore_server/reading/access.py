"""What the key of a request may read, and what it is told of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn, TypeGuard

from fscore import resolve
from fscore.errors import (
    AmbiguousFeature,
    FeatureNotFound,
    FeatureServiceNotFound,
    FeatureViewNotFound,
    FscoreError,
)
from fscore.registry import Registry
from fscore.serving import Caller
from fscore_server.problems import Problem
from fscore_server.reading.selection import Selection

NAME_FAULTS = (FeatureServiceNotFound, FeatureViewNotFound, FeatureNotFound, AmbiguousFeature)


def is_scoped(caller: Caller | None) -> TypeGuard[Caller]:
    """Whether there is something that the caller may not read."""
    return caller is not None and caller.scoped


def check(caller: Caller | None, service: str | None, views: Sequence[str]) -> None:
    """Raises unless the caller may read the service, or all views that are read."""
    if caller is None:
        return
    denied = caller.denied(service, list(views))
    if denied is not None:
        raise _not_permitted(*denied)


def refuse_names(caller: Caller | None, selection: Selection, error: FscoreError) -> NoReturn:
    """Raises what names are answered with that mean nothing, or several things.

    The library's messages list names that are near, which may be of what the caller may not read.
    """
    if not is_scoped(caller):
        raise error
    service = selection.service
    if service is not None:
        if not caller.has_service(service):
            raise _not_permitted("service", service)
        if not isinstance(error, FeatureServiceNotFound):
            raise error
        raise Problem(error.code, f"There is no feature service {service!r}.")
    for name in selection.features or ():
        view, colon, _ = name.partition(":")
        if not colon:
            raise Problem(
                "not_permitted",
                f"The API key may not read all views in which {name!r} is looked for: write it as"
                " view:feature.",
            )
        if not caller.has_view(view):
            raise _not_permitted("view", view)
    if isinstance(error, FeatureViewNotFound):
        raise Problem(error.code, f"There is no feature view {error.name!r}.")
    raise error


def refuse_join_keys(caller: Caller | None, problem: Problem) -> NoReturn:
    """Raises what join keys are answered with that no entity has, or several have."""
    if not is_scoped(caller):
        raise problem
    raise Problem("invalid_request", "These are the join keys of no one entity: name a service.")


def readable(registry: Registry, caller: Caller | None) -> Registry:
    """The services that the caller may read, the views that it may read or that these read, and
    the entities of them all."""
    if not is_scoped(caller):
        return registry
    services, views = {}, {name for name in registry.views if caller.has_view(name)}
    for name, service in registry.services.items():
        needed = resolve(registry, name).view_names
        if caller.denied(name, list(needed)) is None:
            services[name] = service
            views.update(needed)
    kept = {name: view for name, view in registry.views.items() if name in views}
    entities = {view.entity for view in kept.values()}
    return Registry(
        {name: entity for name, entity in registry.entities.items() if name in entities},
        kept,
        services,
    )


def _not_permitted(kind: str, name: str) -> Problem:
    return Problem("not_permitted", f"The API key may not read the {kind} {name!r}.")
