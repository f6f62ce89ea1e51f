"""The OpenAPI 3.1 description of the HTTP interface, made from the constants that the routes use.

It names the join keys and services of the definitions being served, so a tool that reads it can
send requests that succeed.
"""

from __future__ import annotations

from typing import Any

from fscore.registry import Registry
from fscore.serving import MAX_REQUEST_ID
from fscore_server import __version__
from fscore_server.http import query
from fscore_server.http.exchange import ARROW_STREAM
from fscore_server.http.openapi.schemas import (
    AS_OF,
    CONSISTENCY,
    KEYS_OF,
    MOMENT,
    PARTIAL,
    Json,
    input_value,
    inputs_of,
    ref,
    schemas,
    service_schema,
)
from fscore_server.http.routes.features import CONSISTENCIES
from fscore_server.problems import KINDS
from fscore_server.problems import MEDIA_TYPE as PROBLEM_TYPE
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.metrics import MEDIA_TYPE as METRICS_TYPE

# Statuses that any route may answer, because they are decided before the route is known.
_ANYWHERE = (400, 408, 431)
_READING = (404, 406, 422, 429, 500, 502, 503, 504)


def document(settings: ServerSettings, registry: Registry | None) -> Json:
    """Return the whole description; `registry` is None while there are no definitions."""
    described = _document(settings, registry)
    if settings.api_keys_file is not None:
        _require_api_key(described)
    return described


def _document(settings: ServerSettings, registry: Registry | None) -> Json:
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "fscore",
            "version": __version__,
            "summary": "Feature values for inference, read from Redis or Valkey.",
            "description": (
                "Every answer carries X-Request-ID. Errors are problem documents (RFC 9457) whose"
                " `type` names the kind of error."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [
            {"name": "features", "description": "Reading feature values."},
            {"name": "catalogue", "description": "What is defined."},
            {"name": "operations", "description": "Health, metrics and this description."},
        ],
        "paths": {
            "/v1/features": {
                "get": _read_one(settings, registry),
                "post": _read_many(settings),
            },
            "/v1/services": {"get": _listing("services", "The feature services.")},
            "/v1/views": {"get": _listing("views", "The feature views and their features.")},
            "/v1/versions": {"get": _versions()},
            "/health/live": {"get": _live()},
            "/health/ready": {"get": _ready()},
            "/metrics": {
                "get": _text("metrics", "Counters for Prometheus.", METRICS_TYPE.decode())
            },
            "/openapi.json": {"get": _self_description()},
            "/docs": {
                "get": _text("docs", "This description, to read.", "text/html; charset=utf-8")
            },
        },
        "components": {
            "schemas": schemas(settings, registry),
            "headers": {
                "RequestId": {
                    "description": "The request's id: the one that was sent, or one made here.",
                    "required": True,
                    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_REQUEST_ID},
                }
            },
        },
        "x-problems": [
            {"code": kind.code, "status": kind.status, "title": kind.title}
            for kind in KINDS.values()
        ],
    }


def _require_api_key(described: Json) -> None:
    """Add to every operation but the probes that it needs a key, and the answers without one."""
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer", "description": "An API key: fsk_…"},
        "api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    described["components"]["securitySchemes"] = schemes
    for path, methods in described["paths"].items():
        for operation in methods.values():
            if path.startswith("/health/"):
                continue
            operation["security"] = [{name: []} for name in schemes]
            refused = _problems(401, 403) if path == "/v1/features" else _problems(401)
            refused["401"]["headers"]["WWW-Authenticate"] = {
                "required": True,
                "schema": {"type": "string", "const": "Bearer"},
            }
            operation["responses"] |= refused


def _read_one(settings: ServerSettings, registry: Registry | None) -> Json:
    return {
        "operationId": "read_one",
        "tags": ["features"],
        "summary": "The features of one entity.",
        "description": (
            "The entity's join keys are query parameters. Without `service` or `features` every"
            " feature of the entity is answered. An entity that is not stored has status NOT_FOUND"
            " for every feature; that is not an error."
        ),
        "parameters": [
            *_join_key_parameters(registry),
            *_input_parameters(registry),
            _parameter("service", "The feature service to answer for.", service_schema(registry)),
            _parameter(
                "features",
                "Features, as `feature` or `view:feature`, separated by commas.",
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
                style="form",
                explode=False,
            ),
            _parameter(
                "version",
                "The data version to read instead of the service's.",
                {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
            ),
            *_common_query(),
            *_headers(settings),
        ],
        "responses": {
            "200": _json_response("The entity's features.", "OneEntity"),
            **_problems(*_READING, *_ANYWHERE),
        },
    }


def _read_many(settings: ServerSettings) -> Json:
    answer = _json_response("The features, one row for each entity.", "ManyEntities")
    answer["content"][ARROW_STREAM.decode()] = {
        "schema": {"type": "string", "format": "binary", "contentEncoding": "binary"}
    }
    return {
        "operationId": "read_many",
        "tags": ["features"],
        "summary": "The features of many entities.",
        "description": (
            "One column of values per join key, all of one length; each row is one entity. Accept"
            f" {ARROW_STREAM.decode()} answers an Arrow IPC stream instead of JSON."
        ),
        "parameters": _headers(settings),
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": ref("ReadRequest")}},
        },
        "responses": {"200": answer, **_problems(413, 415, *_READING, *_ANYWHERE)},
    }


