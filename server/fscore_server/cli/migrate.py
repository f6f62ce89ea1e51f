"""`fscore migrate`: a live view from one layout to the other."""

from __future__ import annotations

import json

import click

from fscore.config import MIGRATION_RATE, MIGRATION_SETTLE
from fscore_server.cli.connection import connected, redis_url_option

__all__ = ["migrate_command"]


@click.command("migrate")
@click.argument("view", metavar="VIEW")
@click.option(
    "--to",
    required=True,
    type=click.Choice(["hash", "packed"]),
    help="The layout that the view shall have.",
)
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=MIGRATION_RATE,
    show_default=True,
    help="Rows to copy a second, and then to remove.",
)
@click.option(
    "--settle",
    type=click.FloatRange(min=0),
    default=MIGRATION_SETTLE,
    show_default=True,
    help="Seconds in which every client has heard of a change.",
)
@click.option("--invalid-as-null", is_flag=True, help="Have what is INVALID become NULL.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@redis_url_option
def migrate_command(
    view: str,
    to: str,
    rate: float,
    settle: float,
    invalid_as_null: bool,
    as_json: bool,
    redis_url: str | None,
) -> None:
    """Move VIEW to another layout while it is read and written.

    First its rows are written in both layouts, and still read in the old one; those that are there
    are copied. Then they are read in the new layout, then written in that alone, and what is left
    of the old one is removed. Between these steps it waits --settle seconds: longer than the
    registry_poll of any client, and than any one write takes. Meanwhile rows have to be written
    whole.

    Values that are INVALID cannot be copied: it stops before anything is read in the new layout,
    with exit code 3. Interrupted, the same command goes on, and --to the old layout goes back.
    """
    # Imported here: it takes longer to import than most commands run.
    from fscore_server.cli.progress import watching_migration

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
        except KeyboardInterrupt:
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
