"""The feature definitions of the benchmarks, made and applied through fscore's public API."""

from __future__ import annotations

import types
from collections.abc import Iterable, Sequence
from typing import Any

import fscore
from bench.measure.servers import Server
from bench.measure.workload import (
    Layout,
    entity_name,
    feature_names,
    join_key_name,
    service_name,
    view_name,
)
from fscore import Entity, FeatureService, FeatureView, Float64, Int64, Registry

HASH: tuple[Layout, ...] = ("hash",)


def apply(
    server: Server,
    widths: Iterable[int],
    asked: int | None = None,
    layouts: Sequence[Layout] = HASH,
) -> None:
    """Apply `registry(widths, asked, layouts)` to a server."""
    with fscore.connect(server.url()) as client:
        client.apply(registry(widths, asked, layouts))


def registry(
    widths: Iterable[int], asked: int | None = None, layouts: Sequence[Layout] = HASH
) -> Registry:
    """Return an entity type per width and layout, each with one view of that many Float64 features.

    Each view has a service of its first `asked` features, or of all features by default.
    """
    declared: list[Any] = []
    for stored in widths:
        for layout in layouts:
            view = _view(stored, layout)
            features = view[feature_names(min(asked or stored, stored))]
            declared += [view, FeatureService(service_name(stored, layout), features=features)]
    return Registry.from_definitions(declared)


def _view(stored: int, layout: Layout) -> Any:
    """Make the view that a class statement with `stored` annotated lines would make."""
    entity = Entity(entity_name(stored, layout), join_keys={join_key_name(stored): Int64})
    options = {"entity": entity, "layout": layout, "name": view_name(stored, layout)}

    def body(namespace: dict[str, Any]) -> None:
        namespace["__annotations__"] = dict.fromkeys(feature_names(stored), Float64)

    return types.new_class("Profile", (FeatureView,), options, body)
