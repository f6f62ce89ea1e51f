"""What the key of a request may read, and what it is told of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from fscore._fscore import Caller
from fscore.errors import (
    AmbiguousFeature,
    FeatureNotFound,
    FeatureServiceNotFound,
    FeatureViewNotFound,
    FscoreError,
)
from fscore.registry import Registry
from fscore.registry_resolve import resolve
from fscore_server.problems import Problem

NAME_FAULTS = (FeatureServiceNotFound, FeatureViewNotFound, FeatureNotFound, AmbiguousFeature)


def check(caller: Caller | None, service: str | None, views: Sequence[str]) -> None:
    """Raises unless the caller may read the service, or all views that are read."""
    if caller is None:
        return
    denied = caller.denied(service, list(views))
    if denied is not None:
        raise _not_permitted(*denied)


def refuse_name(caller: Caller | None, service: str | None, error: FscoreError) -> NoReturn:
    """Raises what a name is answered with that means nothing, or several things.

    The library's messages list names that are near, which may be of what the caller may not read.
    """
    if caller is None or not caller.scoped:
        raise error
    if service is not None:
        if not caller.has_service(service):
            raise _not_permitted("service", service)
        if not isinstance(error, FeatureServiceNotFound):
            raise error
        raise Problem(error.code, f"There is no feature service {service!r}.")
    name = getattr(error, "name", None)
    if not name or (isinstance(error, AmbiguousFeature) and not error.candidates):
        raise error
    view, colon, _ = str(name).partition(":")
    if isinstance(error, FeatureViewNotFound):
        if caller.has_view(view):
            raise Problem(error.code, f"There is no feature view {view!r}.")
    elif not colon:
        raise Problem(
            "not_permitted",
            f"The API key may not read all that {view!r} could mean: write view:{view}.",
        )
    elif caller.has_view(view):
        raise error
    raise _not_permitted("view", view)


def readable(registry: Registry, caller: Caller | None) -> Registry:
    """The services that the caller may read, the views that it may read or that these read, and
    the entities of them all."""
    if caller is None or not caller.scoped:
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
