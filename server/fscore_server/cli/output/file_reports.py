"""Reports about the files that a command read and the views that it wrote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from fscore_server.cli.output.outcome import FAILED

if TYPE_CHECKING:
    from fscore_server.ingest.file_events import FileReport
    from fscore_server.ingest.writing import ViewReport

__all__ = ["FORMATS", "exit_code", "say_files", "say_views"]

# Repeats the list of the readers: importing theirs would import the libraries that read files.
FORMATS = ("csv", "tsv", "ndjson", "parquet")

_SHOWN_REASONS = 8


def say_files(files: Sequence[FileReport]) -> None:
    """Print how many rows of each file were read and rejected, and why."""
    for file in files:
        click.echo(f"{file.path}: {file.rows:,} rows, {file.rejected:,} rejected")
        _say_rejects(file)


def say_views(views: Sequence[ViewReport], verb: str) -> None:
    """Print what was written to each view."""
    for view in views:
        line = f"{view.view}: {view.rows:,} {view.unit} {verb}"
        if view.expired:
            line += f", {view.expired:,} of them older than the view's TTL, served as EXPIRED"
        if view.unchanged:
            line += f", {view.unchanged:,} of which changed nothing"
        click.echo(line)


def exit_code(failure: str | None, *, quiet: bool) -> int:
    """Return the command's exit code, and print `failure`, if any: nothing was written."""
    if failure is None:
        return 0
    if not quiet:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {failure}", err=True)
    return FAILED


def _say_rejects(file: FileReport) -> None:
    reasons = sorted(file.reasons.items(), key=lambda item: -item[1])
    for reason, count in reasons[:_SHOWN_REASONS]:
        click.echo(f"  {count:>9,} x {reason}")
    if len(reasons) > _SHOWN_REASONS:
        click.echo(f"            and {len(reasons) - _SHOWN_REASONS} more reasons")
    if file.rejects is not None:
        click.echo(f"  rejected rows: {file.rejects}")
    elif file.examples:
        example = file.examples[0]
        click.echo(f"  first: line {example.line}: {example.reason}")
