"""The plan of a load: how rows of files are read and aggregated, made from the definitions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from fscore import EventSource
from fscore.ingestion import Cell, Conditions, FlagProjection, SourceProjection, typed_cell
from fscore.registry import (
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    Registry,
    SeriesViewDefinition,
    ViewDefinition,
)
from fscore_server.ingest.rows.failures import InputError

__all__ = ["Cell", "FeaturePlan", "LoadPlan", "Reading", "ViewPlan", "plan_load"]

# Cells whose type depends on the file.
_UNDECLARED = frozenset({"text", "event_id", "event_time"})
# Operations that read the cell as the feature's type; `count` and `distinct` look at text alone.
_TYPED = frozenset({"latest", "first", "total", "mean", "smallest", "largest"})


@dataclass(frozen=True, slots=True)
class Reading:
    """The cells that are read from files, for a load or a push."""

    cells: tuple[Cell, ...]
    """The conversions to do on each chunk, each once. Those of `required` come first, so that a
    reject names them before others.
    """
    required: frozenset[Cell]
    """Cells that every event must have: join keys and event times."""
    flags: tuple[FlagProjection, ...] = ()
    """Views of flags that rows set; they take only entities whose id has a number."""

    @classmethod
    def of(cls, projection: SourceProjection) -> Reading:
        """Return the reading that the projection of events needs."""
        return cls(projection.cells, frozenset(projection.required), _flags(projection))

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns to read, each with the feature type that reads it, or None if only its text
        matters.
        """
        columns: dict[str, str | None] = {}
        for cell in self.cells:
            spelling = None if cell.spelling in _UNDECLARED else cell.spelling
            if columns.get(cell.column) is None:
                columns[cell.column] = spelling
        return columns


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """How one feature is aggregated: the operation, the cell that it reads, and the texts by which
    its rows are selected.
    """

    name: str
    spelling: str
    op: str
    cell: Cell | None
    where: Conditions


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """How the rows of one feature view are made."""

    view: str
    ttl_ms: int
    keys: tuple[tuple[str, Cell], ...]
    """Join keys in declared order, each with its cell."""
    event_time: Cell
    features: tuple[FeaturePlan, ...]

    def required(self) -> Iterable[Cell]:
        """Yield the cells of the join keys and the event time."""
        yield from (cell for _, cell in self.keys)
        yield self.event_time

    def cells(self) -> Iterable[Cell]:
        """Yield every cell that the view reads."""
        yield from self.required()
        for feature in self.features:
            if feature.cell is not None:
                yield feature.cell
            yield from (Cell(column, "text") for column in feature.where)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """All views that one pass over the files fills.

    Rows of feature views are computed from all events together; each event by itself adds to
    series and flags.
    """

    source: str
    views: tuple[ViewPlan, ...]
    events: SourceProjection

    @property
    def names(self) -> list[str]:
        """The names of the views."""
        return [*(view.view for view in self.views), *(view.view for view in self.events.views)]

    @property
    def reading(self) -> Reading:
        """The reading of all views together."""
        required = [cell for view in self.views for cell in view.required()]
        required += self.events.required
        cells = [cell for view in self.views for cell in view.cells()]
        return Reading(
            tuple(dict.fromkeys([*required, *cells, *self.events.cells])),
            frozenset(required),
            _flags(self.events),
        )


def plan_load(registry: Registry, source: str | None = None) -> LoadPlan:
    """Plan the load of the source named `source`, which may be None if there is only one.

    Raises :class:`InputError` if there is no such source, several without a name, or a view of it
    that events cannot fill.
    """
    sources = {
        view.source.name: view.source for view in registry.views.values() if view.source is not None
    }
    chosen = _chosen(sources, source)
    views = [view for view in registry.views.values() if view.source == chosen]
    empty = [view.name for view in views if not _follows_from_events(view)]
    if empty:
        raise InputError(
            f"view {', '.join(empty)} reads from {chosen.name} but none of its features says how;"
            ' give them a mapping, like platform: String = latest("platform")'
        )
    for view in views:
        _require_whole_rows(view)
    join_keys = {name: entity.join_keys for name, entity in registry.entities.items()}
    return LoadPlan(
        chosen.name,
        tuple(
            _view_plan(view, chosen, registry.entities[view.entity].join_keys)
            for view in views
            if isinstance(view, FeatureViewDefinition)
        ),
        SourceProjection(
            chosen,
            [view for view in views if not isinstance(view, FeatureViewDefinition)],
            join_keys,
        ),
    )


def _chosen(sources: Mapping[str, EventSource], source: str | None) -> EventSource:
    names = sorted(sources)
    if not names:
        raise InputError(
            "no view of these definitions has a source, so there is nothing to load;"
            ' give one to a view: source=EventSource("name", event_time="column")'
        )
    if source is None and len(names) > 1:
        raise InputError(
            f"the definitions have {len(names)} sources; say which one these files are"
            f" with --source: {', '.join(names)}"
        )
    chosen = names[0] if source is None else source
    if chosen not in sources:
        raise InputError(f"no view has a source named {chosen}; there is: {', '.join(names)}")
    return sources[chosen]


def _require_whole_rows(view: ViewDefinition) -> None:
    if isinstance(view, FeatureViewDefinition) and "packed" in view.layouts:
        others = [feature.name for feature in view.features if feature.mapping is None]
        if others:
            raise InputError(
                f"view {view.name} is packed, so that its rows are written whole, and"
                f" {', '.join(others)} does not follow from events; give it a mapping, or a view"
                " of its own"
            )


def _follows_from_events(view: ViewDefinition) -> bool:
    if isinstance(view, FeatureViewDefinition | FlagViewDefinition):
        return any(feature.mapping is not None for feature in view.features)
    return isinstance(view, SeriesViewDefinition)


def _view_plan(
    view: FeatureViewDefinition,
    source: EventSource,
    join_keys: Sequence[tuple[str, str]],
) -> ViewPlan:
    columns = source.columns_of([name for name, _ in join_keys])
    return ViewPlan(
        view=view.name,
        ttl_ms=view.ttl_ms,
        keys=tuple((name, Cell(columns[name], spelling)) for name, spelling in join_keys),
        event_time=Cell(source.event_time, "event_time", source.timestamp_format),
        features=tuple(
            _feature_plan(feature, source)
            for feature in view.features
            if feature.mapping is not None
        ),
    )


def _feature_plan(feature: FeatureDefinition, source: EventSource) -> FeaturePlan:
    mapping, spelling = feature.mapping, str(feature.type)
    assert mapping is not None
    cell = None
    if mapping.column is not None:
        read_as = spelling if mapping.op in _TYPED else "text"
        cell = typed_cell(mapping.column, read_as, source)
    return FeaturePlan(feature.name, spelling, mapping.op, cell, mapping.where)


def _flags(projection: SourceProjection) -> tuple[FlagProjection, ...]:
    return tuple(view for view in projection.views if isinstance(view, FlagProjection))
