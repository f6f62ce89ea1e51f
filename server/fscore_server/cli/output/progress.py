"""The progress of a load, a removal or a migration: bars on a terminal, plain lines elsewhere.

All output goes to standard error.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from fscore import MigrationProgress, ReclaimProgress
from fscore_server.ingest.file_events import Progress as Watcher
from fscore_server.ingest.file_events import Silent

__all__ = ["watching", "watching_migration", "watching_removal"]

_LINE_SECONDS = 2.0


@contextmanager
def watching(*, quiet: bool) -> Iterator[Watcher]:
    """Yield the watcher of a load; with `quiet` it prints only if standard error is a terminal."""
    if sys.stderr.isatty():
        with _bars() as progress:
            yield _Bars(progress)
    elif quiet:
        yield Silent()
    else:
        yield _Lines()


@contextmanager
def watching_removal(*, quiet: bool) -> Iterator[Callable[[ReclaimProgress], None] | None]:
    """Yield the watcher of a removal of keys, as `watching` does for a load."""
    if sys.stderr.isatty():
        with _bars() as progress:
            task = progress.add_task("remove keys", total=1.0, detail="")

            def move(now: ReclaimProgress) -> None:
                detail = f"{now.removed:,} keys"
                progress.update(task, completed=now.share, detail=detail)

            yield move
    elif quiet:
        yield None
    else:
        lines = _Lines()
        yield lambda now: lines.removing(now.share, now.removed)


@contextmanager
def watching_migration(*, quiet: bool) -> Iterator[Callable[[MigrationProgress], None] | None]:
    """Yield the watcher of a migration, as `watching` does for a load."""
    if sys.stderr.isatty():
        with _bars() as progress:
            tasks: dict[str, TaskID] = {}

            def move(now: MigrationProgress) -> None:
                if now.phase not in tasks:
                    tasks[now.phase] = progress.add_task(f"{now.phase} rows", total=1.0, detail="")
                detail = f"{now.rows:,} rows"
                progress.update(tasks[now.phase], completed=now.share, detail=detail)

            yield move
    elif quiet:
        yield None
    else:
        lines = _Lines()
        yield lambda now: lines.migrating(now.phase, now.share, now.rows)


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )


class _Bars:
    """A bar for each file that is read and each view that is written."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, tuple[TaskID, float]] = {}

    def reading(
        self, path: Path, position: int, size: int | None, rows: int, rejected: int
    ) -> None:
        """Move the bar of a file."""
        detail = f"{rows:,} rows"
        if rejected:
            detail += f", {rejected:,} rejected"
        name = "the standard input" if size is None else path.name
        self._move(f"read {name}", position, size, rows, detail)

    def writing(self, view: str, done: int, total: int, detail: str) -> None:
        """Move the bar of a view."""
        self._move(f"write {view}", done, total, done, detail)

    def _move(self, name: str, done: int, total: int | None, count: int, detail: str) -> None:
        if name not in self._tasks:
            most = None if total is None else max(total, 1)
            task = self._progress.add_task(name, total=most, detail="")
            self._tasks[name] = (task, time.perf_counter())
        task, started = self._tasks[name]
        elapsed = time.perf_counter() - started
        rate = f", {count / elapsed:,.0f}/s" if count and elapsed else ""
        self._progress.update(task, completed=1 if total == 0 else done, detail=detail + rate)


class _Lines:
    """A line every few seconds."""

    def __init__(self) -> None:
        self._said = time.perf_counter()

    def reading(
        self, path: Path, position: int, size: int | None, rows: int, rejected: int
    ) -> None:
        """Print how much of a file is read."""
        share = "" if size is None else f"{100 * position // max(size, 1)} % read, "
        self._say(f"{path}: {share}{rows} rows, {rejected} rejected")

    def writing(self, view: str, done: int, total: int, detail: str) -> None:
        """Print how much of a view is written."""
        self._say(f"{view}: {100 * done // max(total, 1)} % written, {detail}")

    def removing(self, share: float, removed: int) -> None:
        """Print how much of a removal is done; `share` is from 0 to 1."""
        self._say(f"{100 * share:.0f} % done, {removed} keys removed")

    def migrating(self, phase: str, share: float, rows: int) -> None:
        """Print how much of a phase is done; `share` is from 0 to 1."""
        self._say(f"{phase}: {100 * share:.0f} % done, {rows} rows")

    def _say(self, line: str) -> None:
        if time.perf_counter() - self._said >= _LINE_SECONDS:
            self._said = time.perf_counter()
            click.echo(line, err=True)
