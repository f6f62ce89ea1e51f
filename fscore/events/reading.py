"""Reads events in any form that a caller may have, into the columns that a source's views need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NoReturn

import numpy as np

from fscore._fscore import event_time_fault, event_time_limits
from fscore.errors import InvalidKeys, InvalidValue
from fscore.events.projection import Cell, EventColumns, SourceProjection, Values
from fscore.interop.moments import expectation, moment_reader
from fscore.model.mapping import cell_text

_SHOWN = 80
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
        counts = {column: len(values) for column, values in found.items()}
        if len(set(counts.values())) > 1:
            listed = ", ".join(f"{column} {count}" for column, count in counts.items())
            raise InvalidValue(f"columns of {self._source} are of different lengths: {listed}")
        for column in self._required:
            self._require(column, found[column])
        cells = {cell: self._read(cell, found[cell.column]) for cell in self._cells}
        return EventColumns(cells, counts[wanted[0]])

    def _found(self, events: Any, wanted: Sequence[str]) -> dict[str, Values]:
        if isinstance(events, Mapping):
            self._require_columns(wanted, events)
            for column in wanted:
                if isinstance(events[column], str | bytes) or not hasattr(
                    events[column], "__iter__"
                ):
                    raise InvalidValue(
                        f"column {column} of events of {self._source} is "
                        f"{_shown(events[column])}; it must be a list or an array (a single event "
                        "goes in a list)",
                        feature=column,
                    )
            return {column: _values(events[column]) for column in wanted}
        if isinstance(events, np.ndarray) and events.dtype.names is not None:
            self._require_columns(wanted, events.dtype.names)
            return {column: _values(events[column]) for column in wanted}
        if hasattr(events, "__arrow_c_stream__") or hasattr(events, "__arrow_c_array__"):
            from fscore.interop import arrow as _arrow

            table = _arrow.as_table(events)
            self._require_columns(wanted, table.column_names)
            return {column: _arrow.event_column(table[column]) for column in wanted}
        if isinstance(events, Sequence) and not isinstance(events, str | bytes):
            for number, event in enumerate(events):
                if not isinstance(event, Mapping):
                    raise InvalidValue(
                        f"event {number} of {self._source} is {_shown(event)}; it must be a dict "
                        "of columns",
                        row=number,
                    )
            # A column that an event leaves out is null.
            return {column: [event.get(column) for event in events] for column in wanted}
        raise InvalidValue(
            f"events of {self._source} must be a list of dicts, a dict of columns, a NumPy "
            f"structured array or a table with Arrow's interface, not {type(events).__name__}"
        )

    def _require_columns(self, wanted: Sequence[str], present: Iterable[str]) -> None:
        there = list(present)
        if missing := [column for column in wanted if column not in there]:
            raise InvalidValue(
                f"events of {self._source} have no column {', '.join(missing)}, which its views "
                f"read; they have {', '.join(map(str, there)) or 'none'}",
                feature=missing[0],
            )

    def _require(self, column: str, values: Values) -> None:
        if isinstance(values, np.ndarray):
            missing = np.isnat(values) if values.dtype.kind == "M" else np.zeros(0, np.bool_)
            if not missing.any():
                return
            number = int(missing.argmax())
        elif None in values:
            number = values.index(None)
        else:
            return
        message = f"event {number} of {self._source} has no {column}"
        if column in self._keys:
            raise InvalidKeys(message, join_key=column, row=number)
        raise InvalidValue(message, feature=column, row=number)

    def _read(self, cell: Cell, values: Values) -> Values:
        if cell.spelling == "text":
            return self._texts(cell.column, values, _Comparable, "text, a number or a boolean")
        if cell.spelling == "event_id":
            return self._texts(cell.column, values, _Id, "text or an integer")
        if cell.spelling == "event_time":
            return self._times(cell, values)
        if "Timestamp" in cell.spelling:
            return self._moments(cell, values)
        if isinstance(values, np.ndarray) and values.dtype.kind == "M":
            # NumPy times would pass for integers, so Python's times go to the check of the type.
            times: list[Any] = values.tolist()
            return times
        return values

    def _texts(self, column: str, values: Values, kinds: Any, expected: str) -> Values:
        plain = values.tolist() if isinstance(values, np.ndarray) else values
        texts: list[str | None] = []
        for number, value in enumerate(plain):
            if type(value) is str:
                texts.append(value or None)
                continue
            value = value.item() if isinstance(value, np.generic) else value
            if not isinstance(value, kinds) or (kinds is _Id and isinstance(value, bool)):
                self._refuse(number, column, value, expected)
            texts.append(cell_text(value))
        return texts

    def _times(self, cell: Cell, values: Values) -> Values:
        times = np.asarray(self._moments(cell, values), dtype=np.int64)
        earliest, latest = event_time_limits(self._now_ms)
        wrong = (times < earliest) | (times > latest)
        if wrong.any():
            number = int(wrong.argmax())
            value = values[number]
            unit = None if isinstance(value, date | np.datetime64) else cell.timestamp_format
            fault = event_time_fault(int(times[number]), self._now_ms, unit)
            raise InvalidValue(
                f"event {number} of {self._source}: {cell.column} is {_shown(value)}, "
                f"which is {fault}",
                feature=cell.column,
                row=number,
            )
        return times

    def _moments(self, cell: Cell, values: Values) -> Values:
        if isinstance(values, np.ndarray):
            if values.dtype.kind == "M" and not np.isnat(values).any():
                return values.astype("datetime64[ms]").astype(np.int64)
            values = list(values)
        read = moment_reader(cell.timestamp_format)
        if cell.spelling.startswith("List["):
            return [
                None if value is None else self._moment_list(number, cell, read, value)
                for number, value in enumerate(values)
            ]
        return [
            None if _is_null(value) else self._moment(number, cell, read, value)
            for number, value in enumerate(values)
        ]

    def _moment_list(
        self, number: int, cell: Cell, read: Callable[[Any], int], value: Any
    ) -> list[int]:
        if not isinstance(value, Sequence) or isinstance(value, str | bytes):
            self._refuse(number, cell.column, value, "a list of times")
        return [self._moment(number, cell, read, item) for item in value]

    def _moment(self, number: int, cell: Cell, read: Callable[[Any], int], value: Any) -> int:
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
            f"event {number} of {self._source}: {column} is {_shown(value)}; expected "
            f"{expected}{hint}",
            feature=column,
            row=number,
        )


def _values(values: Any) -> Values:
    if not isinstance(values, np.ndarray):
        return values if isinstance(values, list) else list(values)
    if values.ndim == 1 and values.dtype.kind in "Miufb":
        return values
    # A matrix is a column of vectors.
    return values.tolist() if values.ndim == 1 else list(values)


def _is_null(value: Any) -> bool:
    return value is None or (isinstance(value, np.datetime64) and bool(np.isnat(value)))


def _shown(value: Any) -> str:
    text = str(value) if isinstance(value, date | np.generic) else repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
