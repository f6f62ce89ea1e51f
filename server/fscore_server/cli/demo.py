"""`fscore demo`: the whole way from a file of events to answers over HTTP, in one command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

import fscore
from fscore.registry import Registry
from fscore_server import embedded
from fscore_server.child import spawn
from fscore_server.cli.connection import redis_url_option, server_url
from fscore_server.cli.outcome import CommandFailed

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["demo_command"]

_DEFINITIONS = Path("examples/ecommerce")
_CLICKSTREAM = Path("data/ecom.csv.gz")
_READY_SECONDS = 20.0
_STOP_SECONDS = 15.0


@click.command("demo")
@click.argument(
    "folder", default=_DEFINITIONS, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--port", envvar="DEMO_PORT", type=click.IntRange(1, 65535), default=8080)
@click.option(
    "--seconds",
    envvar="DEMO_SECONDS",
    type=click.FloatRange(min=0),
    help="Run so long, then end; until Ctrl-C where it is not given.",
)
@redis_url_option
def demo_command(folder: Path, port: int, seconds: float | None, redis_url: str | None) -> None:
    """Define, load, serve and query an online shop's clickstream.

    FOLDER is examples/ecommerce, or a copy of it. DEMO_PORT and DEMO_SECONDS do what --port and
    --seconds do.
    """
    from rich.console import Console

    clickstream = folder / _CLICKSTREAM
    if not clickstream.exists():
        raise CommandFailed(f"{clickstream} is missing; run the demo in a checkout of fscore")
    _require_free(port)
    console = Console(highlight=False)
    with _ended_by_signals(), server_url(redis_url, "demo", temporary=False) as url:
        _apply_and_load(console, url, folder, clickstream)
        with _serving(console, url, port):
            _show(console, port)
            _wait(console, port, seconds)
        console.print("stopped the server")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the demo as Ctrl-C does: in order, with everything that it started."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _require_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandFailed(
                f"port {port} cannot be used: {error.strerror}; end what listens there, or choose"
                f" another with DEMO_PORT={port + 1} make demo"
            ) from None


def _apply_and_load(console: Console, url: str, folder: Path, clickstream: Path) -> None:
    import json

    from fscore_server.cli.load import say_report
    from fscore_server.cli.progress import watching
    from fscore_server.ingest import load

    _step(console, f"fscore apply {folder}")
    registry = Registry.load(folder)
    with fscore.connect(url) as client:
        result = client.apply(registry)
        console.print(
            f"{len(registry.views)} views, {sum(len(v.features) for v in registry.views.values())}"
            f" features, {len(registry.services)} service; revision {result.revision}"
        )
        _step(console, f"fscore load {folder} {clickstream}")
        with watching(quiet=True) as progress:
            report = load(client, json.loads(registry.to_json()), [clickstream], progress=progress)
    if report.failure is not None:
        raise CommandFailed(report.failure)
    say_report(report)


@contextmanager
def _serving(console: Console, url: str, port: int) -> Iterator[None]:
    from fscore_server.cli.demo_http import wait_until_ready

    _step(console, f"fscore serve --port {port}")
    log_path = embedded.data_folder().parent / "demo-server.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "FSCORE_REDIS_URL": url,
        "FSCORE_HOST": "127.0.0.1",
        "FSCORE_PORT": str(port),
    }
    with log_path.open("wb") as log:
        server = spawn(
            [sys.executable, "-m", "fscore_server.cli", "serve"],
            output=log,
            environment=environment,
        )
    try:
        if not wait_until_ready(port, _READY_SECONDS, lambda: server.poll() is None):
            lines = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise CommandFailed(
                f"the server is not ready after {_READY_SECONDS:g} s;"
                f" the last line of {log_path} is: {lines[-1] if lines else '(none)'}"
            )
        console.print(f"ready at http://localhost:{port} (docs at /docs, its log is {log_path})")
        yield
    finally:
        server.terminate()
        try:
            server.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _show(console: Console, port: int) -> None:
    from rich.table import Table

    from fscore_server.cli.demo_http import measure, queries

    for query in queries(port):
        _step(console, query.title)
        console.print(f"[bold cyan]{query.curl}[/]", soft_wrap=True)
        console.print(query.answer(), soft_wrap=True, markup=False)
    _step(console, "Latency over HTTP, one connection, one request at a time")
    table = Table("request", "requests", "p50", "p90", "p99", box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for timing in measure(port):
        table.add_row(
            timing.name,
            f"{timing.requests:,}",
            *(f"{milliseconds:.2f} ms" for milliseconds in timing.percentiles),
        )
    console.print(table)


def _wait(console: Console, port: int, seconds: float | None) -> None:
    console.print()
    if seconds is not None:
        console.print(f"serving at http://localhost:{port} for {seconds:g} s")
        time.sleep(seconds)
        return
    console.print(f"serving at http://localhost:{port} until Ctrl-C")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print()


def _step(console: Console, text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left", style="dim")
