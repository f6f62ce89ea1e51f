"""Turns events of a source, as columns, into rows of its views, as `write` takes them.

Pushes of clients and loads of files both use this. Nothing here reads events or sends rows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import compress
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fscore.model.mapping import Conditions
from fscore.model.source import EventSource
from fscore.model.views import (
    FeatureViewDefinition,
    FlagViewDefinition,
    SeriesViewDefinition,
    ViewDefinition,
)

__all__ = ["Cell", "EventColumns", "SourceProjection", "Values", "ViewRows", "typed_cell"]

Values: TypeAlias = "list[Any] | npt.NDArray[Any]"
"""A column: a list in which None is null, or an array without nulls."""
Rows: TypeAlias = npt.NDArray[np.intp]
"""Positions of events, ascending."""

_Keys: TypeAlias = "tuple[tuple[str, Cell], ...]"


@dataclass(frozen=True, slots=True)
class Cell:
    """One column of a source, read as one type. Views that read the same share the cell.

    `spelling` is a feature type as the registry spells it, or one of `text` (the text by which
    conditions compare values), `event_id` (the text of an event's id) and `event_time` (its time).
    """

    column: str
    spelling: str
    timestamp_format: str | None = None


def typed_cell(column: str, spelling: str, source: EventSource) -> Cell:
    """Return the cell of a column that is read as a feature type."""
    is_time = "Timestamp" in spelling
    return Cell(column, spelling, source.timestamp_format if is_time else None)


@dataclass(frozen=True, slots=True)
class ViewRows:
    """Rows of one view, as `write` takes them."""

    view: str
    ordering: Literal["arrival", "event_time"]
    columns: dict[str, Values]
    """The join keys, what the view's rows bring, and `event_time` in epoch ms."""
    events: Rows
    """For each row, the number of the event that it comes from."""
    sources: Mapping[str, str]
    """For each name in `columns`, the column of the source that it was read from."""


class EventColumns:
    """Events as columns. Results that several views need are computed once."""

    def __init__(self, cells: Mapping[Cell, Values], count: int) -> None:
        self.count = count
        self._cells = cells
        self._texts: dict[Cell, _Numbered] = {}
        self._entities: dict[_Keys, _Numbered] = {}

    def values(self, cell: Cell) -> Values:
        """Return a whole column."""
        return self._cells[cell]

    def times(self, cell: Cell) -> npt.NDArray[np.int64]:
        """Return the times of the events, in epoch milliseconds."""
        return np.asarray(self._cells[cell], dtype=np.int64)

    def matching(self, conditions: Conditions) -> npt.NDArray[np.bool_]:
        """Return for each event whether it meets all conditions.

        It does if, in each of their columns, its text is one of the condition's texts.
        """
        matches = np.ones(self.count, dtype=np.bool_)
        for column, texts in conditions.items():
            cell = Cell(column, "text")
            if cell not in self._texts:
                self._texts[cell] = _numbered(_listed(self._cells[cell]))
            different, numbers = self._texts[cell]
            fits = np.fromiter((text in texts for text in different), np.bool_, len(different))
            matches &= fits[numbers]
        return matches

    def entities(self, keys: _Keys) -> npt.NDArray[np.intp]:
        """Return for each event the number of its entity, from 0 in the order of first events."""
        if keys not in self._entities:
            columns = [_listed(self._cells[cell]) for _, cell in keys]
            ids = columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))
            self._entities[keys] = _numbered(ids)
        return self._entities[keys][1]


class ViewProjection(ABC):
    """How events become rows of one view."""

    def __init__(self, view: ViewDefinition, source: EventSource, keys: _Keys) -> None:
        self.view = view.name
        self.keys = keys
        self.event_time = Cell(source.event_time, "event_time", source.timestamp_format)

    @abstractmethod
    def rows(self, events: EventColumns) -> ViewRows:
        """Return the view's rows that these events make."""

    def cells(self) -> Iterator[Cell]:
        """Yield every cell that the view reads."""
        yield from (cell for _, cell in self.keys)
        yield self.event_time
        yield from self._cells()

    @abstractmethod
    def _cells(self) -> Iterator[Cell]: ...

    def _rows(
        self,
        events: EventColumns,
        chosen: Rows,
        cells: Mapping[str, Cell],
        *,
        ordering: Literal["arrival", "event_time"] = "arrival",
    ) -> ViewRows:
        cells = {**dict(self.keys), **cells, "event_time": self.event_time}
        columns = {name: events.values(cell) for name, cell in cells.items()}
        if chosen.size < events.count:
            picked = np.zeros(events.count, dtype=np.bool_)
            picked[chosen] = True
            selectors = picked.tolist()
            columns = {
                name: values[chosen]
                if isinstance(values, np.ndarray)
                else list(compress(values, selectors))
                for name, values in columns.items()
            }
        sources = {name: cell.column for name, cell in cells.items()}
        return ViewRows(self.view, ordering, columns, chosen, sources)


class SeriesProjection(ViewProjection):
    """Turns every event that `where` selects into an event of a series."""

    def __init__(self, view: SeriesViewDefinition, source: EventSource, keys: _Keys) -> None:
        super().__init__(view, source, keys)
        self._where = view.where
        self._columns = {
            part.name: typed_cell(part.column, str(part.type), source) for part in view.payload
        }
        if view.event_id is not None:
            self._columns["event_id"] = Cell(view.event_id, "event_id")

    def rows(self, events: EventColumns) -> ViewRows:
        chosen = np.flatnonzero(events.matching(self._where))
        return self._rows(events, chosen, self._columns)

    def _cells(self) -> Iterator[Cell]:
        yield from self._columns.values()
        yield from (Cell(column, "text") for column in self._where)


