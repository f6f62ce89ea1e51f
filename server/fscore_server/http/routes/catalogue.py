"""`/v1/services`, `/v1/views`: what is defined, under the revision being served; `/v1/versions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from fscore import Expression, resolve
from fscore.registry import (
    FeatureDefinition,
    FeatureViewDefinition,
    Registry,
    RequestViewDefinition,
    SeriesViewDefinition,
    ServiceDefinition,
    ViewDefinition,
)
from fscore.serving import Caller
from fscore_server.http import query
from fscore_server.http.exchange import JSON, exchange_of
from fscore_server.http.limits import request_timeout
from fscore_server.http.negotiation import response_type
from fscore_server.http.rendered import Rendered
from fscore_server.problems import Problem
from fscore_server.reading import access
from fscore_server.reading.connection import State

Listing = Callable[[Registry, Caller | None], list[dict[str, Any]]]


class Catalogue:
    """One listing of the registry, rendered once per revision."""

    def __init__(self, state: State, name: str, listing: Listing) -> None:
        self._state = state
        self._name = name
        self._listing = listing
        self._rendered = Rendered(self._render)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response_type(scope["headers"], (JSON,))
        _refuse_parameters(scope)
        registry = self._state.defined_client().registry
        exchange = exchange_of(scope)
        await exchange.reply(send, 200, JSON, self._rendered.of(registry, exchange.caller))

    def _render(self, registry: Registry | None, caller: Caller | None) -> bytes:
        assert registry is not None
        listing = self._listing(registry, caller)
        return orjson.dumps({"revision": self._state.revision, self._name: listing})


class Versions:
    """The versions of every service, as Redis has them now."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._timeout = state.settings.request_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        response_type(headers, (JSON,))
        timeout = request_timeout(headers, self._timeout)
        _refuse_parameters(scope)
        client = self._state.defined_client()
        found = await client.versions.list(timeout=timeout)
        exchange = exchange_of(scope)
        listing = [service.to_dict() for service in found]
        if access.is_scoped(exchange.caller):
            known = access.readable(client.registry, exchange.caller).services
            listing = [service for service in listing if service["service"] in known]
        body = orjson.dumps({"revision": self._state.revision, "versions": listing})
        await exchange.reply(send, 200, JSON, body)


def services(registry: Registry, caller: Caller | None) -> list[dict[str, Any]]:
    """Return the feature services that the caller may read, each with its features in the order of
    the model's input."""
    registry = access.readable(registry, caller)
    return [_service(registry, service) for service in registry.services.values()]


def views(registry: Registry, caller: Caller | None) -> list[dict[str, Any]]:
    """Return the views that the caller may see, each with its features in declared order."""
    return [
        _view(registry, view)
        for view in registry.views.values()
        if caller is None or caller.has_view(view.name)
    ]


def _refuse_parameters(scope: Scope) -> None:
    if unknown := list(query.parse(scope["query_string"])):
        raise Problem("invalid_request", f"This route has no parameters; {unknown} was given.")


def _service(registry: Registry, service: ServiceDefinition) -> dict[str, Any]:
    needed = resolve(registry, service.name)
    types = zip(service.features, needed.types, strict=True)
    return {
        "name": service.name,
        "description": service.description,
        "owner": service.owner,
        "tags": dict(service.tags),
        "version": service.version,
        # Includes the join keys of the features from which others are computed on request.
        "join_keys": needed.join_keys,
        "request": dict(needed.request),
        "features": [
            {"name": item.output, "view": item.view, "feature": item.feature, "type": spelling}
            for item, spelling in types
        ],
    }


def _view(registry: Registry, view: ViewDefinition) -> dict[str, Any]:
    # The registry's form has all fields of the kind, and is stable because it is stored.
    described = view.to_json()
    features = zip(view.features, described.pop("features"), strict=True)
    described["features"] = [shown | _plainly(view, feature) for feature, shown in features]
    if isinstance(view, RequestViewDefinition):
        described["request"] = dict(view.request)
    join_keys = dict(registry.entities[view.entity].join_keys)
    return {"name": view.name, "join_keys": join_keys, **described}


def _plainly(view: ViewDefinition, feature: FeatureDefinition) -> dict[str, Any]:
    """Return fields of a feature that the registry's form only implies."""
    match view:
        case FeatureViewDefinition():
            return {"ttl_ms": feature.ttl_ms or view.ttl_ms}
        case SeriesViewDefinition() if feature.window is not None:
            return {"window": {**feature.window.to_json(), "tiles": view.tiles(feature.window)}}
        case RequestViewDefinition():
            return {"expression": str(Expression.from_json(feature.expression))}
    return {}
