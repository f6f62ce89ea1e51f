"""A buffer of the events for series and flags, which are written once every file is read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl

from fscore.ingestion import Cell, EventColumns, SourceProjection, Values, ViewProjection

__all__ = ["EventBuffer", "event_columns"]


class EventBuffer:
    """Keeps the columns of each event that series and flags need: some tens of bytes.

    It yields the events sorted by entity and time. After a newer event, an older one could be too
    late for the tiles of a series, so the oldest must come first. And events of one entity are
    cheapest to write together.
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
        """Add events. Each must have its join keys and its event time."""
        if self._cells:
            self._frames.append(events.select(self._cells.values()))

    def slices(self, rows: int) -> Iterator[tuple[ViewProjection, EventColumns]]:
        """Yield all events for each view, at most `rows` at a time."""
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
    """Return the columns of events in the form that the projection takes."""
    return EventColumns(
        {cell: _values(events[name]) for cell, name in names.items()}, events.height
    )


def _values(series: pl.Series) -> Values:
    if series.dtype.is_numeric() and not series.null_count():
        return series.to_numpy()
    return series.to_list()
