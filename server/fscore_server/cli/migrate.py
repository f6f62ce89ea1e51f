"""`fscore migrate`: a live view from one layout to the other."""

from __future__ import annotations

import json

import click

from fscore.config import MIGRATION_RATE, MIGRATION_SETTLE
from fscore.errors import DeadlineExceeded, Unavailable
from fscore.registry import LAYOUTS, Layout
from fscore_server.cli.connection import connected, redis_url_option

__all__ = ["migrate_command"]


@click.command("migrate")
@click.argument("view", metavar="VIEW")
@click.option(
    "--to",
    required=True,
    type=click.Choice(LAYOUTS),
    help="The new layout of the view.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=MIGRATION_RATE,
    show_default=True,
    help="Rows to copy, and later to remove, a second.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=MIGRATION_SETTLE,
    show_default=True,
    help="Seconds to wait between two steps, so that every client follows.",
)
@click.option("--invalid-as-null", is_flag=True, help="Store INVALID values as NULL.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@redis_url_option
def migrate_command(
    view: str,
    to: Layout,
    rate: float,
    settle: float,
    invalid_as_null: bool,
    as_json: bool,
    redis_url: str | None,
) -> None:
    """Move VIEW to another layout while clients read and write it.

    First, clients write rows in both layouts and still read the old one, and the command copies the
    existing rows. Then clients read the new layout, then they write only that, and the command
    removes the old rows. It waits --settle seconds between these steps; that must be longer than
    the registry_poll of any client, and longer than any one write takes. During the migration,
    writers must write whole rows.

    INVALID values cannot be copied: the command stops with exit code 3 before clients read the new
    layout. If it was interrupted, the same command continues, and --to the old layout goes back.
    """
    # Imported here: it takes longer to import than most commands run.
    from fscore_server.cli.output.progress import watching_migration

    with connected(redis_url, "migrate") as client:
        try:
            with watching_migration(quiet=as_json) as progress:
                done = client.migrate(
                    view,
                    to,
                    rate=rate,
                    settle=settle,
                    invalid_as_null=invalid_as_null,
                    progress=progress,
                )
        except (KeyboardInterrupt, Unavailable, DeadlineExceeded):
            click.echo("the view has not wholly moved: run the same command again", err=True)
            raise
    if as_json:
        found = {"view": done.view, "layout": done.layout, "revision": done.revision}
        counts = {"copied": done.copied, "removed": done.removed, "invalid": done.invalid}
        click.echo(json.dumps(found | counts))
        return
    click.echo(
        f"{view} is {to} in revision {done.revision}: {done.copied:,} rows copied, "
        f"{done.removed:,} of the old layout removed"
    )
    if done.invalid:
        click.echo(f"{done.invalid:,} values or rows were INVALID and are NULL")
    click.echo(f'now have the definitions say layout="{to}" too; `fscore plan` is empty then')
