"""The JSON schemas of requests and answers in the OpenAPI description."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fscore import resolve
from fscore.registry import LAYOUTS, Registry, RequestViewDefinition
from fscore_server.http.routes.features import CONSISTENCIES
from fscore_server.problems import KINDS
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.metrics import VALUE_STATUSES

Json = dict[str, Any]

PARTIAL = (
    "Whether values that do not arrive in time are answered as UNAVAILABLE (the default), or fail"
    " the whole request."
)
CONSISTENCY = (
    "`eventual` may read replicas, `primary` does not, `snapshot` reads each entity at one point"
    " in time."
)
AS_OF = (
    "The time at which windows end and expiry is decided, instead of now: RFC 3339 with an offset"
    " from UTC, or epoch milliseconds."
)
MOMENT: Json = {
    "oneOf": [
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": 0, "maximum": 253_402_300_799_999},
    ]
}
_ANSWERED = "The time of the read, in epoch milliseconds, if the request named one."
_REQUEST = (
    "Inputs of features that are computed on request: for each one value, or an array of one value"
    " for each row. The services list which they need."
)
_INTEGER: Json = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
_TIMESTAMP: Json = {"oneOf": [_INTEGER, {"type": "string", "format": "date-time"}]}
_SCALARS: dict[str, Json] = {
    "Int64": _INTEGER,
    "Float32": {"type": "number", "minimum": -3.4e38, "maximum": 3.4e38},
    "Float64": {"type": "number"},
    "Bool": {"type": "boolean"},
    "String": {"type": "string"},
    "Bytes": {"type": "string", "contentEncoding": "base64"},
    "Timestamp": _TIMESTAMP,
    "Timestamp[s]": _TIMESTAMP,
}
# One part of a composite key may be empty.
KEYS_OF: dict[str, Json] = {"Int64": _INTEGER, "String": {"type": "string"}}
_KEY: Json = {"oneOf": list(KEYS_OF.values())}
_STATUS: Json = {"type": "string", "enum": list(VALUE_STATUSES)}
_NAME: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_MOMENT: Json = {"type": ["integer", "null"], "description": "Epoch milliseconds."}
_TAGS: Json = {"type": "object", "additionalProperties": _NAME}
_NAME_OR_NULL: Json = {"type": ["string", "null"]}
_OBJECT_OR_NULL: Json = {"type": ["object", "null"]}
_SOURCE: Json = {**_OBJECT_OR_NULL, "description": "Where its rows come from."}
_LENGTH: Json = {**_COUNT, "description": "Milliseconds; 0 for no limit."}
_TYPES: Json = {"type": "object", "additionalProperties": _NAME}
_IDS: Json = {**_NAME_OR_NULL, "description": "How an id is written from its number."}
_VIEWS = ("FeatureView", "SeriesView", "FlagView", "RequestView")


def schemas(settings: ServerSettings, registry: Registry | None) -> Json:
    """Return the schemas by name; `registry` is None while there are no definitions."""
    join_keys: Json = {"type": "object", "additionalProperties": {"enum": ["Int64", "String"]}}
    described: Json = {"name": _NAME, "description": _NAME, "owner": _NAME, "tags": _TAGS}
    return {
        "OneEntity": _object(
            {
                "entity": {"type": "object", "additionalProperties": _KEY},
                "features": {"type": "object"},
                "version": _INTEGER,
                "statuses": {"type": "object", "additionalProperties": _STATUS},
                "as_of": {**_COUNT, "description": _ANSWERED},
            },
            optional=["statuses", "as_of"],
        ),
        "ReadRequest": {
            **_object(
                {
                    "service": service_schema(registry),
                    "features": _array({"type": "string", "minLength": 1}, minItems=1),
                    "entities": {
                        **_key_columns(registry),
                        "description": (
                            "One array of values per join key. Entities times features are at most"
                            f" {settings.max_values}."
                        ),
                    },
                    "consistency": {
                        "type": "string",
                        "enum": list(CONSISTENCIES),
                        "description": CONSISTENCY,
                    },
                    "timestamps": {
                        "type": "boolean",
                        "default": False,
                        "description": "Whether the answer has `event_times`.",
                    },
                    "partial": {"type": "boolean", "default": True, "description": PARTIAL},
                    "version": {"type": "integer", "minimum": 1, "maximum": 2**63 - 1},
                    "as_of": {**MOMENT, "description": AS_OF},
                    "request": {**_inputs(registry), "description": _REQUEST},
                },
                optional=[
                    *("service", "features", "consistency", "timestamps", "partial", "version"),
                    *("as_of", "request"),
                ],
            ),
            "oneOf": _selections(registry),
        },
        "ManyEntities": _object(
            {
                "features": _array(_NAME),
                "entities": {"type": "object", "additionalProperties": _array(_KEY)},
                "values": _array({"type": "array"}),
                "version": _INTEGER,
                "statuses": _array(_array(_STATUS)),
                "event_times": _array(_array({"type": ["integer", "null"]})),
                "as_of": {**_COUNT, "description": _ANSWERED},
            },
            optional=["statuses", "event_times", "as_of"],
        ),
        "Services": _listed(
            "services",
            {
                **described,
                "version": _INTEGER,
                "join_keys": join_keys,
                "request": {**_TYPES, "description": "Inputs that a request must have as well."},
                "features": _array(
                    _object({"name": _NAME, "view": _NAME, "feature": _NAME, "type": _NAME})
                ),
            },
        ),
        "Views": _object(
            {"revision": _COUNT, "views": _array({"oneOf": [ref(name) for name in _VIEWS]})}
        ),
        **_views(described | {"entity": _NAME, "join_keys": join_keys}),
        "Versions": _listed(
            "versions",
            {
                "service": _NAME,
                "version": {**_INTEGER, "description": "The version that the service reads."},
                "previous": {
                    "type": ["integer", "null"],
                    "description": "The version that a rollback would go to.",
                },
                "versions": _array(
                    _object(
                        {
                            "version": _INTEGER,
                            "state": {"type": "string", "enum": ["filling", "live", "retired"]},
                            "created_at": _MOMENT,
                            "created_by": _NAME,
                            "comment": _NAME,
                            "promoted_at": _MOMENT,
                            "previous": {"type": ["integer", "null"]},
                            "retired_at": _MOMENT,
                            "reclaimed_at": _MOMENT,
                        }
                    )
                ),
            },
        ),
        "Live": _object({"status": {"const": "live"}}),
        "Ready": _object(
            {
                "status": {"enum": ["ready", "not ready"]},
                "revision": _COUNT,
                "reasons": _array(_object({"code": _NAME, "detail": _NAME})),
            }
        ),
        "Problem": _object(
            {
                "type": {"type": "string", "enum": [kind.type for kind in KINDS.values()]},
                "title": _NAME,
                "status": {"enum": sorted({kind.status for kind in KINDS.values()})},
                "detail": _NAME,
                "instance": _NAME,
                "request_id": _NAME,
                "offset": {**_COUNT, "description": "Position of the error in the body, in bytes."},
            },
            optional=["offset"],
        ),
    }


def _views(described: Json) -> Json:
    """Return the schema of each kind of view; `described` has the properties that all have."""
    feature = {
        "name": _NAME,
        "type": _NAME,
        "default": {},
        "description": _NAME,
        "tags": _TAGS,
    }

    def view(kind: str, description: str, of_feature: Json, properties: Json) -> Json:
        features = _array(_object(feature | of_feature))
        own = {"kind": {"const": kind}, **properties, "features": features}
        return {**_object(described | {"source": _SOURCE} | own), "description": description}

    mapping = {
        "mapping": {**_OBJECT_OR_NULL, "description": "How it is computed from rows of the source."}
    }
    return {
        "FeatureView": view(
            "features",
            "Rows of features that arrive together.",
            mapping
            | {"ttl_ms": {**_COUNT, "description": "Its own or its view's; 0 for no limit."}},
            {
                "ttl_ms": _LENGTH,
                "layout": {"enum": list(LAYOUTS), "description": "How rows are stored."},
                "migrating_from": {
                    "enum": [*LAYOUTS, None],
                    "description": "The old layout, in which rows are still written as well.",
                },
            },
        ),
        "SeriesView": view(
            "series",
            "Events of an entity, and features over windows of them.",
            {
                "window": _object(
                    {
                        "op": _NAME,
                        "field": _NAME_OR_NULL,
                        "window_ms": _LENGTH,
                        "n": _COUNT,
                        "gap_ms": _COUNT,
                        "tiles": {"enum": ["none", "exact", "granular"]},
                    }
                )
                | {"description": "The function, and what of it is read from tiles."}
            },
            {
                "payload": {
                    **_array(_object({"name": _NAME, "type": _NAME, "column": _NAME})),
                    "description": "The fields of an event, and the source's columns.",
                },
                "where": {
                    "type": "object",
                    "additionalProperties": _array(_NAME_OR_NULL),
                    "description": "Which rows of the source are events.",
                },
                "retention_ms": _LENGTH,
                "max_events": {**_COUNT, "description": "0 for no limit."},
                "repeats": {
                    "enum": ["count", "collapse"],
                    "description": "Whether events with the same time and payload count as several"
                    " or as one.",
                },
                "event_id": {
                    **_NAME_OR_NULL,
                    "description": "The column that tells events with the same time apart.",
                },
                "tile_ms": {**_COUNT, "description": "Milliseconds; 0 for no tiles."},
                "tile_retention_ms": _LENGTH,
            },
        ),
        "FlagView": view("flags", "Bits of very many entities.", mapping, {"ids": _IDS}),
        "RequestView": view(
            "request",
            "Features that are computed when they are read.",
            {"expression": {**_NAME, "description": "As definitions write it."}},
            {"request": {**_TYPES, "description": "Inputs that requests bring, and their types."}},
        ),
    }


def _listed(name: str, properties: Json, optional: Iterable[str] = ()) -> Json:
    return _object({"revision": _COUNT, name: _array(_object(properties, optional))})


def _selections(registry: Registry | None) -> list[Json]:
    """Return schemas of what a request may name, each with what it then needs: one for each
    service, and one for features."""
    features = {"required": ["features"], "properties": {"service": False}}
    if registry is None or not registry.services:
        return [{"required": ["service"], "properties": {"features": False}}, features]
    return [*(_service_request(registry, name) for name in registry.services), features]


def _service_request(registry: Registry, name: str) -> Json:
    needed = resolve(registry, name)
    properties = {
        "service": {"const": name},
        "features": False,
        "entities": {"required": list(needed.join_keys), "maxProperties": len(needed.join_keys)},
        "request": {
            "required": [name for name, _ in needed.request],
            "maxProperties": len(needed.request),
        },
    }
    required = ["service", "request"] if needed.request else ["service"]
    return {"required": required, "properties": properties}


def inputs_of(registry: Registry | None) -> dict[str, list[str]]:
    """Return the inputs that requests may have, each with the types that views give it."""
    inputs: dict[str, list[str]] = {}
    for view in registry.views.values() if registry is not None else ():
        if isinstance(view, RequestViewDefinition):
            for name, kind in view.request:
                inputs.setdefault(name, [])
                inputs[name] += [kind] if kind not in inputs[name] else []
    return inputs


def input_value(kind: str) -> Json:
    """Return the schema of one value of an input of this type."""
    if kind in _SCALARS:
        return _SCALARS[kind]
    family, _, inner = kind.partition("[")
    inner = inner.removesuffix("]")
    if family == "Vector":
        size = int(inner)
        return _array(_SCALARS["Float32"], minItems=size, maxItems=size)
    return _array(_SCALARS[inner])


def _inputs(registry: Registry | None) -> Json:
    inputs: Json = {}
    for name, kinds in inputs_of(registry).items():
        values = [*(input_value(kind) for kind in kinds), {"type": "null"}]
        inputs[name] = {"anyOf": [*values, _array({"anyOf": values}, minItems=1)]}
    return {"type": "object", "properties": inputs, "additionalProperties": False}


def _key_columns(registry: Registry | None) -> Json:
    """Return the schema of key columns: of the defined join keys, or of any if none are defined."""
    if registry is None or not registry.entities:
        return {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": _array(_KEY, minItems=1),
        }
    kinds = {name: kind for entity in registry.entities.values() for name, kind in entity.join_keys}
    columns = {name: _array(KEYS_OF[kind], minItems=1) for name, kind in kinds.items()}
    return {
        "type": "object",
        "minProperties": 1,
        "properties": columns,
        "additionalProperties": False,
    }


def service_schema(registry: Registry | None) -> Json:
    """Return the schema of a service's name: one of the defined ones, or any if there are none."""
    if registry is None or not registry.services:
        return {"type": "string", "minLength": 1}
    return {"type": "string", "enum": list(registry.services)}


def ref(name: str) -> Json:
    """Return a reference to a named schema."""
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Json, optional: Iterable[str] = ()) -> Json:
    skipped = set(optional)
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in skipped],
        "additionalProperties": False,
    }


def _array(items: Json, **extra: Any) -> Json:
    return {"type": "array", "items": items, **extra}
