"""`/v1/services`, `/v1/views`: what is defined, under the revision being served; `/v1/versions`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from fscore.registry import FeatureViewDefinition, Registry, ServiceFeature, ViewDefinition
from fscore_server import query
from fscore_server.exchange import JSON, exchange_of
from fscore_server.limits import request_timeout
from fscore_server.negotiation import response_type
from fscore_server.problems import Problem
from fscore_server.state import Cache, State

Listing = Callable[[Registry], list[dict[str, Any]]]


class Catalogue:
    """One listing of the registry, rendered once per revision."""

    def __init__(self, state: State, name: str, listing: Listing) -> None:
        self._state = state
        self._name = name
        self._listing = listing
        self._rendered: Cache[bytes] = Cache(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response_type(scope["headers"], (JSON,))
        _refuse_parameters(scope)
        registry = self._state.defined_client().registry
        body = self._rendered.get(self._name, registry)
        if body is None:
            listing = self._listing(registry)
            body = orjson.dumps({"revision": self._state.revision, self._name: listing})
            self._rendered.put(self._name, registry, body)
        await exchange_of(scope).reply(send, 200, JSON, body)


class Versions:
    """The versions of every service, as Redis has them at the moment."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._timeout = state.settings.request_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        response_type(headers, (JSON,))
        timeout = request_timeout(headers, self._timeout)
        _refuse_parameters(scope)
        found = await self._state.defined_client().versions.list(timeout=timeout)
        listing = [service.to_dict() for service in found]
        body = orjson.dumps({"revision": self._state.revision, "versions": listing})
        await exchange_of(scope).reply(send, 200, JSON, body)


def services(registry: Registry) -> list[dict[str, Any]]:
    """The feature services, each with its features in the order of the model's input."""
    return [
        {
            "name": service.name,
            "description": service.description,
            "owner": service.owner,
            "tags": dict(service.tags),
            "version": service.version,
            "join_keys": _join_keys(registry, {item.view for item in service.features}),
            "features": [
                {
                    "name": item.output,
                    "view": item.view,
                    "feature": item.feature,
                    "type": _type_name(registry, item),
                }
                for item in service.features
            ],
        }
        for service in registry.services.values()
    ]


def views(registry: Registry) -> list[dict[str, Any]]:
    """The views of every kind, each with its features in declared order."""
    return [
        {
            "name": view.name,
            "kind": view.kind,
            "entity": view.entity,
            "join_keys": _join_keys(registry, {view.name}),
            "description": view.description,
            "owner": view.owner,
            "tags": dict(view.tags),
            **_storage(view),
            "features": [
                {
                    "name": feature.name,
                    "type": str(feature.type),
                    "default": feature.type.to_json(feature.default),
                    "description": feature.description,
                    "tags": dict(feature.tags),
                }
                for feature in view.features
            ],
        }
        for view in registry.views.values()
    ]


def _refuse_parameters(scope: Scope) -> None:
    if unknown := list(query.parse(scope["query_string"])):
        raise Problem("invalid_request", f"This route has no parameters; {unknown} was given.")


def _storage(view: ViewDefinition) -> dict[str, Any]:
    if isinstance(view, FeatureViewDefinition):
        return {"ttl_ms": view.ttl_ms, "layout": view.layout}
    return {}


def _join_keys(registry: Registry, view_names: set[str]) -> dict[str, str]:
    entities = sorted({registry.views[name].entity for name in view_names})
    return {key: kind for name in entities for key, kind in registry.entities[name].join_keys}


def _type_name(registry: Registry, item: ServiceFeature) -> str | None:
    feature = registry.views[item.view].feature(item.feature)
    return None if feature is None else str(feature.type)
