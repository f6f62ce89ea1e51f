"""The trace of a request, and the recorder of spans if tracing is on.

The core decides for the hot path and the application alike which trace a request is part of. This
module reads the application's headers for it, and imports OpenTelemetry if tracing is on.
"""

from __future__ import annotations

import importlib.util
import secrets
from collections.abc import Collection
from typing import TYPE_CHECKING

from starlette.types import Scope

from fscore.errors import ConfigError
from fscore.serving import Trace, Traces
from fscore_server.settings import ServerSettings

if TYPE_CHECKING:
    from fscore_server.telemetry.spans import Spans

_PACKAGES = ("opentelemetry.sdk.trace", "opentelemetry.exporter.otlp.proto.http.trace_exporter")
# Probes and scrapes come all day and nobody needs their traces, so they begin none.
_MAY_BEGIN = "/v1/"


def traces_of(settings: ServerSettings) -> Traces:
    """Return the core's object that decides which trace each request of a worker is part of."""
    ratio = 0.0 if settings.tracing == "off" else settings.tracing_ratio
    return Traces(ratio, secrets.token_bytes(16))


def trace_of(traces: Traces, scope: Scope) -> Trace | None:
    """Return the trace of a request, or None; a `traceparent` that is given twice is ignored."""
    parents = header_values(scope, b"traceparent")
    parent = parents[0] if len(parents) == 1 else None
    return traces.of(parent, may_begin=scope["path"].startswith(_MAY_BEGIN))


def header_values(scope: Scope, wanted: bytes) -> list[bytes]:
    """Return all values of a header; `wanted` is its name in lower case."""
    return [value for name, value in scope["headers"] if name == wanted]


def check_installed(settings: ServerSettings) -> None:
    """Raise `ConfigError` if tracing is on and OpenTelemetry's packages are missing."""
    if settings.tracing == "off":
        return
    try:
        found = all(importlib.util.find_spec(package) for package in _PACKAGES)
    except ModuleNotFoundError:
        found = False
    if not found:
        raise ConfigError(
            f"tracing={settings.tracing} (FSCORE_TRACING) needs OpenTelemetry, the extra 'otel' of"
            " fscore-server: pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http"
        )


def spans_of(settings: ServerSettings, routes: Collection[str]) -> Spans | None:
    """Return the recorder of a worker's requests; None if tracing is off."""
    if settings.tracing == "off":
        return None
    check_installed(settings)
    # Importing OpenTelemetry takes as long as the rest of the server, so only tracing pays for it.
    from fscore_server.telemetry.spans import Spans

    try:
        return Spans(settings, routes)
    except ValueError as error:
        raise ConfigError(f"OpenTelemetry does not take its settings (OTEL_…): {error}") from error
