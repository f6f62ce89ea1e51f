"""`create_app(settings)`: the ASGI application of one worker process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from starlette.routing import Route, Router

from fscore_server.auth.authentication import Authentication
from fscore_server.http.boundary import Boundary
from fscore_server.http.hot import HotRoutes
from fscore_server.http.routes import catalogue, health
from fscore_server.http.routes.documentation import DocsPage, OpenApiDocument
from fscore_server.http.routes.features import Features
from fscore_server.reading.connection import State
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.invalid_values import InvalidValues
from fscore_server.telemetry.metrics import Metrics
from fscore_server.telemetry.tracing import spans_of, traces_of


def create_app(
    settings: ServerSettings,
    *,
    worker: int = 0,
    workers: int = 1,
    metrics_path: Path | None = None,
) -> Boundary:
    """Make the ASGI application of a worker, which connects to Redis in its lifespan.

    It does not read the environment; only OpenTelemetry does, if tracing is on.

    Worker number `worker` of `workers` counts in its own part of the file `metrics_path`, which
    all workers share.
    """
    methods = {
        "/v1/features": ["GET", "POST"],
        "/v1/services": ["GET"],
        "/v1/views": ["GET"],
        "/v1/versions": ["GET"],
        "/health/live": ["GET"],
        "/health/ready": ["GET"],
        "/metrics": ["GET"],
        "/openapi.json": ["GET"],
        "/docs": ["GET"],
    }
    metrics = Metrics(
        [(method, path) for path, allowed in methods.items() for method in allowed],
        worker=worker,
        workers=workers,
        path=metrics_path,
    )
    state = State(settings, metrics)
    invalid_values = InvalidValues()
    traces = traces_of(settings)
    spans = spans_of(settings, methods)
    hot = (
        HotRoutes(settings, metrics, invalid_values, traces, spans) if settings.hot_routes else None
    )
    authentication = None
    if settings.api_keys_file is not None:
        changed = hot.reads.set_api_keys if hot is not None else lambda _keys: None
        authentication = Authentication(settings.api_keys_file, metrics, changed)
    endpoints: dict[str, Any] = {
        "/v1/features": Features(state, metrics, invalid_values, hot),
        "/v1/services": catalogue.Catalogue(state, "services", catalogue.services),
        "/v1/views": catalogue.Catalogue(state, "views", catalogue.views),
        "/v1/versions": catalogue.Versions(state),
        "/health/live": health.Live(),
        "/health/ready": health.Ready(state, authentication),
        "/metrics": health.Exposition(metrics, state),
        "/openapi.json": OpenApiDocument(state),
        "/docs": DocsPage(),
    }

    @asynccontextmanager
    async def lifespan(_app: object) -> AsyncIterator[None]:
        if authentication is not None:
            await authentication.start()
        await state.start()
        try:
            yield
        finally:
            if authentication is not None:
                await authentication.stop()
            await state.stop()
            if spans is not None:
                await spans.close()

    router = Router(
        # Starlette tries routes in order, so the hot route comes first. It calls endpoints that are
        # objects as ASGI applications, without its request and exception wrappers.
        [Route(path, endpoint, methods=methods[path]) for path, endpoint in endpoints.items()],
        redirect_slashes=False,
        lifespan=lifespan,
    )
    return Boundary(router, state, metrics, hot, traces, spans, authentication)
