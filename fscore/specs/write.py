"""Makes the plain data (specs) from which the extension compiles a view's writes and removals."""

from __future__ import annotations

from typing import Any

from fscore.errors import InvalidValue
from fscore.model.fingerprint import fingerprint
from fscore.model.views import (
    LAYOUTS,
    FeatureViewDefinition,
    FlagViewDefinition,
    SeriesViewDefinition,
    ViewDefinition,
)
from fscore.registry.registry import Registry


def write_spec_of(registry: Registry, view: ViewDefinition) -> dict[str, Any]:
    """Return the spec for writes to a view. Raises InvalidValue if it is computed on request."""
    match view:
        case FeatureViewDefinition():
            layout, *others = view.layouts
            spec = layout_spec(registry, view, layout)
            spec["also"] = layout_spec(registry, view, others[0]) if others else None
            return spec
        case SeriesViewDefinition():
            return _series_spec(registry, view)
        case FlagViewDefinition():
            return _common(registry, view, "flags") | {"ids": view.ids}
    raise InvalidValue(
        f"view {view.name} is computed on request, and nothing is written to it: write to the "
        "views that it is computed from"
    )


def delete_spec_of(registry: Registry, view: ViewDefinition) -> dict[str, Any]:
    """Return the spec for the removal of rows, in both layouts, whichever of them the view has.

    If only the layout in use were cleared, a row that is left in the other would look like one that
    was never copied, and a migration would copy it back. That could happen between the two steps
    too, so the layout that is not in use is cleared first.
    """
    spec = write_spec_of(registry, view)
    if isinstance(view, FeatureViewDefinition) and spec["also"] is None:
        other = LAYOUTS[1 - LAYOUTS.index(view.layout)]
        return layout_spec(registry, view, other) | {"also": spec}
    return spec


def layout_spec(registry: Registry, view: FeatureViewDefinition, layout: str) -> dict[str, Any]:
    """Return the spec of a feature view in one layout, whether or not the view has it."""
    spec = _common(registry, view, layout)
    for feature in spec["features"]:
        feature["ttl_ms"] = feature["ttl_ms"] or view.ttl_ms
    if layout == "packed":
        return spec | {"key_ttl_ms": view.life_ms, "fingerprint": fingerprint(view.columns)}
    sharing = registry.hash_views_of(view.entity)
    lives = [other.life_ms for other in sharing]
    return spec | {
        "key_ttl_ms": view.life_ms if all(lives) else 0,
        "shared_key": len(sharing) > 1,
    }


def _series_spec(registry: Registry, view: SeriesViewDefinition) -> dict[str, Any]:
    return _common(registry, view, "series") | {
        "features": [],
        "key_ttl_ms": view.retention_ms,
        "payload": [list(column) for column in view.columns],
        "event_id": view.event_id is not None,
        "retention_ms": view.retention_ms,
        "max_events": view.max_events,
        "count_repeats": view.repeats == "count",
        "tile_ms": view.tile_ms,
        "tile_retention_ms": view.tile_retention_ms,
        "tile_fields": list(view.tile_fields),
    }


def _common(registry: Registry, view: ViewDefinition, kind: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "entity": view.entity,
        "join_keys": [list(pair) for pair in registry.entities[view.entity].join_keys],
        "view": view.name,
        "features": [
            {"name": feature.name, "type": str(feature.type), "ttl_ms": feature.ttl_ms}
            for feature in view.features
        ],
        "key_ttl_ms": 0,
        "shared_key": False,
        "also": None,
    }
