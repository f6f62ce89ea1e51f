"""`fscore demo`: everything from a file of events to answers over HTTP, in one command."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import click

import fscore
from fscore.registry import Registry
from fscore_server.cli.apply import counted
from fscore_server.cli.connection import redis_url_option, server_url
from fscore_server.cli.output.outcome import CommandFailed
from fscore_server.process import embedded
from fscore_server.process.child import spawn

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["demo_command"]

_DEFINITIONS = Path("examples/ecommerce")
_CLICKSTREAM = Path("data/ecom.csv.gz")
_READY_SECONDS = 20.0
_STOP_SECONDS = 15.0
_FOREVER = 1e9
_WIDTH = 100
_API_KEYS = "FSCORE_API_KEYS_FILE"


@click.command("demo")
@click.argument(
    "folder", default=_DEFINITIONS, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--port", envvar="DEMO_PORT", type=click.IntRange(1, 65535), default=8080)
@click.option(
    "--seconds",
    envvar="DEMO_SECONDS",
    type=click.FloatRange(min=0),
    help="Run for this long, then end. [default: until Ctrl-C]",
)
@redis_url_option
def demo_command(folder: Path, port: int, seconds: float | None, redis_url: str | None) -> None:
    """Define, load, serve and query an online shop's clickstream.

    FOLDER is examples/ecommerce, or a copy of it. The variables DEMO_PORT and DEMO_SECONDS have the
    same effect as --port and --seconds.
    """
    from rich.console import Console

    clickstream = folder / _CLICKSTREAM
    if not clickstream.exists():
        raise CommandFailed(f"{clickstream} is missing; run the demo in a checkout of fscore")
    _require_free(port)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDTH)
    with _ended_by_signals(), server_url(redis_url, "demo", temporary=False) as url:
        _apply_and_load(console, url, folder, clickstream)
        with _serving(console, url, port) as server:
            _show(console, port)
            _wait(console, server, seconds)
        console.print("stopped the server")


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM end the demo as Ctrl-C does: in order, with everything that it started.

    A shell that starts a command in the background makes it ignore Ctrl-C, so this sets that too.
    """

    def end(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


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
    from fscore_server.cli.load import say_report
    from fscore_server.cli.output.progress import watching
    from fscore_server.ingest import load

    _step(console, f"fscore apply {folder}")
    registry = Registry.load(folder)
    with fscore.connect(url) as client:
        result = client.apply(registry)
        console.print(f"{counted(registry)}; revision {result.revision}")
        _step(console, f"fscore load {folder} {clickstream}")
        with watching(quiet=True) as progress:
            report = load(client, registry, [clickstream], progress=progress)
    if report.failure is not None:
        raise CommandFailed(report.failure)
    say_report(report)


@dataclass(frozen=True, slots=True)
class _Server:
    """The server that the demo has started."""

    port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def last_line(self) -> str:
        """The last line of its log, for messages."""
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return f"the last line of {self.log} is: {lines[-1] if lines else '(none)'}"


@contextmanager
def _serving(console: Console, url: str, port: int) -> Iterator[_Server]:
    from fscore_server.cli.demo_http import TIMEOUT, wait_until_ready

    _step(console, f"fscore serve --port {port}")
    log_path = embedded.data_folder().parent / "demo-server.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    environment = {
        # A busy machine may take longer than the default 50 ms; the demo should show that and not
        # fail.
        "FSCORE_REQUEST_TIMEOUT_MS": f"{1000 * TIMEOUT:.0f}",
        # The demo sends no API key, on loopback.
        **{name: os.environ[name] for name in os.environ if name.upper() != _API_KEYS},
        "FSCORE_REDIS_URL": url,
        "FSCORE_HOST": "127.0.0.1",
        "FSCORE_PORT": str(port),
    }
    command = [sys.executable, "-m", "fscore_server.cli", "serve"]
    with log_path.open("wb") as log:
        process = spawn(command, output=log, environment=environment)
    server = _Server(port, log_path, process)
    try:
        if not wait_until_ready(port, _READY_SECONDS, lambda: process.poll() is None):
            raise CommandFailed(f"the server did not become ready; {server.last_line()}")
        ready = f"ready at {server.url} (see /docs there; its log is {os.path.relpath(log_path)})"
        console.print(ready, soft_wrap=True)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _show(console: Console, port: int) -> None:
    from rich.table import Table
    from rich.text import Text

    from fscore_server.cli.demo_http import measure, queries

    for query in queries(port):
        _step(console, query.title)
        # Never wrapped, so that the command can be copied.
        console.print(Text(query.curl, style="bold cyan"), soft_wrap=True)
        console.print(Text(query.answer()), soft_wrap=True)
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


def _wait(console: Console, server: _Server, seconds: float | None) -> None:
    until = "until Ctrl-C" if seconds is None else f"for {seconds:g} s"
    try:
        console.print(f"\nserving at {server.url} {until}")
        # polars replaces the handler of Ctrl-C by one after which the kernel restarts a wait
        # without a time limit, so there is always a limit.
        server.process.wait(_FOREVER if seconds is None else seconds)
    except subprocess.TimeoutExpired:
        return
    except KeyboardInterrupt:
        console.print()
        return
    raise CommandFailed(f"the server ended by itself: {server.last_line()}")


def _step(console: Console, text: str) -> None:
    console.print()
    console.rule(f"[bold]{text}", align="left", style="dim")
