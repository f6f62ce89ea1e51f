"""What an API key may read, and how requests for anything else are refused."""

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
    """Return whether there is something that the caller may not read."""
    return caller is not None and caller.scoped


def check(caller: Caller | None, service: str | None, views: Sequence[str]) -> None:
    """Raise `not_permitted` unless the caller may read the service, or else all of the views."""
    if caller is None:
        return
    denied = caller.denied(service, list(views))
    if denied is not None:
        raise _not_permitted(*denied)


def refuse_names(caller: Caller | None, selection: Selection, error: FscoreError) -> NoReturn:
    """Raise the problem for names that are unknown or ambiguous.

    The library's message suggests similar names. They may name what a scoped caller may not read,
    so for such a caller the message is replaced.
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
    """Raise the problem for join keys that fit no entity, or several; names none if scoped."""
    if not is_scoped(caller):
        raise problem
    raise Problem(
        "invalid_request",
        "No entity, or more than one, has exactly these join keys: name a service.",
    )


def readable(registry: Registry, caller: Caller | None) -> Registry:
    """Return the part of the registry that the caller may see.

    It has the services that the caller may read, the views that the caller may read or that these
    services read, and the entities of these views.
    """
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
