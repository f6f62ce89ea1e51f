"""A load: files through conversion and aggregation into rows of feature views, and the rows into
Redis.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from fscore.errors import DeadlineExceeded, Overloaded, Unavailable
from fscore_server.ingest.aggregate import Aggregation
from fscore_server.ingest.events import EventReader
from fscore_server.ingest.failures import InputError, Reject
from fscore_server.ingest.files import open_file
from fscore_server.ingest.plan import LoadPlan, ViewPlan, plan_load
from fscore_server.ingest.reject_file import RejectFile

__all__ = ["FileReport", "LoadReport", "Progress", "Silent", "ViewReport", "Writer", "load"]

_WRITE_ROWS = 5_000
# Seconds between attempts to write: longer in sum than a server takes to start again.
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)


class Writer(Protocol):
    """What a load needs of a client."""

    def write(self, view: str, rows: Any, /) -> Any: ...


class Progress(Protocol):
    """Is told how far a load is."""

    def reading(self, path: Path, position: int, size: int, rows: int, rejected: int) -> None: ...
    def writing(self, view: str, written: int, total: int) -> None: ...


class Silent:
    """Progress that nobody watches."""

    def reading(self, path: Path, position: int, size: int, rows: int, rejected: int) -> None:
        """Say nothing."""

    def writing(self, view: str, written: int, total: int) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file; `rejects` is where its rejects stand, None when there are none."""

    path: Path
    rows: int
    rejected: int
    rejects: Path | None
    reasons: Mapping[str, int]
    examples: Sequence[Reject]


@dataclass(frozen=True, slots=True)
class ViewReport:
    """What was written to one view; `expired` entities are older than its TTL and will not be
    served as present.
    """

    view: str
    entities: int
    expired: int


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What a load did."""

    source: str
    dry_run: bool
    files: Sequence[FileReport]
    views: Sequence[ViewReport]
    read_seconds: float
    write_seconds: float
    failure: str | None = field(default=None)
    """Why nothing was written although the files could be read; None when all went well."""

    @property
    def rows(self) -> int:
        """Rows read, the rejected ones included."""
        return sum(file.rows for file in self.files)

    @property
    def rejected(self) -> int:
        """Rows not loaded."""
        return sum(file.rejected for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The form for machines."""
        return {
            "source": self.source,
            "dry_run": self.dry_run,
            "rows": self.rows,
            "rejected": self.rejected,
            "files": [
                {
                    "path": str(file.path),
                    "rows": file.rows,
                    "rejected": file.rejected,
                    "rejects": None if file.rejects is None else str(file.rejects),
                    "reasons": dict(file.reasons),
                }
                for file in self.files
            ],
            "views": [
                {"view": view.view, "entities": view.entities, "expired": view.expired}
                for view in self.views
            ],
            "read_seconds": round(self.read_seconds, 3),
            "write_seconds": round(self.write_seconds, 3),
            "failure": self.failure,
        }


def load(
    client: Writer | None,
    definitions: Mapping[str, Any],
    files: Sequence[Path],
    *,
    source: str | None = None,
    format_name: str | None = None,
    max_rejects: int | None = None,
    rejects_dir: Path | None = None,
    progress: Progress | None = None,
) -> LoadReport:
    """Load files into every view of their source; all the files together are the source's events.

    `definitions` is the registry's JSON form. Without a `client` it is a dry run: everything is
    read and checked, and nothing is written, neither to Redis nor beside the files. Nothing is
    written to Redis before every file was read to its end. Raises :class:`InputError` when a file
    is unusable as a whole; rows that are come back counted, and stand in `<file>.rejects.ndjson`.
    The report has a `failure` when every row was rejected, or more than `max_rejects`.
    """
    plan = plan_load(definitions, source)
    watcher = progress or Silent()
    _refuse_repeated(files)
    started = time.perf_counter()
    events = EventReader(plan)
    aggregations = [Aggregation(view, events.names) for view in plan.views]
    reports: list[FileReport] = []
    failure = None
    for path in files:
        rejects = RejectFile(path, rejects_dir, write=client is not None)
        before = sum(report.rejected for report in reports)
        allowed = None if max_rejects is None else max_rejects - before
        with closing(rejects):
            report = _read_file(
                path, plan, format_name, events, aggregations, rejects, allowed, watcher
            )
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
    return LoadReport(
        source=plan.views[0].source,
        dry_run=client is None,
        files=reports,
        views=views,
        read_seconds=read_seconds,
        write_seconds=time.perf_counter() - started,
        failure=failure,
    )


def _write(client: Writer, view: str, columns: dict[str, list[Any]]) -> None:
    """Write rows; a failure that may pass is tried again, which is safe as it writes the same."""
    for pause in _PAUSES:
        try:
            client.write(view, columns)
        except (Unavailable, DeadlineExceeded, Overloaded):
            time.sleep(pause)
        else:
            return
    client.write(view, columns)


def _refuse_repeated(files: Sequence[Path]) -> None:
    seen: set[Path] = set()
    for path in files:
        if path.resolve() in seen:
            raise InputError(f"{path}: named twice, so its events would count twice; name it once")
        seen.add(path.resolve())


def _read_file(
    path: Path,
    plan: LoadPlan,
    format_name: str | None,
    events: EventReader,
    aggregations: Sequence[Aggregation],
    rejects: RejectFile,
    allowed: int | None,
    watcher: Progress,
) -> FileReport:
    rows = 0
    with _naming(path), closing(open_file(path, plan, format_name)) as reader:
        size = path.stat().st_size
        watcher.reading(path, 0, size, 0, 0)
        for chunk in reader.chunks():
            good, bad = events.read(chunk)
            rejects.add(bad)
            rows += good.height + len(bad)
            for aggregation in aggregations:
                aggregation.add(good)
            watcher.reading(path, reader.position, size, rows, rejects.count)
            if allowed is not None and rejects.count > allowed:
                break
    return FileReport(
        path=path,
        rows=rows,
        rejected=rejects.count,
        rejects=rejects.path if rejects.count and rejects.written else None,
        reasons=rejects.reasons,
        examples=rejects.examples,
    )


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Put the file's name before an error that does not say which file it is about."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error


def _write_view(
    client: Writer | None, plan: ViewPlan, frame: pl.DataFrame, watcher: Progress
) -> ViewReport:
    expired = 0
    if plan.ttl_ms and frame.height:
        oldest = time.time_ns() // 1_000_000 - plan.ttl_ms
        expired = frame.filter(pl.col("event_time") <= oldest).height
    if client is not None:
        watcher.writing(plan.view, 0, frame.height)
        for start in range(0, frame.height, _WRITE_ROWS):
            part = frame.slice(start, _WRITE_ROWS)
            _write(client, plan.view, part.to_dict(as_series=False))
            watcher.writing(plan.view, start + part.height, frame.height)
    return ViewReport(plan.view, frame.height, expired)
