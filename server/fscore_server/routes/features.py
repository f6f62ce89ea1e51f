"""`/v1/features`: the features of one entity (GET) or of many (POST)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from starlette.types import Receive, Scope, Send

import fscore.aio
from fscore import FeatureTable
from fscore._client import Consistency
from fscore._fscore import parse_read_request
from fscore_server import query
from fscore_server.exchange import ARROW_STREAM, JSON, Exchange, exchange_of
from fscore_server.limits import read_body, request_timeout
from fscore_server.logs import LOGGER, RateLimited
from fscore_server.metrics import Metrics
from fscore_server.negotiation import require_json, response_type
from fscore_server.problems import Problem
from fscore_server.selection import PreparedSets, Selection
from fscore_server.state import Cache, State

CONSISTENCIES = ("eventual", "primary", "snapshot")

_OPTIONS = frozenset({"version", "partial", "consistency", "as_of"})

_ONE = (JSON,)
_MANY = (JSON, ARROW_STREAM)


_Reader = Callable[[str, str], Any]
_Readers = list[tuple[str, _Reader]]
_Prepared = tuple[fscore.aio.Prepared, _Readers, _Readers]


class Features:
    """The route's ASGI application: one for both methods, so that a 405 names both."""

    def __init__(self, state: State, metrics: Metrics) -> None:
        settings = state.settings
        self._state = state
        self._prepared_sets = PreparedSets(state)
        self._queries: Cache[_Prepared] = Cache(settings.prepared_features)
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
        service, features = keys.pop("service", None), keys.pop("features", None)
        options = {} if _OPTIONS.isdisjoint(keys) else _options(keys)
        prepared, readers, input_readers = self._prepared_one(service, features, tuple(keys))
        columns = {name: [read(name, keys[name])] for name, read in readers}
        if input_readers:
            options["request"] = {name: read(name, keys[name]) for name, read in input_readers}
        table = await prepared.get(columns, timeout=timeout, **options)
        exchange = exchange_of(scope)
        self._count(table, exchange)
        await exchange.reply(send, 200, JSON, table.to_json_one(as_of=options.get("as_of")))

    def _prepared_one(
        self, service: str | None, features: str | None, names: tuple[str, ...]
    ) -> _Prepared:
        """The prepared set of a query, and how its join keys and inputs are read; kept."""
        registry = self._state.defined_client().registry
        key = (service, features, names)
        found = self._queries.get(key, registry)
        if found is None:
            selection = Selection(service, _feature_names(features), names, is_flat=True)
            prepared = self._prepared_sets.prepared(selection)
            readers = [(name, READERS[kind]) for name, kind in prepared.join_keys.items()]
            input_readers = [(name, _reader(name, kind)) for name, kind in prepared.request.items()]
            found = prepared, readers, input_readers
            self._queries.put(key, registry, found, len(prepared.features))
        return found

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
        if prepared.request and request.inputs is None:
            raise _without_inputs(prepared.request)
        self._check_size(request.rows, prepared)
        table = await prepared.get(
            request.entities,
            timeout=timeout,
            partial=request.partial is not False,
            version=request.version,
            # The parser lets no other pass.
            consistency=cast(Consistency, request.consistency or "eventual"),
            as_of=request.as_of,
            request=request.inputs,
        )
        exchange = exchange_of(scope)
        self._count(table, exchange)
        if media_type is ARROW_STREAM:
            stream = _arrow_stream(table, request.as_of)
            await exchange.reply(send, 200, ARROW_STREAM, stream)
        else:
            answer = table.to_json(timestamps=request.timestamps, as_of=request.as_of)
            await exchange.reply(send, 200, JSON, answer)

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


def _arrow_stream(table: FeatureTable, as_of: int | None) -> bytes:
    # Imported here: who never asks for Arrow does not load it.
    import pyarrow as pa

    metadata = {"fscore.version": str(table.version)}
    if as_of is not None:
        metadata["fscore.as_of"] = str(as_of)
    columns = table.to_arrow().replace_schema_metadata(metadata)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, columns.schema) as stream:
        stream.write_table(columns)
    rendered: bytes = sink.getvalue().to_pybytes()
    return rendered


def _string(_name: str, value: str) -> str:
    return value


def _float32(name: str, value: str) -> float:
    # From half of the last digit beyond the greatest on, all round to infinity.
    return query.number(name, value, below=2.0**128 - 2.0**103)


# Text in a query string is read as the type of the join key or of the input.
READERS: dict[str, _Reader] = {
    "Int64": query.integer,
    "String": _string,
    "Float64": query.number,
    "Float32": _float32,
    "Bool": query.flag,
    "Timestamp": query.timestamp,
    "Timestamp[s]": query.timestamp,
}


def _reader(name: str, kind: str) -> _Reader:
    if kind not in READERS:
        raise Problem(
            "invalid_request",
            f"The input {name!r} is {kind}, which a query string does not hold; use POST.",
        )
    return READERS[kind]


def _without_inputs(needed: dict[str, str]) -> Problem:
    listed = ", ".join(f"{name!r} ({kind})" for name, kind in needed.items())
    return Problem(
        "invalid_request",
        f"These features need the request's inputs {listed}; the body has no member 'request'.",
    )


def _feature_names(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    names = tuple(text.split(","))
    if not all(names):
        raise Problem("invalid_request", "The parameter 'features' is names separated by commas.")
    return names


def _options(parameters: dict[str, str]) -> dict[str, Any]:
    """The optional arguments of a read, taken out of the parameters."""
    options: dict[str, Any] = {}
    if (version := parameters.pop("version", None)) is not None:
        options["version"] = query.integer("version", version, least=1)
    if (partial := parameters.pop("partial", None)) is not None:
        options["partial"] = query.flag("partial", partial)
    if (consistency := parameters.pop("consistency", None)) is not None:
        if consistency not in CONSISTENCIES:
            raise Problem(
                "invalid_request",
                f"The parameter 'consistency' is one of {', '.join(CONSISTENCIES)}.",
            )
        options["consistency"] = consistency
    if (as_of := parameters.pop("as_of", None)) is not None:
        options["as_of"] = query.moment("as_of", as_of)
    return options