def _listing(name: str, description: str) -> Json:
    return {
        "operationId": f"list_{name}",
        "tags": ["catalogue"],
        "summary": description,
        "responses": {
            "200": _json_response(description, name.capitalize()),
            **_problems(406, 422, 429, 500, 503, *_ANYWHERE),
        },
    }


def _versions() -> Json:
    answered = _listing("versions", "The versions of each service's data, as the store has them.")
    answered["responses"] |= _problems(502, 504)
    return answered


def _live() -> Json:
    return {
        "operationId": "live",
        "tags": ["operations"],
        "summary": "Whether the process answers.",
        "responses": {"200": _json_response("It does.", "Live"), **_problems(*_ANYWHERE)},
    }


def _ready() -> Json:
    return {
        "operationId": "ready",
        "tags": ["operations"],
        "summary": "Whether requests can be answered, and why not.",
        "responses": {
            "200": _json_response("They can.", "Ready"),
            "503": _json_response("They cannot, for these reasons.", "Ready"),
            **_problems(*_ANYWHERE),
        },
    }


def _text(name: str, description: str, media_type: str) -> Json:
    return {
        "operationId": name,
        "tags": ["operations"],
        "summary": description,
        "responses": {
            "200": _response(description, {media_type: {"schema": {"type": "string"}}}),
            **_problems(*_ANYWHERE),
        },
    }


def _self_description() -> Json:
    content = {"application/json": {"schema": {"type": "object", "required": ["openapi"]}}}
    return {
        "operationId": "openapi",
        "tags": ["operations"],
        "summary": "This description.",
        "responses": {
            "200": _response("OpenAPI 3.1 document.", content),
            **_problems(*_ANYWHERE),
        },
    }


def _join_key_parameters(registry: Registry | None) -> list[Json]:
    if registry is None or not registry.entities:
        free = {"type": "object", "additionalProperties": {"type": "string"}}
        return [
            _parameter("keys", "The join keys and their values.", free, style="form", explode=True)
        ]
    parameters: dict[str, Json] = {}
    for entity in registry.entities.values():
        for name, kind in entity.join_keys:
            parameters[name] = _parameter(name, f"Join key of {entity.name}.", KEYS_OF[kind])
    return list(parameters.values())


def _input_parameters(registry: Registry | None) -> list[Json]:
    """Return parameters for the inputs of on-request features that a query string can hold."""
    parameters = []
    for name, kinds in inputs_of(registry).items():
        values = [input_value(kind) for kind in kinds if kind in query.TYPES]
        if values:
            schema = values[0] if len(values) == 1 else {"anyOf": values}
            parameters.append(_parameter(name, "Input of features computed on request.", schema))
    return parameters


def _common_query() -> list[Json]:
    return [
        _parameter("as_of", AS_OF, MOMENT),
        _parameter("partial", PARTIAL, {"type": "boolean", "default": True}),
        _parameter("consistency", CONSISTENCY, {"type": "string", "enum": list(CONSISTENCIES)}),
    ]


def _headers(settings: ServerSettings) -> list[Json]:
    return [
        {
            "name": "X-Request-ID",
            "in": "header",
            "description": (
                f"An id for logs and errors; kept if it is 1 to {MAX_REQUEST_ID} printable ASCII"
                " characters without spaces, replaced otherwise."
            ),
            "schema": {"type": "string"},
        },
        {
            "name": "X-Request-Timeout-Ms",
            "in": "header",
            "description": f"A deadline below the server's {settings.request_timeout_ms} ms.",
            "schema": {"type": "integer", "minimum": 1, "maximum": 999_999_999},
        },
    ]


def _parameter(name: str, description: str, schema: Json, **extra: Any) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema, **extra}


def _response(description: str, content: Json) -> Json:
    return {
        "description": description,
        "headers": {"X-Request-ID": {"$ref": "#/components/headers/RequestId"}},
        "content": content,
    }


def _json_response(description: str, schema: str) -> Json:
    return _response(description, {"application/json": {"schema": ref(schema)}})


def _problems(*statuses: int) -> Json:
    return {str(status): _problem(status) for status in sorted(statuses)}


def _problem(status: int) -> Json:
    titles = [kind.title for kind in KINDS.values() if kind.status == status]
    content = {PROBLEM_TYPE.decode(): {"schema": ref("Problem")}}
    return _response(f"{'; '.join(titles)}.", content)
