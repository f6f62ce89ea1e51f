"""`fscore apply` and `fscore plan`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from fscore.registry import Registry
from fscore_server.cli.connection import connected, redis_url_option
from fscore_server.cli.output.outcome import UNSAFE

__all__ = ["apply_command", "counted", "plan_command"]

_definitions = click.argument("definitions", metavar="DEFS", type=click.Path(path_type=Path))


@click.command("apply")
@_definitions
@click.option("--allow-unsafe", is_flag=True, help="Also apply unsafe changes.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@redis_url_option
def apply_command(
    definitions: Path, allow_unsafe: bool, as_json: bool, redis_url: str | None
) -> None:
    """Store the definitions of DEFS, a folder or a Python file, in Redis.

    Servers and clients pick them up by themselves. Unsafe changes, which would make stored data
    unreadable or unreachable, are refused with exit code 3 unless --allow-unsafe is given.
    """
    registry = Registry.load(definitions)
    with connected(redis_url, "apply") as client:
        result = client.apply(registry, allow_unsafe=allow_unsafe)
    if as_json:
        outcome = {"revision": result.revision, "changed": result.changed}
        click.echo(json.dumps(outcome | result.diff.to_json()))
        return
    for change in result.diff.changes:
        click.echo(change)
    what = "applied" if result.changed else "nothing to change in"
    click.echo(f"{what} {definitions}: {counted(registry)}; revision {result.revision}")


def counted(registry: Registry) -> str:
    """Return in words how many views, services and so on a registry defines."""
    features = sum(len(view.features) for view in registry.views.values())
    return ", ".join(
        f"{number} {one if number == 1 else many}"
        for number, one, many in (
            (len(registry.entities), "entity", "entities"),
            (len(registry.views), "view", "views"),
            (features, "feature", "features"),
            (len(registry.services), "service", "services"),
        )
    )


@click.command("plan")
@_definitions
@click.option("--json", "as_json", is_flag=True, help="Print the changes as JSON.")
@redis_url_option
def plan_command(definitions: Path, as_json: bool, redis_url: str | None) -> int:
    """Show what `fscore apply DEFS` would change, and change nothing.

    The exit code is 0 if `apply` would store the definitions, and 3 if it would refuse them because
    of unsafe changes.
    """
    registry = Registry.load(definitions)
    with connected(redis_url, "plan") as client:
        difference = client.plan(registry)
    click.echo(json.dumps(difference.to_json()) if as_json else difference)
    return 0 if difference.safe else UNSAFE
