"""Collectors of spans for tests: one keeps what OTLP over HTTP brings, one never answers."""

from __future__ import annotations

import http.server
import socket
import threading
from dataclasses import dataclass
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.client.driver import PATIENCE


@dataclass(frozen=True)
class Received:
    """A received span, its attributes as Python values."""

    name: str
    trace_id: str
    parent_id: str
    trace_state: str
    kind: int
    status: int
    seconds: float
    attributes: dict[str, Any]
    resource: dict[str, Any]


class Collector:
    """Listens on a free port while its block runs, and keeps every span that it gets."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.spans: list[Received] = []
        self._came = threading.Condition()
        collector = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector._take(self.path, dict(self.headers), body)
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        assert path == "/v1/traces"
        found = decoded(body)
        with self._came:
            self.bodies.append(body)
            self.headers.append(headers)
            self.spans.extend(found)
            self._came.notify_all()

    def wait_for(self, count: int, timeout: float = PATIENCE) -> list[Received]:
        """Wait until this many spans have come, and return all so far."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.spans) >= count, timeout), self.spans
            return list(self.spans)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a server send its spans here, and soon."""
        return environment(self._server.server_address[1])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Hanging:
    """A collector that accepts connections and never answers."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        return self

    def __exit__(self, *_error: object) -> None:
        self._listener.close()

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a server send its spans here, and wait long for an answer."""
        variables = environment(self._listener.getsockname()[1])
        return {**variables, "OTEL_EXPORTER_OTLP_TIMEOUT": "600"}

    def wait_for_request(self) -> socket.socket:
        """Wait for the first byte of the next request, and return its connection."""
        self._listener.settimeout(PATIENCE)
        connection, _ = self._listener.accept()
        connection.settimeout(PATIENCE)
        assert connection.recv(1) == b"P"
        return connection


def environment(port: int) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }


def decoded(body: bytes) -> list[Received]:
    """Return the spans of one export request."""
    request = ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            name=span.name,
            trace_id=span.trace_id.hex(),
            parent_id=span.parent_span_id.hex(),
            trace_state=span.trace_state,
            kind=span.kind,
            status=span.status.code,
            seconds=(span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            attributes=_attributes(span.attributes),
            resource=_attributes(resource_spans.resource.attributes),
        )
        for resource_spans in request.resource_spans
        for scope_spans in resource_spans.scope_spans
        for span in scope_spans.spans
    ]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}
