"""Spans of requests, recorded by OpenTelemetry's SDK and sent by OTLP over HTTP.

Importing this module imports the SDK. The SDK reads its own environment (`OTEL_…`), keeps spans in
a bounded queue, drops those for which there is no room, and sends the others from a thread. A
request is recorded only if its trace is sampled, once, after its answer is written.

A span has no ids, query strings, bodies or values, and no path or method that is not one of the
server's.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Collection, Sequence
from time import monotonic, time_ns

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from fscore.serving import Trace
from fscore_server import __version__
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.asked import Asked
from fscore_server.telemetry.logs import LOGGER
from fscore_server.telemetry.metrics import CLIENT_GONE
from fscore_server.telemetry.otel_log import hear

_METHODS = frozenset(
    {"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"}
)
_HOT_PATH = "/v1/features"
_EVERY_ADDRESS = frozenset({"0.0.0.0", "::"})


class Spans:
    """Records the sampled requests of one worker."""

    def __init__(self, settings: ServerSettings, routes: Collection[str]) -> None:
        self._routes = frozenset(routes)
        self._grace = settings.grace
        self._drain = settings.drain
        self._end_by: float | None = None
        self._over = threading.Event()
        hear()
        self._ids = _Ids()
        self._provider = TracerProvider(
            # The core has already sampled the requests that are recorded here.
            sampler=ALWAYS_ON,
            resource=_resource(),
            id_generator=self._ids,
            # `close` shuts it down, within a time limit.
            shutdown_on_exit=False,
        )
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("fscore_server", __version__)
        host = settings.host
        self._common: dict[str, str | int] = {
            "url.scheme": "http",
            # Not the `Host` of the request, in which a caller may write anything.
            "server.address": socket.gethostname() if host in _EVERY_ADDRESS else host,
        }
        if settings.port:
            self._common["server.port"] = settings.port

    def record_hot(
        self,
        trace: Trace,
        tracestate: bytes | None,
        request_id: bytes,
        method: str,
        answered: bool,
        seconds: float,
        asked: Asked,
    ) -> None:
        """Record a request of the hot path: answered, or its caller had closed the connection."""
        self.record(
            trace,
            [] if tracestate is None else [tracestate],
            request_id=request_id,
            method=method,
            path=_HOT_PATH,
            status=200 if answered else CLIENT_GONE,
            seconds=seconds,
            asked=asked,
        )

    def record(
        self,
        trace: Trace,
        tracestate: Sequence[bytes],
        *,
        request_id: bytes,
        method: str,
        path: str,
        status: int,
        seconds: float,
        asked: Asked | None = None,
        problem: str | None = None,
    ) -> None:
        """Record a request that ends now and took `seconds`."""
        ended = time_ns()
        method = method if method in _METHODS else "_OTHER"
        name = "HTTP" if method == "_OTHER" else method
        attributes: dict[str, str | int] = {
            **self._common,
            "http.request.method": method,
            "fscore.request_id": request_id.decode("ascii"),
        }
        if path in self._routes:
            name = f"{name} {path}"
            attributes["http.route"] = path
        if asked is not None:
            service, attributes["fscore.rows"] = asked
            if service is not None:
                attributes["fscore.definitions.service"] = service
        if status == CLIENT_GONE:
            # No status was sent.
            attributes["error.type"] = "client_gone"
        else:
            attributes["http.response.status_code"] = status
        # Below 500 the caller made the mistake, and the conventions then leave the status unset.
        failed = status >= 500
        if failed:
            attributes["error.type"] = problem or str(status)
        self._ids.trace_id = int(trace.trace_id, 16)
        span = self._tracer.start_span(
            name,
            context=set_span_in_context(_parent(trace, tracestate)),
            kind=SpanKind.SERVER,
            attributes=attributes,
            start_time=ended - int(seconds * 1e9),
        )
        if failed:
            span.set_status(StatusCode.ERROR)
        span.end(ended)

    def ending(self) -> None:
        """Start the time limit of `close`: the server was asked to end."""
        self._end_by = monotonic() + self._drain + self._grace

    def abandon(self) -> None:
        """Let `close` return at once."""
        self._over.set()

    async def close(self) -> None:
        """Send the recorded spans within what is left of the server's grace; drop the rest."""
        end_by = monotonic() + self._grace if self._end_by is None else self._end_by
        finished = False

        def flush() -> None:
            nonlocal finished
            self._provider.shutdown()
            finished = True
            self._over.set()

        # A collector may block this thread, and the loop waits for the threads of its executor,
        # so this is a daemon thread.
        threading.Thread(target=flush, name="fscore-flush-spans", daemon=True).start()
        # Half a second at least, even if requests took all of the grace.
        await asyncio.to_thread(self._over.wait, max(end_by - monotonic(), 0.5))
        if not finished:
            LOGGER.warning("the last spans were not exported: the collector did not take them")


class _Ids(RandomIdGenerator):
    """Makes ids of spans. The core makes a trace's id when it samples, so that is given here."""

    trace_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id


def _parent(trace: Trace, tracestate: Sequence[bytes]) -> NonRecordingSpan:
    """Return the caller's span for OpenTelemetry; an invalid one if the caller has none."""
    if trace.parent_id is None:
        return NonRecordingSpan(SpanContext(0, 0, is_remote=False))
    return NonRecordingSpan(
        SpanContext(
            int(trace.trace_id, 16),
            trace.parent_id,
            is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED),
            trace_state=TraceState.from_header([value.decode("latin-1") for value in tracestate]),
        )
    )


def _resource() -> Resource:
    """Return OpenTelemetry's resource from its environment, named fscore if that names none."""
    resource = Resource.create()
    own = {"service.version": __version__}
    if str(resource.attributes.get("service.name", "")).startswith("unknown_service"):
        own["service.name"] = "fscore"
        return resource.merge(Resource(own))
    return Resource(own).merge(resource)
