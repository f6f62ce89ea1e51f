"""Reads events in any form that a caller may have, into the columns that a source's views need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import partial
from typing import Any, NoReturn

import numpy as np

from fscore._fscore import event_time_fault, event_time_limits
from fscore.errors import InvalidKeys, InvalidValue
from fscore.events.projection import Cell, EventColumns, SourceProjection, Values
from fscore.interop.column import Column, as_type, first_null
from fscore.interop.columns import frame, shown
from fscore.interop.moments import expectation, moment_reader
from fscore.model.mapping import cell_text

_Comparable = str | int | float | bool | None
_Id = str | int | None


def read_events(events: Any, projection: SourceProjection, now_ms: int) -> EventColumns:
    """Read the columns that the projection needs, and check everything that `write` does not check.

    Raises InvalidValue and InvalidKeys, which name the event, counted from 0, and the column.
    """
    return _Reading(projection, now_ms).columns(events)


class _Reading:
    """Reads the events of one call."""

    def __init__(self, projection: SourceProjection, now_ms: int) -> None:
        self._cells = projection.cells
        self._required = dict.fromkeys(cell.column for cell in projection.required)
        self._keys = {cell.column for view in projection.views for _, cell in view.keys}
        self._source = projection.source.name
        self._now_ms = now_ms

    def columns(self, events: Any) -> EventColumns:
        wanted = list(dict.fromkeys(cell.column for cell in self._cells))
        found = self._found(events, wanted)
        counts = {column: len(read.values) for column, read in found.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{column} {count}" for column, count in counts.items())
            raise InvalidValue(f"columns of {self._source} are of different lengths: {listed}")
        for column in self._required:
            self._require(column, found[column])
        cells = {cell: self._read(cell, found[cell.column]) for cell in self._cells}
        return EventColumns(cells, counts[wanted[0]])

    def _found(self, events: Any, wanted: Sequence[str]) -> dict[str, Column]:
        table = frame(events, f"events of {self._source}", row="event")
        if table is None:
            raise InvalidValue(
                f"events of {self._source} must be a list of dicts, a dict of columns, a NumPy "
                "structured array, a pandas or Polars frame or a table with Arrow's interface, "
                f"not {type(events).__name__}"
            )
        if not table.may_lack:
            self._require_columns(wanted, table.names)
        return {column: table[column] for column in wanted}

    def _require_columns(self, wanted: Sequence[str], present: Iterable[str]) -> None:
        there = list(present)
        if missing := [column for column in wanted if column not in there]:
            raise InvalidValue(
                f"events of {self._source} have no column {', '.join(missing)}, which its views "
                f"read; they have {', '.join(map(str, there)) or 'none'}",
                feature=missing[0],
            )

    def _require(self, column: str, read: Column) -> None:
        number = first_null(read)
        if number is None:
            return
        message = f"event {number} of {self._source} has no {column}"
        if column in self._keys:
            raise InvalidKeys(message, join_key=column, row=number)
        raise InvalidValue(message, feature=column, row=number)

    def _read(self, cell: Cell, read: Column) -> Values:
        if cell.spelling == "text":
            return self._texts(cell.column, read, _Comparable, "text, a number or a boolean")
        if cell.spelling == "event_id":
            return self._texts(cell.column, read, _Id, "text or an integer")
        if cell.spelling == "event_time":
            return self._times(cell, read)
        if "Timestamp" in cell.spelling:
            return self._moments(cell, read)
        typed = as_type(read, cell.spelling)
        if isinstance(typed.values, np.ndarray) and (typed.nulls is None or not typed.nulls.any()):
            return typed.values
        return typed.listed()

    def _texts(self, column: str, read: Column, kinds: Any, expected: str) -> Values:
        texts: list[str | None] = []
        for number, value in enumerate(as_type(read, None).listed()):
            if type(value) is str:
                texts.append(value or None)
                continue
            value = value.item() if isinstance(value, np.generic) else value
            if not isinstance(value, kinds) or (kinds is _Id and isinstance(value, bool)):
                self._refuse(number, column, value, expected)
            texts.append(cell_text(value))
        return texts

    def _times(self, cell: Cell, read: Column) -> Values:
        times = np.asarray(self._moments(cell, read), dtype=np.int64)
        earliest, latest = event_time_limits(self._now_ms)
        wrong = (times < earliest) | (times > latest)
        if wrong.any():
            number = int(wrong.argmax())
            is_time = read.kind == "Timestamp"
            value = np.datetime64(int(times[number]), "ms") if is_time else read.values[number]
            unit = None if isinstance(value, date | np.datetime64) else cell.timestamp_format
            fault = event_time_fault(int(times[number]), self._now_ms, unit)
            raise InvalidValue(
                f"event {number} of {self._source}: {cell.column} is {shown(value)}, "
                f"which is {fault}",
                feature=cell.column,
                row=number,
            )
        return times

    def _moments(self, cell: Cell, column: Column) -> Values:
        """Return a column of times, or of lists of times, in epoch milliseconds."""
        if column.kind == "Timestamp":
            has_nulls = column.nulls is not None and column.nulls.any()
            return column.listed() if has_nulls else column.values
        read = moment_reader(cell.timestamp_format)
        one: Callable[[int, Any], Any] = partial(self._moment, cell, read)
        if cell.spelling.startswith("List["):
            one = partial(self._moment_list, cell, read)
        return [
            None if value is None else one(number, value)
            for number, value in enumerate(column.listed())
        ]

    def _moment_list(
        self, cell: Cell, read: Callable[[Any], int], number: int, value: Any
    ) -> list[int]:
        is_list = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str | bytes)
        if not is_list:
            self._refuse(number, cell.column, value, "a list of times")
        return [self._moment(cell, read, number, item) for item in value]

    def _moment(self, cell: Cell, read: Callable[[Any], int], number: int, value: Any) -> int:
        try:
            return read(value)
        except (ValueError, OverflowError) as error:
            expected = expectation(cell.timestamp_format)
            # Messages of Python's own parsers are about their formats, so they are left out.
            own = isinstance(value, str) or not str(error)
            hint = "" if own else f"; {error}"
            self._refuse(number, cell.column, value, expected, hint)

    def _refuse(
        self, number: int, column: str, value: Any, expected: str, hint: str = ""
    ) -> NoReturn:
        raise InvalidValue(
            f"event {number} of {self._source}: {column} is {shown(value)}; expected "
            f"{expected}{hint}",
            feature=column,
            row=number,
        )
