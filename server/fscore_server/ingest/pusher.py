"""A push: events of files are written, as they are read, to views that single events can fill."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from fscore.ingestion import SeriesProjection, project_source
from fscore.registry import Registry
from fscore_server.ingest.event_buffer import event_columns
from fscore_server.ingest.file_events import FileEvents, FileReport, Progress, Silent
from fscore_server.ingest.plan import Reading
from fscore_server.ingest.writing import ViewReport, Writer, write

__all__ = ["PushReport", "push"]


@dataclass(frozen=True, slots=True)
class PushReport:
    """The result of a push; `left_out` has the views that it cannot fill, each with the reason."""

    source: str
    files: Sequence[FileReport]
    views: Sequence[ViewReport]
    left_out: Mapping[str, str]
    seconds: float

    @property
    def rows(self) -> int:
        """Rows read, the rejected ones included."""
        return sum(file.rows for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows not pushed."""
        return sum(file.rejected for file in self.files)

    @property
    def failure(self) -> str | None:
        """Why nothing was pushed although the files could be read; None if the push succeeded."""
        if self.rows and self.rows == self.rejected:
            return f"all {self.rows} rows were rejected, so nothing was pushed"
        return None

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "source": self.source,
            "rows": self.rows,
            "rejected": self.rejected,
            "files": [file.to_json() for file in self.files],
            "views": [view.to_json() for view in self.views],
            "left_out": dict(self.left_out),
            "seconds": round(self.seconds, 3),
            "failure": self.failure,
        }


def push(
    client: Writer,
    registry: Registry,
    source: str,
    files: Sequence[Path],
    *,
    format_name: str | None = None,
    rejects_dir: Path | None = None,
    progress: Progress | None = None,
) -> PushReport:
    """Push the events of files, or of the standard input (`-`), as they are read.

    If it fails, the events before the error are in Redis; pushing all of them again is safe.
    Unusable rows are counted and written to `<file>.rejects.ndjson`.

    Raises `SourceNotFound` if there is no such source, `InvalidValue` if single events fill none of
    its views, and :class:`InputError` if a file as a whole is unusable.
    """
    projection = project_source(registry, source)
    started = time.perf_counter()
    reader = FileEvents(
        Reading.of(projection),
        format_name=format_name,
        rejects_dir=rejects_dir,
        keep_rejects=True,
        progress=progress or Silent(),
    )
    names = {cell: reader.names[cell] for cell in projection.cells}
    written = dict.fromkeys((view.view for view in projection.views), 0)
    unchanged = dict(written)

    def take(events: pl.DataFrame) -> None:
        for rows in projection.rows(event_columns(events, names)):
            if rows.events.size:
                result = write(client, rows.view, rows.columns, rows.ordering)
                written[rows.view] += rows.events.size
                unchanged[rows.view] += result.unchanged

    reports = [reader.read(path, take) for path in files]
    return PushReport(
        source=source,
        files=reports,
        views=[
            ViewReport(
                view.view,
                "events" if isinstance(view, SeriesProjection) else "rows",
                written[view.view],
                unchanged=unchanged[view.view],
            )
            for view in projection.views
        ],
        left_out=projection.left_out,
        seconds=time.perf_counter() - started,
    )
