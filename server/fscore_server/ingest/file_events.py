"""Files into events: rows are read and converted, and those that are not valid events rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from fscore_server.ingest.formats import open_file
from fscore_server.ingest.plan import Reading
from fscore_server.ingest.rows.failures import InputError, Reject
from fscore_server.ingest.rows.reader import EventReader
from fscore_server.ingest.rows.reject_file import RejectFile

__all__ = ["FileEvents", "FileReport", "Progress", "Silent"]


class Progress(Protocol):
    """Receives the progress of a load or push.

    `reading` gets the position in a file and its size, in bytes; the size is None for the standard
    input. `writing` gets how many of the `total` are done.
    """

    def reading(
        self, path: Path, position: int, size: int | None, rows: int, rejected: int
    ) -> None: ...
    def writing(self, view: str, done: int, total: int, detail: str) -> None: ...


class Silent:
    """Progress that is not shown."""

    def reading(
        self, path: Path, position: int, size: int | None, rows: int, rejected: int
    ) -> None:
        """Say nothing."""

    def writing(self, view: str, done: int, total: int, detail: str) -> None:
        """Say nothing."""


@dataclass(frozen=True, slots=True)
class FileReport:
    """The result of reading one file; `rejects` is the file of its rejects, None if it has none."""

    path: Path
    rows: int
    rejected: int
    rejects: Path | None
    reasons: Mapping[str, int]
    examples: Sequence[Reject]

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        return {
            "path": str(self.path),
            "rows": self.rows,
            "rejected": self.rejected,
            "rejects": None if self.rejects is None else str(self.rejects),
            "reasons": dict(self.reasons),
        }


class FileEvents:
    """Reads files for a plan. `names` has the column of the events for each cell."""

    def __init__(
        self,
        wanted: Reading,
        *,
        format_name: str | None,
        rejects_dir: Path | None,
        keep_rejects: bool,
        progress: Progress,
    ) -> None:
        self._wanted = wanted
        self._reader = EventReader(wanted)
        self._format_name = format_name
        self._rejects_dir = rejects_dir
        self._keep_rejects = keep_rejects
        self._progress = progress
        self.names = self._reader.names

    def read(
        self, path: Path, take: Callable[[pl.DataFrame], None], *, allowed: int | None = None
    ) -> FileReport:
        """Pass a file's events to `take`, some thousands at a time, and return a report.

        It stops when there are more rejects than `allowed`. Raises :class:`InputError` if the file
        as a whole is unusable.
        """
        rows = 0
        rejects = RejectFile(path, self._rejects_dir, write=self._keep_rejects)
        with (
            closing(rejects),
            _naming(path),
            closing(open_file(path, self._wanted, self._format_name)) as reader,
        ):
            self._progress.reading(path, 0, reader.size, 0, 0)
            for chunk in reader.chunks():
                good, bad = self._reader.read(chunk)
                rejects.add(bad)
                rows += good.height + len(bad)
                take(good)
                self._progress.reading(path, reader.position, reader.size, rows, rejects.count)
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
    """Put the file's name before an error that does not name the file."""
    try:
        yield
    except InputError as error:
        if str(path) in str(error):
            raise
        raise InputError(f"{path}: {error}") from error