class FlagProjection(ViewProjection):
    """Sets a flag of an entity if any of its events sets it; no flag is ever cleared."""

    def __init__(self, view: FlagViewDefinition, source: EventSource, keys: _Keys) -> None:
        super().__init__(view, source, keys)
        self.ids = view.ids
        self.flags = {
            feature.name: feature.mapping.where
            for feature in view.features
            if feature.mapping is not None
        }

    def rows(self, events: EventColumns) -> ViewRows:
        entities = events.entities(self.keys)
        different = int(entities.max(initial=-1)) + 1
        # The first event of each entity stands for all its events. The order is reversed, so that
        # the first event is assigned last.
        firsts = np.zeros(different, dtype=np.intp)
        firsts[entities[::-1]] = np.arange(events.count - 1, -1, -1)
        is_set = {}
        for name, where in self.flags.items():
            is_set[name] = np.zeros(different, dtype=np.bool_)
            is_set[name][entities[events.matching(where)]] = True
        any_set = np.logical_or.reduce(list(is_set.values()))
        # Entities are numbered in the order of their first events, so the positions ascend.
        rows = self._rows(events, firsts[any_set], {})
        for name, ones in is_set.items():
            rows.columns[name] = [True if one else None for one in ones[any_set].tolist()]
        return rows

    def _cells(self) -> Iterator[Cell]:
        yield from (Cell(column, "text") for where in self.flags.values() for column in where)


class LatestProjection(ViewProjection):
    """Turns the newest event of each entity into its whole row; null columns become NULL."""

    def __init__(self, view: FeatureViewDefinition, source: EventSource, keys: _Keys) -> None:
        super().__init__(view, source, keys)
        self._columns = {
            feature.name: typed_cell(feature.mapping.column, str(feature.type), source)
            for feature in view.features
            if feature.mapping is not None and feature.mapping.column is not None
        }

    def rows(self, events: EventColumns) -> ViewRows:
        entities, times = events.entities(self.keys), events.times(self.event_time)
        newest = np.full(int(entities.max(initial=-1)) + 1, np.iinfo(np.int64).min)
        np.maximum.at(newest, entities, times)
        # If several events are the newest, all become rows. Redis then decides between them in the
        # same way as between events of several pushes.
        chosen = np.flatnonzero(times == newest[entities])
        return self._rows(events, chosen, self._columns, ordering="event_time")

    def _cells(self) -> Iterator[Cell]:
        yield from self._columns.values()


class SourceProjection:
    """Turns the events of a source into rows of its views.

    `left_out` has the views that single events cannot fill, each with the reason.
    """

    def __init__(
        self,
        source: EventSource,
        views: Iterable[ViewDefinition],
        join_keys: Mapping[str, Sequence[tuple[str, str]]],
    ) -> None:
        self.source = source
        self.views: list[ViewProjection] = []
        self.left_out: dict[str, str] = {}
        for view in views:
            columns = source.columns_of([name for name, _ in join_keys[view.entity]])
            keys = tuple(
                (name, Cell(columns[name], spelling)) for name, spelling in join_keys[view.entity]
            )
            match view:
                case SeriesViewDefinition():
                    self.views.append(SeriesProjection(view, source, keys))
                case FlagViewDefinition() if any(feature.mapping for feature in view.features):
                    self.views.append(FlagProjection(view, source, keys))
                case FeatureViewDefinition() if not (why := _not_latest(view)):
                    self.views.append(LatestProjection(view, source, keys))
                case FeatureViewDefinition():
                    self.left_out[view.name] = why
                case _:
                    self.left_out[view.name] = "no flag of it says which events set it"

    @cached_property
    def cells(self) -> tuple[Cell, ...]:
        """Every cell that the views read, without repetition; the required ones come first."""
        return tuple(
            dict.fromkeys([*self.required, *(cell for view in self.views for cell in view.cells())])
        )

    @cached_property
    def required(self) -> tuple[Cell, ...]:
        """The cells that no event may lack: join keys and event times."""
        found = [
            cell for view in self.views for cell in (*dict(view.keys).values(), view.event_time)
        ]
        return tuple(dict.fromkeys(found))

    def rows(self, events: EventColumns) -> list[ViewRows]:
        """Return the rows that these events make, for each view; there may be none."""
        return [view.rows(events) for view in self.views]


def _not_latest(view: FeatureViewDefinition) -> str:
    """Return why the newest event cannot be the row of a view, or "" if it is."""
    for feature in view.features:
        mapping = feature.mapping
        if mapping is None:
            return f"{feature.name} does not follow from events, and a row is written whole"
        if mapping.op != "latest":
            return f"{feature.name} is {mapping.name}() over all events, which only a load sees"
        if mapping.where:
            return f"{feature.name} is latest() of some events, and a row is the newest of all"
    return ""


_Numbered: TypeAlias = "tuple[list[Any], npt.NDArray[np.intp]]"


def _numbered(values: list[Any]) -> _Numbered:
    """Return the distinct values in order of appearance, and for each value its number in them."""
    places = {value: number for number, value in enumerate(dict.fromkeys(values))}
    return list(places), np.fromiter(map(places.__getitem__, values), np.intp, len(values))


def _listed(values: Values) -> list[Any]:
    return values.tolist() if isinstance(values, np.ndarray) else values
