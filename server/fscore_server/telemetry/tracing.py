"""The trace that a request is part of, and what records it where that is wanted.

What a trace is, and which requests begin one, the core says for both paths. Here is what the
application reads of a request's header, and where OpenTelemetry is imported, if it is.
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
# Probes and scrapes come all day, and nobody looks for their traces.
_MAY_BEGIN = "/v1/"


def traces_of(settings: ServerSettings) -> Traces:
    """What says which trace each request of a worker is part of."""
    ratio = 0.0 if settings.tracing == "off" else settings.tracing_ratio
    return Traces(ratio, secrets.token_bytes(16))


def trace_of(traces: Traces, scope: Scope) -> Trace | None:
    """The trace of a request; a `traceparent` that is given twice names none."""
    parents = header_values(scope, b"traceparent")
    parent = parents[0] if len(parents) == 1 else None
    return traces.of(parent, may_begin=scope["path"].startswith(_MAY_BEGIN))


def header_values(scope: Scope, wanted: bytes) -> list[bytes]:
    """All values of a header, by its lower-case name."""
    return [value for name, value in scope["headers"] if name == wanted]


def check_installed(settings: ServerSettings) -> None:
    """Raises `ConfigError` where traces are to be recorded and the packages for it are missing."""
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
    """What records the requests of a worker, where that is wanted."""
    if settings.tracing == "off":
        return None
    check_installed(settings)
    # Imported here: it takes as long as the rest of the server, and who records nothing needs none.
    from fscore_server.telemetry.spans import Spans

    try:
        return Spans(settings, routes)
    except ValueError as error:
        raise ConfigError(f"OpenTelemetry does not take its settings (OTEL_…): {error}") from error
