"""Events that wait until every file is read, to be written to series and flags."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from fscore.ingestion import Cell, EventColumns, SourceProjection, Values, ViewProjection

__all__ = ["EventBuffer", "event_columns"]


class EventBuffer:
    """Keeps of each event what series and flags need, as columns: some tens of bytes.

    They come out sorted by entity and time, because a series takes its events from the oldest on
    (later, an older one could be too late for its tiles), and because events of one entity that are
    written together cost least.
    """

    def __init__(self, projection: SourceProjection, names: Mapping[Cell, str]) -> None:
        self._cells = {cell: names[cell] for cell in projection.cells}
        self._frames: list[pl.DataFrame] = []
        # Views of one entity share its order.
        self._views: dict[tuple[str, ...], list[ViewProjection]] = {}
        for view in projection.views:
            order = (*(names[cell] for _, cell in view.keys), names[view.event_time])
            self._views.setdefault(order, []).append(view)

    def add(self, events: pl.DataFrame) -> None:
        """Take events; every one has its join keys and its event time."""
        if self._cells:
            self._frames.append(events.select(self._cells.values()))

    def slices(self, rows: int) -> Iterator[tuple[ViewProjection, EventColumns]]:
        """All events for each view, so many at a time."""
        if not self._frames:
            return
        events = pl.concat(self._frames)
        self._frames.clear()
        for order, views in self._views.items():
            for part in events.sort(order).iter_slices(rows):
                columns = event_columns(part, self._cells)
                for view in views:
                    yield view, columns


def event_columns(events: pl.DataFrame, names: Mapping[Cell, str]) -> EventColumns:
    """The columns of events as the projection takes them."""
    return EventColumns(
        {cell: _values(events[name]) for cell, name in names.items()}, events.height
    )


def _values(series: pl.Series) -> Values:
    if series.dtype.is_numeric() and not series.null_count():
        return series.to_numpy()
    return series.to_list()
