"""A load: events of files are converted and aggregated into rows of feature views, and written to
series and flags.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import polars as pl

from fscore.ingestion import FlagProjection, SourceProjection, ViewRows
from fscore.registry import Registry
from fscore_server.ingest.aggregate import Aggregation
from fscore_server.ingest.event_buffer import EventBuffer
from fscore_server.ingest.file_events import FileEvents, FileReport, Progress, Silent
from fscore_server.ingest.plan import ViewPlan, plan_load
from fscore_server.ingest.rows.failures import InputError
from fscore_server.ingest.writing import ViewReport, Writer, write

__all__ = ["LoadReport", "load"]

_WRITE_ROWS = 5_000
_WRITE_EVENTS = 20_000


@dataclass(frozen=True, slots=True)
class LoadReport:
    """The result of a load."""

    source: str
    dry_run: bool
    files: Sequence[FileReport]
    views: Sequence[ViewReport]
    read_seconds: float
    write_seconds: float
    failure: str | None = field(default=None)
    """Why nothing was written although the files could be read; None if the load succeeded."""

    @property
    def rows(self) -> int:
        """Rows read, the rejected ones included."""
        return sum(file.rows for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows not loaded."""
        return sum(file.rejected for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "source": self.source,
            "dry_run": self.dry_run,
            "rows": self.rows,
            "rejected": self.rejected,
            "files": [file.to_json() for file in self.files],
            "views": [view.to_json() for view in self.views],
            "read_seconds": round(self.read_seconds, 3),
            "write_seconds": round(self.write_seconds, 3),
            "failure": self.failure,
        }


def load(
    client: Writer | None,
    registry: Registry,
    files: Sequence[Path],
    *,
    source: str | None = None,
    format_name: str | None = None,
    max_rejects: int | None = None,
    rejects_dir: Path | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Load files into every view of their source, and return a report.

    All the files together must be the source's events. Every file is read to its end before
    anything is written to Redis. Without a `client` this is a dry run: everything is read and
    checked, and nothing is written, neither to Redis nor beside the files.

    Unusable rows are counted and written to `<file>.rejects.ndjson`. The report has a `failure`
    if every row was rejected, or more than `max_rejects`. Raises :class:`InputError` if a file as a
    whole is unusable.
    """
    plan = plan_load(registry, source)
    watcher = progress or Silent()
    _refuse_repeated(files)
    started = time.perf_counter()
    reader = FileEvents(
        plan.reading,
        format_name=format_name,
        rejects_dir=rejects_dir,
        keep_rejects=client is not None,
        progress=watcher,
    )
    aggregations = [Aggregation(view, reader.names) for view in plan.views]
    buffer = EventBuffer(plan.events, reader.names)

    def take(events: pl.DataFrame) -> None:
        for aggregation in aggregations:
            aggregation.add(events)
        buffer.add(events)

    reports: list[FileReport] = []
    failure = None
    for path in files:
        before = sum(report.rejected for report in reports)
        allowed = None if max_rejects is None else max_rejects - before
        report = reader.read(path, take, allowed=allowed)
        reports.append(report)
        if allowed is not None and report.rejected > allowed:
            failure = (
                f"more than {max_rejects} rows were rejected (--max-rejects), so nothing was loaded"
            )
            break
    rows = sum(report.rows for report in reports)
    if failure is None and rows and rows == sum(report.rejected for report in reports):
        failure = f"all {rows} rows were rejected, so nothing was loaded"
    frames = [] if failure else [aggregation.rows() for aggregation in aggregations]
    read_seconds = time.perf_counter() - started
    started = time.perf_counter()
    views = [
        _write_view(client, view, frame, watcher)
        for view, frame in zip(plan.views, frames, strict=False)
    ]
    if not failure:
        views += _write_events(client, plan.events, buffer, rows, watcher)
    return LoadReport(
        source=plan.source,
        dry_run=client is None,
        files=reports,
        views=views,
        read_seconds=read_seconds,
        write_seconds=time.perf_counter() - started,
        failure=failure,
    )


def _refuse_repeated(files: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in files:
        if path.resolve() in seen:
            raise InputError(f"{path}: named twice, so its events would count twice; name it once")
        seen.add(path.resolve())


def _write_view(
    client: Writer | None, plan: ViewPlan, frame: pl.DataFrame, watcher: Progress
) -> ViewReport:
    expired = 0
    if plan.ttl_ms and frame.height:
        oldest = time.time_ns() // 1_000_000 - plan.ttl_ms
        expired = frame.filter(pl.col("event_time") <= oldest).height
    if client is not None:
        watcher.writing(plan.view, 0, frame.height, "")
        for start in range(0, frame.height, _WRITE_ROWS):
            part = frame.slice(start, _WRITE_ROWS)
            write(client, plan.view, part.to_dict(as_series=False))
            written = start + part.height
            watcher.writing(plan.view, written, frame.height, f"{written:,} entities")
    return ViewReport(plan.view, "entities", frame.height, expired=expired)


@dataclass(slots=True)
class _Written:
    """The rows written to a series, or to flags, so far."""

    unit: Literal["entities", "events"]
    read: int = 0
    rows: int = 0
    unchanged: int = 0
    last: tuple[Any, ...] | None = None
    """The entity of the last row."""

    def add(self, rows: ViewRows, keys: Sequence[str], events: int) -> None:
        self.read += events
        if not rows.events.size:
            return
        first, last = (tuple(rows.columns[name][at] for name in keys) for at in (0, -1))
        # Events are sorted by entity, so only the last entity of the rows before can come again.
        again = self.unit == "entities" and first == self.last
        self.rows += rows.events.size - again
        self.last = last


def _write_events(
    client: Writer | None,
    projection: SourceProjection,
    buffer: EventBuffer,
    total: int,
    watcher: Progress,
) -> list[ViewReport]:
    written = {
        view.view: _Written("entities" if isinstance(view, FlagProjection) else "events")
        for view in projection.views
    }
    for view, events in buffer.slices(_WRITE_EVENTS):
        rows = view.rows(events)
        done = written[view.view]
        done.add(rows, [name for name, _ in view.keys], events.count)
        if client is not None:
            if rows.events.size:
                done.unchanged += write(client, view.view, rows.columns).unchanged
            watcher.writing(view.view, done.read, total, f"{done.rows:,} {done.unit}")
    return [
        ViewReport(view, done.unit, done.rows, unchanged=done.unchanged)
        for view, done in written.items()
    ]
