"""`fscore version`: create, promote, rollback, retire and list versions of a feature service."""

from __future__ import annotations

import getpass
import json
from typing import TYPE_CHECKING, Any

import click

from fscore.config import RECLAIM_RATE
from fscore.errors import DeadlineExceeded, Unavailable
from fscore_server.cli.connection import connected, redis_url_option
from fscore_server.cli.output.moment import shown_moment

if TYPE_CHECKING:
    from fscore import ServiceVersions, Switch, VersionRecord

__all__ = ["version_command"]

_json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_service = click.argument("service", metavar="SERVICE")
_version = click.argument("version", metavar="VERSION", type=click.IntRange(1, 2**63 - 1))


@click.group("version")
def version_command() -> None:
    """Fill a new version of a service's data beside the old one, and switch over, or back.

    The v1 at the end of every key is its version. Each service reads one version. Servers follow a
    switch within milliseconds, and clients within a second.
    """


@version_command.command("create")
@_service
@click.option("--comment", default="", help="Purpose of the version; `list` shows it.")
@_json_option
@redis_url_option
def create_command(service: str, comment: str, as_json: bool, redis_url: str | None) -> None:
    """Create the next version of SERVICE, which nobody reads yet.

    Within a second all writers write rows to it as well; load history after that second. Its number
    is new to every service that shares an entity with SERVICE.
    """
    with connected(redis_url, "version create") as client:
        version = client.versions.create(service, comment=comment, created_by=_user())
    if as_json:
        click.echo(json.dumps({"service": service, "version": version}))
        return
    click.echo(
        f"version {version} of {service} is being filled; when it is complete: "
        f"fscore version promote {service} {version}"
    )


@version_command.command("promote")
@_service
@_version
@_json_option
@redis_url_option
def promote_command(service: str, version: int, as_json: bool, redis_url: str | None) -> None:
    """Make SERVICE read VERSION from now on.

    Writers keep writing to the previous version until it is retired, so that `fscore version
    rollback` finds it fresh.
    """
    with connected(redis_url, "version promote") as client:
        switch = client.versions.promote(service, version)
    _say_switch(switch, as_json)


@version_command.command("rollback")
@_service
@_json_option
@redis_url_option
def rollback_command(service: str, as_json: bool, redis_url: str | None) -> None:
    """Make SERVICE read its previous version again.

    A second rollback goes back one version more. If the connection broke and it is uncertain
    whether the rollback was done, look at `fscore version list` before you try again.
    """
    with connected(redis_url, "version rollback") as client:
        switch = client.versions.rollback(service)
    _say_switch(switch, as_json)


@version_command.command("retire")
@_service
@_version
@click.option("--force", is_flag=True, help="Also retire a version to which a rollback would go.")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=RECLAIM_RATE,
    show_default=True,
    help="Keys to remove a second.",
)
@_json_option
@redis_url_option
def retire_command(
    service: str, version: int, force: bool, rate: float, as_json: bool, redis_url: str | None
) -> None:
    """Retire VERSION of SERVICE, and remove its keys.

    Writers stop writing to it, and it cannot be promoted any more. The command refuses with exit
    code 3 while SERVICE, or a service that shares an entity with it, reads VERSION; and, without
    --force, while a rollback would go to VERSION. If it was interrupted, the same command removes
    the rest.
    """
    # Imported here: it takes longer to import than most commands run.
    from fscore_server.cli.output.progress import watching_removal

    with connected(redis_url, "version retire") as client:
        try:
            with watching_removal(quiet=as_json) as progress:
                done = client.versions.retire(
                    service, version, force=force, rate=rate, progress=progress
                )
        except (KeyboardInterrupt, Unavailable, DeadlineExceeded):
            click.echo("not all keys are removed: run the same command again", err=True)
            raise
    if as_json:
        found = {"service": service, "version": version, "removed": done.removed}
        click.echo(json.dumps({**found, "entities": done.entities, "kept": done.kept}))
        return
    keys = "1 key" if done.removed == 1 else f"{done.removed:,} keys"
    click.echo(f"version {version} of {service} is retired; {keys} removed")
    for entity, services in done.kept.items():
        click.echo(f"{entity}: kept, because {', '.join(services)} still has version {version}")


@version_command.command("list")
@click.argument("service", metavar="[SERVICE]", required=False)
@_json_option
@redis_url_option
def list_command(service: str | None, as_json: bool, redis_url: str | None) -> None:
    """Show the versions of SERVICE, or of all services."""
    with connected(redis_url, "version list") as client:
        found = client.versions.list(service)
    if as_json:
        click.echo(json.dumps([versions.to_dict() for versions in found]))
        return
    for versions in found:
        _print_table(versions)


def _say_switch(switch: Switch, as_json: bool) -> None:
    if as_json:
        outcome: dict[str, Any] = {"service": switch.service, "version": switch.version}
        click.echo(json.dumps({**outcome, "before": switch.before, "changed": switch.changed}))
    elif switch.changed:
        before = "" if switch.before is None else f"; before, it was version {switch.before}"
        click.echo(f"{switch.service} reads version {switch.version}{before}")
    else:
        click.echo(f"{switch.service} reads version {switch.version} already")


def _print_table(versions: ServiceVersions) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(versions.service, style="bold"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("version", "state", "created", "promoted", "comment"):
        table.add_column(column, overflow="fold", no_wrap=column != "comment")
    for record in versions.versions:
        table.add_row(
            str(record.version),
            Text(_state(versions, record)),
            _moment(record.created_at_ms),
            _moment(record.promoted_at_ms),
            Text(" ".join(filter(None, (record.comment, _by(record))))),
        )
    console.print(table)


def _state(versions: ServiceVersions, record: VersionRecord) -> str:
    if record.version == versions.current:
        return "current"
    if record.version == versions.previous:
        return "previous"
    if record.state == "retired" and record.reclaimed_at_ms is None:
        return "retired, keys left"
    return record.state


def _by(record: VersionRecord) -> str:
    return f"({record.created_by})" if record.created_by else ""


def _moment(epoch_ms: int | None) -> str:
    # To the second; --json has the milliseconds.
    return "" if epoch_ms is None else shown_moment(epoch_ms // 1000 * 1000)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        # A container's user often has no name.
        return ""
