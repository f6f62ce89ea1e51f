"""Conversion of a file's chunks into typed events, and of rows that do not fit into rejects."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from fscore.ingestion import FlagProjection, event_time_fault, event_time_limits
from fscore_server.ingest.aggregate import selected
from fscore_server.ingest.formats.chunk import Chunk
from fscore_server.ingest.plan import Cell, Reading
from fscore_server.ingest.rows.convert import convert, expectation
from fscore_server.ingest.rows.failures import Reject

__all__ = ["EventReader"]

_LONGEST_ID = 512
_SHOWN = 80


@dataclass(frozen=True, slots=True)
class _Check:
    """One check: the rows that fail it, and a function that returns the reason for a row."""

    failing: pl.Series
    reason: Callable[[int], str]


class EventReader:
    """Converts chunks into events. `names` has the column of the events for each cell."""

    def __init__(self, reading: Reading) -> None:
        self._cells = reading.cells
        self._required = reading.required
        self._flags = reading.flags
        self.names = {cell: f"c{index}" for index, cell in enumerate(self._cells)}

    def read(self, chunk: Chunk) -> tuple[pl.DataFrame, list[Reject]]:
        """Return the events of the chunk's good rows, and its rejects in the order of the file."""
        now_ms = time.time_ns() // 1_000_000
        columns: list[pl.Series] = []
        checks: list[_Check] = []
        for cell in self._cells:
            found = chunk.frame[cell.column]
            values = convert(found, cell)
            if cell in self._required and values.dtype == pl.String:
                values = values.replace("", None)
            columns.append(values.alias(self.names[cell]))
            checks += self._checks(cell, found, values, now_ms)
        events = pl.DataFrame(columns)
        checks += [self._id_check(view, events) for view in self._flags]
        verdict = np.full(chunk.frame.height, -1, dtype=np.int64)
        for index, check in enumerate(checks):
            failing = check.failing.fill_null(False).to_numpy()
            verdict[failing & (verdict == -1)] = index
        bad = np.flatnonzero(verdict != -1)
        if not bad.size:
            return events, chunk.rejects
        rejects = self._rejects(chunk, checks, verdict, bad)
        return events.filter(pl.Series(verdict == -1)), rejects

    def _checks(self, cell: Cell, found: pl.Series, values: pl.Series, now_ms: int) -> list[_Check]:
        name = cell.column
        checks = [
            _Check(
                _misread(found, values, cell),
                lambda row: f"{name}: expected {expectation(cell)}, found {_shown(found[row])}",
            )
        ]
        if cell in self._required:
            checks.append(_Check(values.is_null(), lambda row: f"{name}: missing"))
        if cell in self._required and values.dtype == pl.String:
            checks.append(
                _Check(
                    values.str.len_bytes() > _LONGEST_ID,
                    lambda row: (
                        f"{name}: an id has at most {_LONGEST_ID} bytes,"
                        f" this has {len(values[row].encode())}"
                    ),
                )
            )
        if cell.spelling == "event_time":
            unit = None if found.dtype.is_temporal() else cell.timestamp_format
            checks.append(
                _Check(
                    ~values.is_between(*event_time_limits(now_ms)),
                    lambda row: (
                        f"{name}: {_shown(found[row])} is"
                        f" {event_time_fault(values[row], now_ms, unit)}"
                    ),
                )
            )
        return checks

    def _id_check(self, view: FlagProjection, events: pl.DataFrame) -> _Check:
        """Return the check for rows that set a flag of an entity whose id has no number: such an
        entity has no bit."""
        ((_, cell),) = view.keys
        ids = events[self.names[cell]]
        sets = events.select(
            pl.any_horizontal(selected(where, self.names) for where in view.flags.values())
        ).to_series()
        written = "a number from 0 on" if view.ids is None else f"an id that {view.ids} writes"
        return _Check(
            sets & ~_numbered(ids, view.ids),
            lambda row: f"{cell.column}: flags take {written}, found {_shown(ids[row])}",
        )

    def _rejects(
        self,
        chunk: Chunk,
        checks: list[_Check],
        verdict: npt.NDArray[np.int64],
        bad: npt.NDArray[np.int64],
    ) -> list[Reject]:
        rows = [int(row) for row in bad]
        rejects = [
            Reject(line, checks[verdict[row]].reason(row), raw)
            for row, (line, raw) in zip(rows, chunk.locate(rows), strict=True)
            # The CSV reader yields a blank line as a row without values; it is not a row.
            if raw.strip()
        ]
        return sorted([*chunk.rejects, *rejects], key=lambda reject: reject.line)


def _numbered(ids: pl.Series, pattern: str | None) -> pl.Series:
    """Return for each id whether it is one that the pattern writes for a number."""
    if pattern is None:
        return ids >= 0
    prefix, _, digits = pattern.partition("%")
    width = int(digits.removesuffix("d").removeprefix("0") or 0)
    numbers = ids.str.strip_prefix(prefix)
    exact = rf"^(?:[0-9]{{{width}}}|[1-9][0-9]{{{width},}})$" if width else "^(?:0|[1-9][0-9]*)$"
    return (
        ids.str.starts_with(prefix)
        & numbers.str.contains(exact)
        & numbers.cast(pl.Int64, strict=False).is_not_null()
    )


def _misread(found: pl.Series, values: pl.Series, cell: Cell) -> pl.Series:
    lost = values.is_null() & found.is_not_null()
    if found.dtype != pl.String:
        return lost
    # An empty text is a missing value, not an invalid one.
    return lost & (found != "")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
