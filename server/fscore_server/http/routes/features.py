"""`/v1/features`: the features of one entity (GET) or of many (POST)."""

from __future__ import annotations

from typing import get_args

from starlette.types import Receive, Scope, Send

import fscore.aio
from fscore import FeatureTable
from fscore.serving import Consistency, parse_read_request
from fscore_server.http import query
from fscore_server.http.exchange import ARROW_STREAM, JSON, Exchange, exchange_of
from fscore_server.http.hot import HotRoutes
from fscore_server.http.limits import read_body, request_timeout
from fscore_server.http.negotiation import require_json, response_type
from fscore_server.problems import Problem
from fscore_server.reading.connection import State
from fscore_server.reading.prepared import PreparedSets
from fscore_server.reading.selection import Selection
from fscore_server.telemetry.invalid_values import InvalidValues
from fscore_server.telemetry.metrics import Metrics

CONSISTENCIES = get_args(Consistency)

_ONE = (JSON,)
_MANY = (JSON, ARROW_STREAM)


class Features:
    """The route's ASGI application: one for both methods, so that a 405 names both."""

    def __init__(
        self,
        state: State,
        metrics: Metrics,
        invalid_values: InvalidValues,
        hot: HotRoutes | None,
    ) -> None:
        settings = state.settings
        self._state = state
        self._prepared_sets = PreparedSets(state)
        self._metrics = metrics
        self._hot = hot
        self._timeout = settings.request_timeout
        self._max_rows = settings.max_keys
        self._max_values = settings.max_values
        self._max_body_bytes = settings.max_body_bytes
        self._body_timeout = settings.body_timeout
        self._invalid_values = invalid_values

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await self._post(scope, receive, send)
        else:
            await self._get(scope, send)

    async def _get(self, scope: Scope, send: Send) -> None:
        headers = scope["headers"]
        response_type(headers, _ONE)
        timeout = request_timeout(headers, self._timeout)
        asked = query.read_request(scope["query_string"])
        features = None if asked.features is None else tuple(asked.features)
        selection = Selection(asked.service, features, tuple(asked.names), is_flat=True)
        exchange = exchange_of(scope)
        prepared = self._prepared_sets.prepared(selection, exchange.caller)
        exchange.asked = asked.service, 1
        table = await _left_of(exchange, prepared).get(
            asked.key_columns(prepared.compiled().plan),
            timeout=exchange.left_of(timeout),
            partial=asked.partial is not False,
            version=asked.version,
            consistency=asked.consistency or "eventual",
            as_of=asked.as_of,
            request=asked if prepared.request else None,
        )
        self._count(table, exchange)
        self._learn(selection, prepared)
        await exchange.reply(send, 200, JSON, table.to_json_one(as_of=asked.as_of))

    async def _post(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        media_type = response_type(headers, _MANY)
        require_json(headers)
        timeout = request_timeout(headers, self._timeout)
        if scope["query_string"]:
            raise Problem(
                "invalid_request", "A POST has no query parameters; its body has everything."
            )
        body = await read_body(
            headers, receive, max_bytes=self._max_body_bytes, seconds=self._body_timeout
        )
        request = parse_read_request(body, self._max_rows)
        features = None if request.features is None else tuple(request.features)
        selection = Selection(request.service, features, tuple(request.entities.names))
        exchange = exchange_of(scope)
        prepared = self._prepared_sets.prepared(selection, exchange.caller)
        exchange.asked = request.service, request.rows
        if prepared.request and request.inputs is None:
            raise _without_inputs(prepared.request)
        self._check_size(request.rows, prepared)
        table = await _left_of(exchange, prepared).get(
            request.entities,
            timeout=exchange.left_of(timeout),
            partial=request.partial is not False,
            version=request.version,
            consistency=request.consistency or "eventual",
            as_of=request.as_of,
            request=request.inputs,
        )
        self._count(table, exchange)
        self._learn(selection, prepared)
        if media_type is ARROW_STREAM:
            stream = _arrow_stream(table, request.as_of)
            await exchange.reply(send, 200, ARROW_STREAM, stream)
        else:
            answer = table.to_json(timestamps=request.timestamps, as_of=request.as_of)
            await exchange.reply(send, 200, JSON, answer)

    def _learn(self, selection: Selection, prepared: fscore.aio.Prepared) -> None:
        if self._hot is not None:
            self._hot.learn(self._state.client, selection, prepared)

    def _check_size(self, rows: int, prepared: fscore.aio.Prepared) -> None:
        columns = len(prepared.features)
        if rows * columns > self._max_values:
            raise Problem(
                "request_too_large",
                f"{rows} entities times {columns} features are over the limit of"
                f" {self._max_values} values; ask for fewer at a time.",
            )

    def _count(self, table: FeatureTable, exchange: Exchange) -> None:
        if table.all_present:
            rows, columns = table.shape
            self._metrics.values_present(rows * columns)
            return
        self._metrics.values(table.count_statuses())
        if table.invalid:
            self._invalid_values.log(table, exchange.request_id, exchange.trace)


def _left_of(exchange: Exchange, prepared: fscore.aio.Prepared) -> fscore.aio.Prepared:
    """Return the prepared set with as many attempts as the hot path has left."""
    made = exchange.attempt - 1
    return prepared.after(made) if made else prepared


def _arrow_stream(table: FeatureTable, as_of: int | None) -> bytes:
    # Imported here, so that only servers that answer in Arrow load it.
    import pyarrow as pa

    metadata = {"fscore.version": str(table.version)}
    if as_of is not None:
        metadata["fscore.as_of"] = str(as_of)
    sink = pa.BufferOutputStream()
    with pa.RecordBatchReader.from_stream(table) as batches:
        schema = batches.schema.with_metadata(metadata)
        with pa.ipc.new_stream(sink, schema) as stream:
            for batch in batches:
                stream.write_batch(batch)
    rendered: bytes = sink.getvalue().to_pybytes()
    return rendered


def _without_inputs(needed: dict[str, str]) -> Problem:
    listed = ", ".join(f"{name!r} ({kind})" for name, kind in needed.items())
    return Problem(
        "invalid_request",
        f"These features need the request's inputs {listed}; the body has no member 'request'.",
    )
