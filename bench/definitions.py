"""The feature definitions of the benchmarks, made and applied through fscore's public API."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

import fscore
from bench.servers import Server
from bench.workload import entity_name, feature_names
from fscore import Entity, FeatureService, FeatureView, Float64, Int64, Registry

SERVICE = "model"


def apply(server: Server, widths: Iterable[int], asked: int | None = None) -> None:
    """Applies `registry(widths, asked)` to a server."""
    with fscore.connect(server.url()) as client:
        client.apply(registry(widths, asked))


def registry(widths: Iterable[int], asked: int | None = None) -> Registry:
    """One entity type per width, each with one view of that many Float64 features.

    With `asked`, each view also has a service of its first so many.
    """
    declared: list[Any] = []
    for stored in widths:
        view = _view(stored)
        declared.append(view)
        if asked is not None:
            name = f"{SERVICE}{stored}"
            declared.append(FeatureService(name, features=view[feature_names(asked)]))
    return Registry.from_definitions(declared)


def _view(stored: int) -> Any:
    """What a class statement with `stored` annotated lines would make; `view_name` is its name."""
    join_key = {f"{entity_name(stored)}_id": Int64}
    options = {"entity": Entity(entity_name(stored), join_keys=join_key)}

    def body(namespace: dict[str, Any]) -> None:
        namespace["__annotations__"] = dict.fromkeys(feature_names(stored), Float64)

    return types.new_class(f"Profile{stored}", (FeatureView,), options, body)
