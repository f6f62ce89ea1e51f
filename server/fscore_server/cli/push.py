"""`fscore push`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fscore_server.cli.connection import connected, redis_url_option
from fscore_server.cli.output.file_reports import FORMATS, exit_code, say_files, say_views

__all__ = ["push_command"]


@click.command("push")
@click.argument("source")
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    help="Format of the files. [default: by the ending; NDJSON for the standard input]",
)
@click.option(
    "--rejects-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the rejects. [default: beside each file]",
)
@click.option(
    "--version",
    type=click.IntRange(1, 2**63 - 1),
    help="Write only this version. [default: every version that is not retired]",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@redis_url_option
def push_command(
    source: str,
    files: tuple[Path, ...],
    format_name: str | None,
    rejects_dir: Path | None,
    version: int | None,
    as_json: bool,
    redis_url: str | None,
) -> int:
    """Push events from FILEs into the applied views of SOURCE that single events can fill.

    These views are series, flags, and feature views of the latest values; counts, sums and so on
    need `fscore load`. FILEs have the same formats as for `fscore load`; - is NDJSON from the
    standard input, pushed line by line as it arrives. Rows that cannot be read are counted and
    written to FILE.rejects.ndjson. The exit code is 1 if every row is rejected. Pushing the same
    events again, or in another order, changes nothing.
    """
    # Imported here: the libraries that read files take longer to import than other commands run.
    from fscore_server.cli.output.progress import watching
    from fscore_server.ingest import push
    from fscore_server.ingest.writing import ClientWriter

    with connected(redis_url, "push") as client, watching(quiet=as_json) as progress:
        report = push(
            ClientWriter(client, version),
            client.registry,
            source,
            files,
            format_name=format_name,
            rejects_dir=rejects_dir,
            progress=progress,
        )
    if as_json:
        click.echo(json.dumps(report.to_json()))
        return exit_code(report.failure, quiet=True)
    say_files(report.files)
    say_views(report.views, "pushed")
    for view, why in report.left_out.items():
        click.echo(f"{view}: left to fscore load, {why}")
    rate = report.rows / report.seconds if report.seconds else 0
    click.echo(f"{report.rows:,} rows in {report.seconds:.2f} s ({rate:,.0f} rows/s)")
    return exit_code(report.failure, quiet=False)
