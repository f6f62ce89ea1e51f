"""`run_worker(settings, …)`: one worker process, which serves on a listening socket.

On SIGTERM or SIGINT it reports not ready at once, waits `drain` seconds for load balancers to
notice, then refuses connections, lets requests in flight finish within `grace` seconds, and ends.
On a second SIGINT it ends at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn

from fscore.errors import ConfigError
from fscore_server import __version__
from fscore_server.http.app import create_app
from fscore_server.http.connection.protocol import ProtocolLimits, bounded
from fscore_server.problems import Header
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.logs import LOGGER

BACKLOG = 2048
_LAST_REQUESTS = 0.1


@dataclass(frozen=True, slots=True)
class Worker:
    """The number of this worker process, how many there are, and the file of their counters."""

    number: int = 0
    of: int = 1
    metrics: Path | None = None


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """Return a listening socket. Raises `ConfigError` if the address cannot be used.

    Several `shared` sockets may listen on one port; the kernel spreads connections over them.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ConfigError(
            f"cannot listen on {host} port {port}: {reason}; choose others with FSCORE_HOST and"
            " FSCORE_PORT"
        ) from error
    return listener


def url_of(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def banner(settings: ServerSettings, listener: socket.socket) -> Callable[[int], None]:
    """Return a function that logs the server's first line; it takes the registry's revision."""
    url = url_of(listener)

    def announce(revision: int) -> None:
        LOGGER.info(
            f"fscore {__version__} serves at {url}",
            extra={
                "fields": {
                    "url": url,
                    "redis": str(settings.endpoint()),
                    "revision": revision,
                    "workers": settings.workers,
                    "pid": os.getpid(),
                }
            },
        )

    return announce


def run_worker(
    settings: ServerSettings,
    worker: Worker,
    listener: socket.socket,
    *,
    ready: Callable[[int], None],
    lifeline: int | None = None,
) -> int:
    """Serve on a listening socket until a signal or the end of the `lifeline` pipe.

    Calls `ready` with the registry's revision when it serves. Returns the exit code.
    """
    app = create_app(settings, worker=worker.number, workers=worker.of, metrics_path=worker.metrics)
    limits = ProtocolLimits(
        header_timeout=settings.header_timeout,
        header_bytes=settings.max_header_bytes,
        write_timeout=settings.write_stall_timeout,
        connections=settings.max_clients,
    )
    config = uvicorn.Config(
        app,
        http=bounded(limits, app.hot),
        loop="uvloop",
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=int(settings.keep_alive) or 1,
        timeout_graceful_shutdown=max(1, round(settings.grace)),
    )

    def started() -> None:
        _spare_the_collector()
        ready(app.state.revision)

    def headers(fields: list[Header]) -> None:
        if app.hot is not None:
            app.hot.reads.set_fields(fields)

    server = DrainingServer(
        config,
        settings.drain,
        started=started,
        drain=app.drain,
        abandon=app.abandon,
        headers=headers,
        lifeline=lifeline,
    )
    server.run(sockets=[listener])
    return 0 if server.started else 3


def _spare_the_collector() -> None:
    """Exclude the objects loaded at the start from garbage collection, and collect less often.

    Requests make no cycles, so nearly every collection traverses everything and finds nothing: with
    Python's defaults it took 8 % of a worker's CPU.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


class DrainingServer(uvicorn.Server):
    """uvicorn's server, but it lets the application drain before it ends."""

    def __init__(
        self,
        config: uvicorn.Config,
        drain_seconds: float,
        *,
        started: Callable[[], None],
        drain: Callable[[], None],
        abandon: Callable[[], None],
        headers: Callable[[list[Header]], None],
        lifeline: int | None,
    ) -> None:
        super().__init__(config)
        self._tell_headers = headers
        self._headers: list[Header] | None = None
        self._drain_seconds = drain_seconds
        self._tell_started = started
        self._tell_drain = drain
        self._tell_abandon = abandon
        self._lifeline = lifeline
        self._exit_at: float | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._lifeline is not None:
            asyncio.get_running_loop().add_reader(self._lifeline, self._parent_ended)
        if self.started:
            self._tell_started()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig == signal.SIGINT and self._exit_at is not None:
            self.should_exit = self.force_exit = True
            self._tell_abandon()
        self._begin_exit()

    async def on_tick(self, counter: int) -> bool:
        if self._exit_at is not None and time.monotonic() >= self._exit_at:
            self.should_exit = True
        leaving = await super().on_tick(counter)
        # The tick renews the default headers, because the date is one of them.
        if self.server_state.default_headers is not self._headers:
            self._headers = self.server_state.default_headers
            self._tell_headers(self._headers)
        return leaving

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        # Callers that connected just before may still send their request. It is answered as the
        # last of its connection; connections that are idle after this wait are closed.
        await asyncio.sleep(_LAST_REQUESTS)
        await super().shutdown(sockets)

    def _begin_exit(self) -> None:
        if self._exit_at is None:
            self._exit_at = time.monotonic() + self._drain_seconds
            self._tell_drain()

    def _parent_ended(self) -> None:
        with contextlib.suppress(ValueError):
            asyncio.get_running_loop().remove_reader(self._lifeline or -1)
        self._begin_exit()
