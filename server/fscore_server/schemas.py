"""The JSON schemas of requests and answers, as the OpenAPI description has them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fscore.registry import VIEW_KINDS, Registry
from fscore_server.metrics import VALUE_STATUSES
from fscore_server.problems import KINDS
from fscore_server.routes.features import CONSISTENCIES
from fscore_server.settings import ServerSettings

Json = dict[str, Any]

PARTIAL = (
    "Whether values that cannot be had in time are answered as UNAVAILABLE (the default), or fail"
    " the whole request."
)
CONSISTENCY = (
    "`eventual` may read replicas, `primary` does not, `snapshot` reads each entity at one point"
    " in time."
)
_INTEGER: Json = {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}
KEYS_OF: dict[str, Json] = {"Int64": _INTEGER, "String": {"type": "string", "minLength": 1}}
_KEY: Json = {"oneOf": list(KEYS_OF.values())}
_STATUS: Json = {"type": "string", "enum": list(VALUE_STATUSES)}
_NAME: Json = {"type": "string"}
_COUNT: Json = {"type": "integer", "minimum": 0}
_MOMENT: Json = {"type": ["integer", "null"], "description": "Epoch milliseconds."}
_TAGS: Json = {"type": "object", "additionalProperties": _NAME}


def schemas(settings: ServerSettings, registry: Registry | None) -> Json:
    """The named schemas; `registry` is None while there are no definitions."""
    join_keys: Json = {"type": "object", "additionalProperties": {"enum": ["Int64", "String"]}}
    described: Json = {"name": _NAME, "description": _NAME, "owner": _NAME, "tags": _TAGS}
    return {
        "OneEntity": _object(
            {
                "entity": {"type": "object", "additionalProperties": _KEY},
                "features": {"type": "object"},
                "version": _INTEGER,
                "statuses": {"type": "object", "additionalProperties": _STATUS},
            },
            optional=["statuses"],
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
                },
                optional=["service", "features", "consistency", "timestamps", "partial", "version"],
            ),
            "oneOf": [{"required": ["service"]}, {"required": ["features"]}],
        },
        "ManyEntities": _object(
            {
                "features": _array(_NAME),
                "entities": {"type": "object", "additionalProperties": _array(_KEY)},
                "values": _array({"type": "array"}),
                "version": _INTEGER,
                "statuses": _array(_array(_STATUS)),
                "event_times": _array(_array({"type": ["integer", "null"]})),
            },
            optional=["statuses", "event_times"],
        ),
        "Services": _listed(
            "services",
            {
                **described,
                "version": _INTEGER,
                "join_keys": join_keys,
                "features": _array(
                    _object({"name": _NAME, "view": _NAME, "feature": _NAME, "type": _NAME})
                ),
            },
        ),
        "Views": _listed(
            "views",
            {
                **described,
                "kind": {"enum": list(VIEW_KINDS)},
                "entity": _NAME,
                "join_keys": join_keys,
                "ttl_ms": _COUNT,
                "layout": _NAME,
                "features": _array(
                    _object(
                        {
                            "name": _NAME,
                            "type": _NAME,
                            "default": {},
                            "description": _NAME,
                            "tags": _TAGS,
                        }
                    )
                ),
            },
            optional=["ttl_ms", "layout"],
        ),
        "Versions": _listed(
            "versions",
            {
                "service": _NAME,
                "version": {**_INTEGER, "description": "The one that the service reads."},
                "previous": {
                    "type": ["integer", "null"],
                    "description": "The one that a rollback would go to.",
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
                "offset": {**_COUNT, "description": "Where in the body, in bytes."},
            },
            optional=["offset"],
        ),
    }


def _listed(name: str, properties: Json, optional: Iterable[str] = ()) -> Json:
    return _object({"revision": _COUNT, name: _array(_object(properties, optional))})


def _key_columns(registry: Registry | None) -> Json:
    """Columns of keys by join key: the defined ones, or any where none are defined."""
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
    """A service's name: one of those that are defined, where any are."""
    if registry is None or not registry.services:
        return {"type": "string", "minLength": 1}
    return {"type": "string", "enum": list(registry.services)}


def ref(name: str) -> Json:
    """A reference to a named schema."""
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
