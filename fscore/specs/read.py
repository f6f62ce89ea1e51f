"""A resolved read: its output columns, what they are made from, and its spec."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from fscore.model.expression import Expression
from fscore.model.fingerprint import fingerprint
from fscore.model.views import (
    Columns,
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    Schemas,
    SeriesViewDefinition,
    ViewDefinition,
)

Output: TypeAlias = tuple[Literal["read", "computed"], int]


@dataclass(frozen=True, slots=True)
class ResolvedEntity:
    """An entity that is read.

    `join_keys` are pairs (name, type) in the order of the Redis key. `fields_total` is the number
    of fields in its hash once everything is written: every feature of all its views with the layout
    `hash`, and one `_ts:<view>` for each view. `wide_values` says that a field may be longer than
    64 bytes, so Redis may store the hash as a hash table.
    """

    name: str
    join_keys: tuple[tuple[str, str], ...]
    fields_total: int
    wide_values: bool = False


@dataclass(frozen=True, slots=True)
class ResolvedView:
    """A view that is read. `entity` is an index into the set's entities."""

    definition: ViewDefinition
    entity: int

    @property
    def name(self) -> str:
        """The view's name."""
        return self.definition.name

    def to_spec(self, schemas: Schemas) -> dict[str, Any]:
        """Return the plain data from which the extension knows how the view is stored."""
        view = self.definition
        spec: dict[str, Any] = {"kind": stored_as(view), "entity": self.entity, "name": view.name}
        match view:
            case FeatureViewDefinition():
                spec["ttl_ms"] = view.ttl_ms
                if view.layout == "packed":
                    current = fingerprint(view.columns)
                    older = {number: schemas[number] for number in schemas if number != current}
                    spec["schemas"] = [
                        [number, [list(column) for column in columns]]
                        for number, columns in {current: view.columns, **older}.items()
                    ]
            case SeriesViewDefinition():
                spec |= {
                    "ttl_ms": 0,
                    "retention_ms": view.retention_ms,
                    "count_repeats": view.repeats == "count",
                    "tile_ms": view.tile_ms,
                    "payload": [list(column) for column in view.columns],
                }
            case FlagViewDefinition():
                spec |= {"ttl_ms": 0, "ids": view.ids}
        return spec


@dataclass(frozen=True, slots=True)
class ResolvedFeature:
    """A feature that is read.

    `name` is its name in the result, `view` an index into the set's views, `definition` its
    definition in the registry.
    """

    name: str
    view: int
    definition: FeatureDefinition

    @property
    def field(self) -> str:
        """The feature's own name."""
        return self.definition.name

    @property
    def type(self) -> str:
        """The registry's spelling of its type."""
        return str(self.definition.type)

    @property
    def default(self) -> Any:
        """The default, a normalized value, or None."""
        return self.definition.default

    def to_spec(self, view: ViewDefinition) -> dict[str, Any]:
        """Return the plain data from which the extension knows how to read it."""
        return {
            "name": self.name,
            "view": self.view,
            "field": self.field,
            "type": self.type,
            "default": self.default,
            "ttl_ms": self.definition.ttl_ms,
            "window": self._window(view),
        }

    def _window(self, view: ViewDefinition) -> dict[str, Any] | None:
        window = self.definition.window
        if window is None or not isinstance(view, SeriesViewDefinition):
            return None
        tiles = view.tiles(window)
        spec = {**window.to_json(), "tiles": tiles}
        if tiles != "none":
            spec["window_ms"] = view.length_ms(window)
        return spec


@dataclass(frozen=True, slots=True)
class ResolvedComputed:
    """A feature that is computed on request.

    `name` is its name in the result, `view` the name of its view, and `definition` its definition
    in the registry. `places` maps each feature that it reads, as `view:feature`, to an index into
    the set's features.
    """

    name: str
    view: str
    definition: FeatureDefinition
    places: Mapping[str, int]

    @property
    def type(self) -> str:
        """The registry's spelling of its type."""
        return str(self.definition.type)

    def to_spec(self) -> dict[str, Any]:
        """Return the plain data from which the extension knows how to compute it."""
        expression = Expression.from_json(self.definition.expression)
        return {
            "name": self.name,
            "type": self.type,
            "default": self.definition.default,
            "expression": expression.with_columns(self.places),
        }


@dataclass(frozen=True, slots=True)
class ResolvedSet:
    """Everything that a request reads, resolved.

    `outputs` are the result's columns in order, each an index into `features` or into `computed`.
    Entities, views and features are in order of first use. Features that are read only for
    `computed` come last and are not outputs. `request` has the inputs that a request must send,
    with their types.
    """

    service: str | None
    version: int
    entities: tuple[ResolvedEntity, ...]
    views: tuple[ResolvedView, ...]
    features: tuple[ResolvedFeature, ...]
    outputs: tuple[Output, ...]
    computed: tuple[ResolvedComputed, ...] = ()
    request: Columns = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The output columns' names, in order."""
        return tuple(item.name for item in self._output_features)

    @property
    def types(self) -> tuple[str, ...]:
        """The output columns' types, in order."""
        return tuple(item.type for item in self._output_features)

    @property
    def _output_features(self) -> Iterator[ResolvedFeature | ResolvedComputed]:
        for source, index in self.outputs:
            yield self.features[index] if source == "read" else self.computed[index]

    @property
    def join_keys(self) -> dict[str, str]:
        """Every join key that a request must have, with its type.

        Entities whose join keys have the same name share the column.
        """
        return {name: kind for entity in self.entities for name, kind in entity.join_keys}

    @property
    def view_names(self) -> tuple[str, ...]:
        """The names of all views that are read, and of those with computed features."""
        names = [*(view.name for view in self.views), *(item.view for item in self.computed)]
        return tuple(dict.fromkeys(names))

    @property
    def hashes(self) -> tuple[str, ...]:
        """The names of the entities whose hash is read, in order."""
        read = {view.entity for view in self.views if stored_as(view.definition) == "hash"}
        return tuple(self.entities[index].name for index in sorted(read))

    def to_spec(self, schemas: Schemas | None = None) -> dict[str, Any]:
        """Return the plain data from which the extension compiles its read plan.

        `schemas` are the schemas that packed rows may have besides the current ones.
        """
        return {
            "service": self.service,
            "version": self.version,
            "entities": [
                {
                    "name": entity.name,
                    "join_keys": [list(pair) for pair in entity.join_keys],
                    "fields_total": entity.fields_total,
                    "wide_values": entity.wide_values,
                }
                for entity in self.entities
            ],
            "views": [view.to_spec(schemas or {}) for view in self.views],
            "features": [item.to_spec(self.views[item.view].definition) for item in self.features],
            "request": [list(part) for part in self.request],
            "computed": [item.to_spec() for item in self.computed],
            "outputs": [list(output) for output in self.outputs],
        }


def stored_as(view: ViewDefinition) -> str:
    """Return how a view is stored: `hash`, `packed`, `series` or `flags`."""
    return view.layout if isinstance(view, FeatureViewDefinition) else view.kind
