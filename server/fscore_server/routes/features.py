"""`/v1/features`: the features of one entity (GET) or of many (POST)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.types import Receive, Scope, Send

import fscore.aio
from fscore import FeatureTable
from fscore._fscore import parse_read_request
from fscore_server import query
from fscore_server.exchange import ARROW_STREAM, JSON, Exchange, exchange_of
from fscore_server.limits import read_body, request_timeout
from fscore_server.logs import LOGGER, RateLimited
from fscore_server.metrics import Metrics
from fscore_server.negotiation import require_json, response_type
from fscore_server.problems import Problem
from fscore_server.selection import PreparedSets, Selection
from fscore_server.state import State

PARAMETERS = frozenset({"service", "features", "version", "partial", "consistency"})
CONSISTENCIES = ("eventual", "primary", "snapshot")

_ONE = (JSON,)
_MANY = (JSON, ARROW_STREAM)


class Features:
    """The route's ASGI application: one for both methods, so that a 405 names both."""

    def __init__(self, state: State, metrics: Metrics) -> None:
        settings = state.settings
        self._prepared_sets = PreparedSets(state)
        self._metrics = metrics
        self._timeout = settings.request_timeout
        self._max_rows = settings.max_keys
        self._max_values = settings.max_values
        self._max_body_bytes = settings.max_body_bytes
        self._body_timeout = settings.body_timeout
        self._invalid_lines = RateLimited(10, 1.0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await self._post(scope, receive, send)
        else:
            await self._get(scope, send)

    async def _get(self, scope: Scope, send: Send) -> None:
        headers = scope["headers"]
        response_type(headers, _ONE)
        timeout = request_timeout(headers, self._timeout)
        keys = query.parse(scope["query_string"])
        options = {name: keys.pop(name) for name in PARAMETERS & keys.keys()}
        selection = Selection(
            _named_service(options.get("service")),
            _named_features(options.get("features")),
            tuple(keys),
        )
        prepared = self._prepared_sets.prepared(selection)
        arguments = _arguments(options) if options else {}
        columns = {
            name: [_READERS[kind](name, keys[name])] for name, kind in prepared.join_keys.items()
        }
        table = await prepared.get(columns, timeout=timeout, **arguments)
        exchange = exchange_of(scope)
        self._count(table, exchange)
        await exchange.reply(send, 200, JSON, table.to_json_one())

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
        prepared = self._prepared_sets.prepared(
            Selection(request.service, features, tuple(request.entities.names))
        )
        self._check_size(request.rows, prepared)
        table = await prepared.get(
            request.entities,
            timeout=timeout,
            partial=request.partial is not False,
            version=request.version,
            consistency=request.consistency or "eventual",
        )
        exchange = exchange_of(scope)
        self._count(table, exchange)
        if media_type is ARROW_STREAM:
            await exchange.reply(send, 200, ARROW_STREAM, _arrow_stream(table))
        else:
            await exchange.reply(send, 200, JSON, table.to_json(timestamps=request.timestamps))

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
        if table.invalid and (suppressed := self._invalid_lines.admit()) is not None:
            _row, feature, reason = table.problems[0]
            LOGGER.warning(
                "stored value is not of its feature's type",
                extra={
                    "fields": {
                        "request_id": exchange.request_id.decode("ascii"),
                        "feature": feature,
                        "reason": reason,
                        "values": table.invalid,
                        "suppressed": suppressed,
                    }
                },
            )


def _arrow_stream(table: FeatureTable) -> bytes:
    # Imported here: who never asks for Arrow does not load it.
    import pyarrow as pa

    columns = table.to_arrow().replace_schema_metadata({"fscore.version": str(table.version)})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema) as stream:
        stream.write_table(columns)
    rendered: bytes = sink.getvalue().to_pybytes()
    return rendered


def _string(_name: str, value: str) -> str:
    return value


# A key's text in a query string is read as its join key's type.
_READERS: dict[str, Callable[[str, str], Any]] = {"Int64": query.integer, "String": _string}


def _named_service(text: str | None) -> str | None:
    if text == "":
        raise Problem("invalid_request", "The parameter 'service' is empty.")
    return text


def _named_features(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(text.split(","))
    if not all(names):
        raise Problem("invalid_request", "The parameter 'features' is names separated by commas.")
    return names


def _arguments(options: dict[str, str]) -> dict[str, Any]:
    """The optional arguments of a read, from the parameters of the same names."""
    arguments: dict[str, Any] = {}
    if "version" in options:
        arguments["version"] = query.integer("version", options["version"], least=1)
    if "partial" in options:
        arguments["partial"] = query.flag("partial", options["partial"])
    if "consistency" in options:
        if options["consistency"] not in CONSISTENCIES:
            raise Problem(
                "invalid_request",
                f"The parameter 'consistency' is one of {', '.join(CONSISTENCIES)}.",
            )
        arguments["consistency"] = options["consistency"]
    return arguments
