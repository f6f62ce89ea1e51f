"""`fscore serve`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from pydantic import SecretStr

from fscore_server.cli.connection import redis_url_option, server_url

__all__ = ["serve_command"]


@click.command("serve")
@click.option("--host", help="Address to listen on. [default: 127.0.0.1]")
@click.option("--port", type=int, help="Port to listen on; 0 takes a free one. [default: 8080]")
@click.option("--workers", type=int, help="Worker processes that share the port. [default: 1]")
@click.option(
    "--api-keys-file",
    type=click.Path(path_type=Path),
    help="Key file; with it every request needs one of its API keys.",
)
@click.option(
    "--insecure-no-auth",
    is_flag=True,
    default=None,
    help="Listen beyond loopback without API keys.",
)
@click.option(
    "--request-timeout-ms", type=int, help="Deadline of a request in milliseconds. [default: 50]"
)
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]))
@click.option("--log-format", type=click.Choice(["json", "text"]), help="[default: json]")
@click.option("--access-log", is_flag=True, default=None, help="Log a line for every request.")
@redis_url_option
def serve_command(redis_url: str | None, **options: Any) -> int:
    """Serve features over HTTP.

    Every setting is also an environment variable FSCORE_…; options take precedence.
    """
    # Imported here: the web stack takes longer to import than most other commands run.
    from fscore_server.process.run import run
    from fscore_server.settings import load_settings

    settings = load_settings(redis_url=redis_url, **options)
    with server_url(redis_url, "serve", temporary=False) as url:
        return run(settings.model_copy(update={"redis_url": SecretStr(url)}))
