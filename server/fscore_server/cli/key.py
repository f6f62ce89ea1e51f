"""`fscore key`: API keys of the HTTP server."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from pathlib import Path

import click

from fscore.serving import API_KEY_PREFIX, api_key_hash, duration_ms
from fscore_server.auth import key_file as api_keys
from fscore_server.auth.key_file import KEY_NAME, KeyEntry
from fscore_server.cli.output.outcome import CommandFailed

__all__ = ["key_command"]

_RANDOM_BYTES = 32


def _name(_context: click.Context, _option: click.Parameter, value: str) -> str:
    if not KEY_NAME.fullmatch(value):
        raise click.BadParameter("write 1 to 128 printable ASCII characters without spaces")
    return value


def _names(
    _context: click.Context, _option: click.Parameter, value: tuple[str, ...]
) -> tuple[str, ...]:
    if not all(name.isidentifier() for name in value):
        raise click.BadParameter("a name is letters, digits and underscores")
    return value


def _expires(
    _context: click.Context, _option: click.Parameter, value: str | None
) -> dt.datetime | None:
    if value is None:
        return None
    try:
        lifetime = dt.timedelta(milliseconds=duration_ms(value))
    except ValueError:
        raise click.BadParameter(
            f"{value!r} is not a valid duration: write 90d, 12h or 30m"
        ) from None
    # Whole seconds are easy to read, and every reader of TOML keeps them.
    return (dt.datetime.now(dt.UTC) + lifetime).replace(microsecond=0)


@click.group("key")
def key_command() -> None:
    """Manage API keys of the HTTP server, which reads them from FSCORE_API_KEYS_FILE."""


@key_command.command("create")
@click.option(
    "--name",
    required=True,
    callback=_name,
    help="Name of the key in logs; several keys may share one.",
)
@click.option(
    "--service",
    "services",
    multiple=True,
    metavar="SERVICE",
    callback=_names,
    help="A service that the key may read; repeatable.",
)
@click.option(
    "--view",
    "views",
    multiple=True,
    metavar="VIEW",
    callback=_names,
    help="A view that the key may read; repeatable.",
)
@click.option(
    "--expires",
    callback=_expires,
    metavar="DURATION",
    help="Time after which the key expires: 90d, 12h.",
)
@click.option(
    "--append",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Add the entry to this file, atomically; a new file gets mode 0600.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def create_command(
    name: str,
    services: tuple[str, ...],
    views: tuple[str, ...],
    expires: dt.datetime | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Create a key and print it this once; the file gets only its SHA-256.

    Without --service and --view, the key may read everything. With them, it may read these
    services, and any other selection that reads only these views. Servers follow the file, so the
    key works within a second.
    """
    key = API_KEY_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)
    sha256 = api_key_hash(key.encode())
    if sha256 is None:
        raise CommandFailed("the created key does not have the form of an API key")
    entry = KeyEntry(name, sha256, expires, services or None, views or None)
    block = entry.to_toml()
    if file is not None:
        api_keys.append(file, entry)
    if as_json:
        shown = {
            "key": key,
            "name": name,
            "sha256": sha256.hex(),
            "expires": None if expires is None else api_keys.shown_moment(expires),
            "services": list(services) or None,
            "views": list(views) or None,
            "entry": block,
            "file": None if file is None else str(file),
        }
        click.echo(json.dumps(shown))
        return
    click.echo(key)
    click.echo("\nThis key is shown only once: give it to the caller that will send it.", err=True)
    if file is None:
        click.echo("Add this to the file that FSCORE_API_KEYS_FILE names:\n", err=True)
        click.echo(block, nl=False)
    else:
        click.echo(f"Its entry is in {file}; servers that use this file accept it.", err=True)
