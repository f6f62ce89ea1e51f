"""The Redis that a command uses: the given one, or the embedded one of the data folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

import fscore
from fscore.config import load_settings
from fscore_server.process import embedded

__all__ = ["connected", "redis_url_option", "server_url"]

F = TypeVar("F", bound=Callable[..., Any])


def redis_url_option(function: F) -> F:
    """Add `--redis-url`."""
    return click.option(
        "--redis-url",
        metavar="URL",
        help="redis://, rediss:// or unix:// URL. [default: FSCORE_REDIS_URL]",
    )(function)


@contextmanager
def server_url(redis_url: str | None, command: str, *, temporary: bool) -> Iterator[str]:
    """Yield the URL to use; an embedded server that this starts ends with the context."""
    given = load_settings(redis_url, None, {}).redis_url
    if given is not None:
        yield given.get_secret_value()
        return
    with embedded.start(owner=command, temporary=temporary) as server:
        click.echo(server.announcement, err=True)
        yield server.url


@contextmanager
def connected(redis_url: str | None, command: str) -> Iterator[fscore.Client]:
    """Yield a blocking client for a command that ends by itself."""
    with (
        server_url(redis_url, command, temporary=True) as url,
        fscore.connect(url) as client,
    ):
        yield client
