"""`/health/live` and `/health/ready` for orchestrators, and `/metrics` for Prometheus."""

from __future__ import annotations

import orjson
from starlette.types import Receive, Scope, Send

from fscore_server.auth.authentication import Authentication
from fscore_server.http.exchange import JSON, exchange_of
from fscore_server.reading.connection import State
from fscore_server.telemetry.metrics import MEDIA_TYPE, Metrics

_NO_STORE = ((b"cache-control", b"no-store"),)


class Live:
    """200 while the process answers, even if Redis does not: restarting would not help then."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await exchange_of(scope).reply(send, 200, JSON, b'{"status":"live"}', _NO_STORE)


class Ready:
    """200 when requests can be answered, 503 with every reason why not."""

    def __init__(self, state: State, authentication: Authentication | None) -> None:
        self._state = state
        self._authentication = authentication

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reasons = self._state.reasons_not_ready()
        if self._authentication is not None:
            reasons += self._authentication.reasons_not_ready()
        body = orjson.dumps(
            {
                "status": "not ready" if reasons else "ready",
                "revision": self._state.revision,
                "reasons": reasons,
            }
        )
        await exchange_of(scope).reply(send, 503 if reasons else 200, JSON, body, _NO_STORE)


class Exposition:
    """The counters of every worker, in Prometheus's text format."""

    def __init__(self, metrics: Metrics, state: State) -> None:
        self._metrics = metrics
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = self._metrics.render(self._state.versions)
        await exchange_of(scope).reply(send, 200, MEDIA_TYPE, body, _NO_STORE)
