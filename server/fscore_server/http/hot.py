"""Plain reads of features, answered before ASGI.

The core scans a request, validates it with the parsers that the application's route uses, reads by
a plan that the application compiled before, and renders the answer as soon as Redis replies. The
application answers all other requests, on the same connection and in order: those for other routes,
those whose body has not arrived yet, pipelined ones, and those whose answer is not a 200 in JSON.
"""

from __future__ import annotations

import secrets
from time import monotonic
from typing import TYPE_CHECKING

import fscore.aio
from fscore.serving import HotReads, Trace, Traces
from fscore_server.reading.selection import Selection
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.invalid_values import InvalidValues
from fscore_server.telemetry.logs import log_access
from fscore_server.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from fscore_server.telemetry.spans import Spans

PATH = "/v1/features"


class HotRoutes:
    """The hot routes of one worker."""

    def __init__(
        self,
        settings: ServerSettings,
        metrics: Metrics,
        invalid_values: InvalidValues,
        traces: Traces,
        spans: Spans | None,
    ) -> None:
        self.reads = HotReads(
            metrics.route_counters("GET", PATH),
            metrics.route_counters("POST", PATH),
            monotonic(),
            secrets.token_hex(8).encode(),
            traces,
            {
                "invalid": invalid_values.log,
                "answered": _log_access if settings.access_log else None,
                "sampled": None if spans is None else spans.record_hot,
            },
            path=PATH.encode(),
            timeout=settings.request_timeout,
            max_requests=settings.max_requests,
            max_header_bytes=settings.max_header_bytes,
            max_body_bytes=settings.max_body_bytes,
            max_rows=settings.max_keys,
            max_values=settings.max_values,
            max_learned=settings.prepared_features,
        )

    def learn(
        self, client: fscore.aio.Client, selection: Selection, prepared: fscore.aio.Prepared
    ) -> None:
        """Let the hot route answer requests for this selection by this prepared set from now on."""
        compiled = prepared.compiled()
        if compiled.fault is not None:
            return
        features = selection.features
        self.reads.learn(
            client,
            selection.service,
            None if features is None else list(features),
            list(selection.names),
            compiled.plan,
            compiled.current,
            list(compiled.resolved.view_names),
        )


def _log_access(
    request_id: bytes, method: str, seconds: float, trace: Trace | None, key: str | None
) -> None:
    log_access(request_id, method, PATH, 200, seconds, trace, key)
