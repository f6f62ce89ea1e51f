"""What a load has to do, worked out from the definitions before any file is opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fscore.source import FeatureMapping, FileSource
from fscore_server.ingest.failures import InputError

__all__ = ["Cell", "FeaturePlan", "LoadPlan", "ViewPlan", "plan_load"]

# Operations that read the cell as the feature's type; `count` and `distinct` look at text alone.
_TYPED = frozenset({"latest", "first", "total", "smallest", "largest"})


@dataclass(frozen=True, slots=True)
class Cell:
    """One column read as one type: the unit of conversion, shared by all features that want the
    same.

    `spelling` is a feature type as the registry spells it, `text` for the text that cells are
    compared by, or `event_time` for the row's own moment.
    """

    column: str
    spelling: str
    timestamp_format: str | None = None


@dataclass(frozen=True, slots=True)
class FeaturePlan:
    """How one feature is aggregated: the operation, the cell it reads, and the texts that select
    its rows.
    """

    name: str
    spelling: str
    op: str
    cell: Cell | None
    where: tuple[tuple[Cell, tuple[str | None, ...]], ...]


@dataclass(frozen=True, slots=True)
class ViewPlan:
    """How the rows of one view are made."""

    view: str
    source: str
    ttl_ms: int
    keys: tuple[tuple[str, Cell], ...]
    """Join keys in declared order, each with the cell that holds it."""
    event_time: Cell
    features: tuple[FeaturePlan, ...]

    def cells(self) -> Iterable[Cell]:
        """Every cell that the view reads."""
        for _, cell in self.keys:
            yield cell
        yield self.event_time
        for feature in self.features:
            if feature.cell is not None:
                yield feature.cell
            for cell, _ in feature.where:
                yield cell


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """All views that are filled from one pass over the files."""

    views: tuple[ViewPlan, ...]

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The conversions to do on each chunk, each once; join keys and event times first, so
        that rejects name those.
        """
        found: dict[Cell, None] = {}
        for view in self.views:
            for _, cell in view.keys:
                found.setdefault(cell)
            found.setdefault(view.event_time)
        for view in self.views:
            for cell in view.cells():
                found.setdefault(cell)
        return tuple(found)

    @property
    def required(self) -> frozenset[Cell]:
        """Cells without which a row is no event: join keys and event times."""
        return frozenset(
            cell
            for view in self.views
            for cell in (*(cell for _, cell in view.keys), view.event_time)
        )

    @property
    def columns(self) -> dict[str, str | None]:
        """The columns to read, each with the feature type that reads it, or None where only its
        text counts.
        """
        columns: dict[str, str | None] = {}
        for cell in self.cells:
            spelling = None if cell.spelling in ("text", "event_time") else cell.spelling
            if columns.get(cell.column) is None:
                columns[cell.column] = spelling
        return columns


def plan_load(definitions: Mapping[str, Any], source: str | None = None) -> LoadPlan:
    """Work out the load of the file source named `source`, which may be left out when there is one.

    `definitions` is the registry's JSON form. Raises :class:`InputError` when no view, or no
    single source, fits.
    """
    views = {
        name: view
        for name, view in definitions["views"].items()
        if view["kind"] == "features" and view["source"] is not None
    }
    names = sorted({view["source"]["name"] for view in views.values()})
    if not names:
        raise InputError(
            "no view of these definitions has a file source, so there is nothing to load;"
            ' give one to a view: source=FileSource("name", event_time="column")'
        )
    if source is None and len(names) > 1:
        raise InputError(
            f"the definitions have {len(names)} file sources; say which one these files are"
            f" with --source: {', '.join(names)}"
        )
    chosen = names[0] if source is None else source
    if chosen not in names:
        raise InputError(f"no view has a file source named {chosen}; there is: {', '.join(names)}")
    plans = [
        _view_plan(name, view, definitions["entities"][view["entity"]]["join_keys"])
        for name, view in views.items()
        if view["source"]["name"] == chosen
    ]
    empty = [plan.view for plan in plans if not plan.features]
    if empty:
        raise InputError(
            f"view {', '.join(empty)} reads from {chosen} but none of its features says how;"
            ' give them a mapping, like platform: String = latest("platform")'
        )
    return LoadPlan(tuple(plans))


def _view_plan(name: str, view: Mapping[str, Any], join_keys: Sequence[Sequence[str]]) -> ViewPlan:
    source = FileSource.from_json(view["source"])
    columns = source.columns_of([key for key, _ in join_keys])
    time_format = source.timestamp_format
    return ViewPlan(
        view=name,
        source=source.name,
        ttl_ms=view["ttl_ms"],
        keys=tuple((key, Cell(columns[key], spelling)) for key, spelling in join_keys),
        event_time=Cell(source.event_time, "event_time", time_format),
        features=tuple(
            _feature_plan(feature, time_format)
            for feature in view["features"]
            if feature["mapping"] is not None
        ),
    )


def _feature_plan(feature: Mapping[str, Any], time_format: str | None) -> FeaturePlan:
    mapping = FeatureMapping.from_json(feature["mapping"])
    cell = None
    if mapping.column is not None:
        spelling = feature["type"] if mapping.op in _TYPED else "text"
        cell = Cell(mapping.column, spelling, time_format if _is_time(spelling) else None)
    return FeaturePlan(
        name=feature["name"],
        spelling=feature["type"],
        op=mapping.op,
        cell=cell,
        where=tuple((Cell(column, "text"), texts) for column, texts in mapping.where.items()),
    )


def _is_time(spelling: str) -> bool:
    return "Timestamp" in spelling
