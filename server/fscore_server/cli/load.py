"""`fscore load`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fscore.registry import Registry, SeriesViewDefinition, ViewDefinition
from fscore_server.cli.connection import connected, redis_url_option
from fscore_server.cli.output.file_reports import FORMATS, exit_code, say_files, say_views
from fscore_server.cli.output.outcome import CommandFailed

if TYPE_CHECKING:
    import fscore
    from fscore_server.ingest.loader import LoadReport

__all__ = ["load_command", "require_applied", "say_report"]


@click.command("load")
@click.argument("definitions", metavar="DEFS", type=click.Path(path_type=Path))
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--source", help="The source of the events in the files, if DEFS has several.")
@click.option(
    "--format",
    "format_name",
    type=click.Choice(FORMATS),
    help="Format of the files. [default: by the ending]",
)
@click.option(
    "--max-rejects", type=click.IntRange(min=0), help="Load nothing if there are more rejects."
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
@click.option("--dry-run", is_flag=True, help="Read and check everything; write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
@redis_url_option
def load_command(
    definitions: Path,
    files: tuple[Path, ...],
    source: str | None,
    format_name: str | None,
    max_rejects: int | None,
    rejects_dir: Path | None,
    version: int | None,
    dry_run: bool,
    as_json: bool,
    redis_url: str | None,
) -> int:
    """Load events from FILEs into the views of DEFS that have a source.

    FILEs are CSV, TSV, NDJSON or Parquet, also compressed (.gz, .zst, .bz2, .lz4). All FILEs
    together are the source's events. Rows that cannot be read are counted and written to
    FILE.rejects.ndjson. If every row is rejected, or more rows than --max-rejects, nothing is
    loaded and the exit code is 1. Loading the same files again leaves the same values.
    """
    # Imported here: the libraries that read files take longer to import than other commands run.
    from fscore_server.cli.output.progress import watching
    from fscore_server.ingest import load
    from fscore_server.ingest.plan import plan_load
    from fscore_server.ingest.writing import ClientWriter

    registry = Registry.load(definitions)
    plan = plan_load(registry, source)

    def run(client: fscore.Client | None) -> LoadReport:
        with watching(quiet=as_json) as progress:
            return load(
                None if client is None else ClientWriter(client, version),
                registry,
                files,
                source=source,
                format_name=format_name,
                max_rejects=max_rejects,
                rejects_dir=rejects_dir,
                progress=progress,
            )

    if dry_run:
        report = run(None)
    else:
        with connected(redis_url, "load") as client:
            require_applied(client, registry, plan.names, definitions)
            report = run(client)
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        say_report(report)
    return exit_code(report.failure, quiet=as_json)


def require_applied(
    client: fscore.Client, registry: Registry, views: list[str], definitions: Path
) -> None:
    """Raise `CommandFailed` if a view differs from the one in Redis: clients would misread rows."""
    for name in views:
        ours = registry.views[name]
        theirs = client.registry.views.get(name)
        if theirs is None:
            raise CommandFailed(
                f"view {name} is not applied to this Redis; run: fscore apply {definitions}"
            )
        if what := _differences(ours, theirs):
            raise CommandFailed(
                f"view {name} in Redis differs from {definitions} in {', '.join(what)};"
                f" run: fscore apply {definitions}"
            )


def _differences(ours: ViewDefinition, theirs: ViewDefinition) -> list[str]:
    """Return the differences because of which one view cannot take the rows of the other."""
    if ours.kind != theirs.kind:
        return ["its kind"]
    types = {feature.name: feature.type for feature in ours.features}
    differing = [
        feature.name
        for feature in theirs.features
        if types.pop(feature.name, feature.type) != feature.type
    ]
    differing += types
    if theirs.entity != ours.entity:
        differing.append("its entity")
    if isinstance(ours, SeriesViewDefinition) and isinstance(theirs, SeriesViewDefinition):
        if ours.columns != theirs.columns:
            differing.append("its payload")
        if (ours.event_id is None) != (theirs.event_id is None):
            differing.append("its event_id")
    return differing


def say_report(report: LoadReport) -> None:
    """Print what a load did."""
    say_files(report.files)
    say_views(report.views, "would be written (dry run)" if report.dry_run else "written")
    seconds = report.read_seconds + report.write_seconds
    rate = report.rows / seconds if seconds else 0
    click.echo(
        f"{report.rows:,} rows in {seconds:.2f} s ({rate:,.0f} rows/s:"
        f" {report.read_seconds:.2f} s reading, {report.write_seconds:.2f} s writing)"
    )
