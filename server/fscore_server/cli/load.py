"""`fscore load`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fscore.registry import Registry
from fscore_server.cli.connection import connected, redis_url_option
from fscore_server.cli.outcome import FAILED, CommandFailed

if TYPE_CHECKING:
    import fscore
    from fscore_server.ingest.loader import FileReport, LoadReport

__all__ = ["load_command", "require_applied", "say_report"]

_SHOWN_REASONS = 8
# The loader's own list, which cannot be imported here without the libraries that read files.
_FORMATS = ("csv", "tsv", "ndjson", "parquet")


@click.command("load")
@click.argument("definitions", metavar="DEFS", type=click.Path(path_type=Path))
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path)
)
@click.option("--source", help="The file source that the files are, where DEFS has several.")
@click.option("--format", "format_name", type=click.Choice(_FORMATS), help="Not by the ending.")
@click.option("--max-rejects", type=click.IntRange(min=0), help="Load nothing beyond N rejects.")
@click.option(
    "--rejects-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the rejects; beside each file where it is not given.",
)
@click.option(
    "--version",
    type=click.IntRange(1, 2**63 - 1),
    help="Write this version alone; every live one where it is not given.",
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
    """Load events from FILEs into the views of DEFS that have a file source.

    CSV, TSV, NDJSON and Parquet, also compressed (.gz, .zst, .bz2, .lz4). All the FILEs together
    are the source's events. Rows that cannot be read are written to FILE.rejects.ndjson and
    counted; nothing is loaded, and the exit code is 1, when every row is rejected or more than
    --max-rejects. Loading the same files again leaves the same values.
    """
    # Imported here: the libraries that read files take longer to import than other commands run.
    from fscore_server.cli.progress import watching
    from fscore_server.ingest import load
    from fscore_server.ingest.plan import plan_load

    registry = Registry.load(definitions)
    described = json.loads(registry.to_json())
    plan = plan_load(described, source)

    def run(client: fscore.Client | None) -> LoadReport:
        with watching(quiet=as_json) as progress:
            return load(
                None if client is None else _Writer(client, version),
                described,
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
            require_applied(client, registry, [view.view for view in plan.views], definitions)
            report = run(client)
    if as_json:
        click.echo(json.dumps(report.to_json()))
    else:
        say_report(report)
    if report.failure is not None:
        if not as_json:
            click.echo(f"{click.style('error:', fg='red', bold=True)} {report.failure}", err=True)
        return FAILED
    return 0


class _Writer:
    """What a load writes with: the client, and the version that was chosen."""

    def __init__(self, client: fscore.Client, version: int | None) -> None:
        self._client = client
        self._version = version

    def write(self, view: str, rows: Any, /) -> Any:
        """Write rows of a view."""
        return self._client.write(view, rows, version=self._version)


def require_applied(
    client: fscore.Client, registry: Registry, views: list[str], definitions: Path
) -> None:
    """Refuse to write views that Redis describes otherwise: clients would misread them."""
    for name in views:
        ours = registry.views[name]
        theirs = client.registry.views.get(name)
        if theirs is None:
            raise CommandFailed(
                f"view {name} is not applied to this Redis; run: fscore apply {definitions}"
            )
        types = {feature.name: feature.type for feature in ours.features}
        differing = [
            feature.name
            for feature in theirs.features
            if types.pop(feature.name, feature.type) != feature.type
        ]
        if differing or types or theirs.entity != ours.entity:
            what = ", ".join([*differing, *types]) or "its entity"
            raise CommandFailed(
                f"view {name} in Redis differs from {definitions} in {what};"
                f" run: fscore apply {definitions}"
            )


def say_report(report: LoadReport) -> None:
    """Print what a load did."""
    for file in report.files:
        click.echo(f"{file.path}: {file.rows:,} rows, {file.rejected:,} rejected")
        _say_rejects(file)
    verb = "would be written (dry run)" if report.dry_run else "written"
    for view in report.views:
        line = f"{view.view}: {view.entities:,} entities {verb}"
        if view.expired:
            line += f", {view.expired:,} of them older than the view's TTL, served as EXPIRED"
        click.echo(line)
    seconds = report.read_seconds + report.write_seconds
    rate = report.rows / seconds if seconds else 0
    click.echo(
        f"{report.rows:,} rows in {seconds:.2f} s ({rate:,.0f} rows/s:"
        f" {report.read_seconds:.2f} s reading, {report.write_seconds:.2f} s writing)"
    )


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
