"""One server: its connection, dialled when needed, and the callers that wait on it.

All callers share one connection. Requests of one turn of the event loop leave in one send. Rust
decodes the replies as soon as their bytes arrive, and each waiting future is settled once.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from asyncio import _get_running_loop as running_loop
from collections.abc import Callable, Sequence
from threading import get_ident
from time import monotonic
from typing import TYPE_CHECKING, Any, cast

from fscore._fscore import Connection, FeatureTable, ReadPlan, ReconnectBackoff, WriteBatch
from fscore.aio.transport import keep_alive, open_transport, tls_context
from fscore.client.options import ReadOptions
from fscore.connection.endpoint import Endpoint
from fscore.errors import ConfigError, ForkedProcess, FscoreError, Unavailable, WrongEventLoop

if TYPE_CHECKING:
    from fscore.config import RedisSettings

# uvloop's timers and its clock count milliseconds, and may be one early. So deadlines are compared
# with the system's clock, and a timer that fires too early is set again.
_TICK = 0.001
# After the server has owed an answer for this many seconds, a connection gets no more requests.
_LONGEST_SILENCE = 1.0


class _Link(asyncio.Protocol):
    """One connection, from the beginning of its dial until its transport is lost."""

    def __init__(self, node: Node, loop: asyncio.AbstractEventLoop) -> None:
        self.core = Connection(monotonic(), **node.connection_settings)
        self.ready_at: float | None = None
        """When the handshake succeeded, in seconds of the monotonic clock; None before."""
        self.is_dialled = False
        """Whether a dial was begun whose failure `ReconnectBackoff` has not counted yet."""
        self.dialling: asyncio.Task[None] | None = None
        self.retired = False
        self._ended = False
        self._node = node
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._flushing = False
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        if self._ended:
            self._transport.abort()
            return
        keep_alive(transport.get_extra_info("socket"))
        self.core.connected(monotonic())
        self._flush()
        self._watch()

    def data_received(self, data: bytes) -> None:
        core = self.core
        was_ready = core.ready
        _settle(core.receive(data, monotonic()))
        if not was_ready:
            self._progressed()
        elif core.is_closed or self._is_done:
            self.abandon()
        elif not self._flushing and core.has_output:
            # A request may need further commands after its replies, for example to load a script.
            self._send()

    def connection_lost(self, error: Exception | None) -> None:
        reason = f"the connection to {self._node.endpoint} ended"
        self.end(f"{reason}: {error}" if error else reason)

    def submitted(self, deadline: float) -> None:
        """Send new requests at the end of this turn of the loop, or at once if they are many.

        If a turn has many callers, the server can work on the first requests while the others are
        made. Otherwise the server would wait for the turn's end, and the callers for the server.
        """
        if self.core.is_urgent:
            self._send()
        elif not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)
        if deadline < self.core.watched_until:
            self._arm(deadline)

    def end(self, reason: str) -> None:
        """End the link, because its transport is gone; callers that wait get `reason`."""
        if self._ended:
            return
        self._ended = True
        if self.dialling is not None and self.dialling is not asyncio.current_task():
            # A dial may hang until the kernel gives up, while later dials are made.
            self.dialling.cancel()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        _settle(self.core.closed(monotonic(), reason))
        self._node.lost(self)

    def abandon(self) -> None:
        """Close the transport, which leads to `end`; without one, call `end` at once."""
        if self._transport is not None:
            self._transport.abort()
        else:
            self.end("the connection was given up")

    def _progressed(self) -> None:
        # The handshake goes on, is over, or has failed.
        if self.core.ready:
            self._node.ready(self)
            self._flush()
        elif self.core.is_closed:
            self.abandon()
        else:
            self._flush()

    def _flush(self) -> None:
        self._flushing = False
        self._send()

    def _send(self) -> None:
        transport = self._transport
        if transport is not None and (output := self.core.take_output()) is not None:
            transport.write(output)

    def _watch(self) -> None:
        deadline = self.core.next_deadline()
        if deadline is not None and deadline < self.core.watched_until:
            self._arm(deadline)

    def _arm(self, deadline: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.core.watched_until = deadline
        delay = max(deadline - monotonic(), _TICK)
        self._timer = self._loop.call_later(delay, self._deadline)

    def _deadline(self) -> None:
        self._timer = None
        self.core.watched_until = float("inf")
        now = monotonic()
        _settle(self.core.check_deadlines(now))
        if self.core.silent_for(now) > _LONGEST_SILENCE:
            self._node.retire(self)
        if self.core.is_closed or self._is_done:
            self.abandon()
        else:
            self._watch()

    @property
    def _is_done(self) -> bool:
        return self.retired and not self.core.in_flight


class Node:
    """Sends reads, writes and commands to one server."""

    def __init__(self, endpoint: Endpoint, settings: RedisSettings) -> None:
        self.endpoint = endpoint
        self.connection_settings = settings.connection()
        self._tls = tls_context(settings) if endpoint.tls else None
        self._tls_name = settings.tls_server_name or endpoint.host
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = self._process = 0
        self.link: _Link | None = None
        self._retired: set[_Link] = set()
        self._backoff = ReconnectBackoff()
        self._fault: BaseException | None = None
        self._closed = False
        self._server: dict[str, Any] = {}

    @property
    def server(self) -> dict[str, Any]:
        """What the server says it is; empty before the first connection."""
        return dict(self._server)

    async def read(
        self, plan: ReadPlan, keys: Any, options: ReadOptions, timeout: float, attempt: int = 1
    ) -> FeatureTable:
        """Read `keys` by `plan`; `attempt` is above 1 if earlier attempts were made elsewhere."""

        def submit(core: Connection, waiter: Any, deadline: float, now: float, attempt: int) -> int:
            return core.submit_read(
                plan,
                keys,
                options.version,
                options.as_of_ms,
                waiter,
                deadline,
                now,
                partial=options.partial,
                snapshot=options.snapshot,
                pointer=options.pointer,
                attempt=attempt,
                request=options.request,
            )

        table: FeatureTable = await self._request(submit, timeout, attempt)
        return table

    async def write(self, batch: WriteBatch, timeout: float) -> tuple[int, int, Any]:
        """Send `batch`; return how many of its rows changed something, and refusals."""

        def submit(core: Connection, waiter: Any, deadline: float, now: float, attempt: int) -> int:
            return core.submit_write(
                batch, waiter, deadline, now, idempotent=batch.idempotent, attempt=attempt
            )

        outcome: tuple[int, int, Any] = await self._request(submit, timeout)
        return outcome

    async def command(self, arguments: list[Any], timeout: float) -> Any:
        """Run any one command and return its reply; an error reply is raised."""

        def submit(core: Connection, waiter: Any, deadline: float, now: float, attempt: int) -> int:
            return core.submit_command(arguments, waiter, deadline, now, attempt=attempt)

        return await self._request(submit, timeout)

    async def pipeline(self, commands: Sequence[Sequence[Any]], timeout: float) -> list[Any]:
        """Run commands as one pipeline; error replies are among the replies, as values."""

        def submit(core: Connection, waiter: Any, deadline: float, now: float, attempt: int) -> int:
            return core.submit_pipeline(commands, waiter, deadline, now, attempt=attempt)

        replies: list[Any] = await self._request(submit, timeout)
        return replies

    async def _request(
        self,
        submit: Callable[[Connection, Any, float, float, int], int],
        timeout: float,
        attempt: int = 1,
    ) -> Any:
        loop = self._loop
        # A thread runs one loop at a time. Asking for the running one makes a system call on Python
        # 3.11, which takes five times as long.
        if loop is None or self._thread != get_ident() or not loop.is_running():
            loop = self.require_loop()
        now = monotonic()
        deadline = now + timeout
        while True:
            link = self.link or self._dial(loop, now)
            waiter = loop.create_future()
            ticket = submit(link.core, waiter, deadline, now, attempt)
            link.submitted(deadline)
            try:
                return await waiter
            except asyncio.CancelledError:
                link.core.cancel(ticket)
                raise
            except FscoreError as error:
                pause = getattr(error, "_retry_after", None)
                if pause is None or self._closed or isinstance(self._fault, ConfigError):
                    raise (error if link.ready_at is not None else self._explained(error)) from None
            await asyncio.sleep(pause)
            attempt += 1
            now = monotonic()

    def require_loop(self) -> asyncio.AbstractEventLoop:
        """Return the client's event loop, which is the one of its first request.

        Raises WrongEventLoop if another one runs, or none, and ForkedProcess in a forked child.
        """
        loop = running_loop()
        if loop is None:
            raise WrongEventLoop("the client needs a running event loop of asyncio")
        if self._loop is None:
            self._loop, self._process = loop, os.getpid()
        elif loop is not self._loop:
            if os.getpid() != self._process:
                raise ForkedProcess(
                    "this client was connected before the process forked, and its sockets belong "
                    "to the parent; connect again in the child"
                )
            state = "closed" if self._loop.is_closed() else "another one than this"
            raise WrongEventLoop(
                f"the client of {self.endpoint} belongs to the event loop in which it was made, "
                f"which is {state}: connect again in this loop, or keep to one loop (asyncio.run "
                "makes a new one each time)"
            )
        self._thread = get_ident()
        return loop

    @property
    def is_stranded(self) -> bool:
        """Whether the client's event loop is closed, so that nothing of it runs any more."""
        return self._loop is not None and self._loop.is_closed()

    def _explained(self, error: FscoreError) -> FscoreError:
        """Return the error that says most: the reason why there is no connection, if so.

        If the deadline passed while dials failed, the deadline's error would not say why.
        """
        fault = self._fault
        if fault is None or (self.link is not None and self.link.core.ready):
            return error
        if isinstance(fault, ConfigError):
            return fault.with_traceback(None)
        if isinstance(error, TimeoutError | Unavailable):
            return Unavailable(
                f"cannot connect to {self.endpoint}: {fault}", node=str(self.endpoint)
            )
        return error

    # The connection

    def _dial(self, loop: asyncio.AbstractEventLoop, now: float) -> _Link:
        if self._closed:
            raise Unavailable(f"the client of {self.endpoint} is closed")
        if isinstance(self._fault, ConfigError) and self._backoff.pause(now) > 0:
            # The next dial would most likely fail in the same way, so callers do not wait for it.
            raise self._fault.with_traceback(None)
        link = self.link = _Link(self, loop)
        link.dialling = loop.create_task(self._connect(loop, link))
        return link

    async def _connect(self, loop: asyncio.AbstractEventLoop, link: _Link) -> None:
        """Dial until `link` has a transport, or until its own time to connect is over.

        Requests wait in `link` meanwhile, each until its own deadline.
        """
        endpoint = self.endpoint
        while not link.core.is_closed and self.link is link:
            if (pause := self._backoff.pause(monotonic())) > 0:
                await asyncio.sleep(pause)
                continue
            link.is_dialled = True
            try:
                await open_transport(loop, link, endpoint, self._tls, self._tls_name)
            except Exception as error:
                # A host name that no resolver takes is a UnicodeError. If that ended this task, the
                # requests that wait in `link`, and all later ones, would wait in vain.
                link.is_dialled = False
                self._backoff.failed(monotonic())
                if _is_lasting(error):
                    link.abandon()
                    # `abandon` sets a fault that says less, so this comes after it.
                    self._fault = ConfigError(
                        f"cannot connect to {endpoint}: {error}; check the TLS settings of both "
                        "sides"
                    )
                    return
                self._fault = error
                _settle(link.core.check_deadlines(monotonic()))
            else:
                return
        link.abandon()

    def ready(self, link: _Link) -> None:
        """Note that the handshake of `link` succeeded."""
        link.ready_at = monotonic()
        self._backoff.ready()
        self._fault = None
        self._server = link.core.server

    def retire(self, link: _Link) -> None:
        """Send new requests elsewhere, because `link` is silent; its own may still be answered."""
        link.retired = True
        self._retired.add(link)
        if self.link is link:
            self.link = None

    def lost(self, link: _Link) -> None:
        """Note that `link` has ended; the next request dials again."""
        if link.retired:
            self._retired.discard(link)
            return
        if link.ready_at is not None:
            self._backoff.lost(link.ready_at, link.core.has_answered, monotonic())
        elif link.is_dialled:
            self._backoff.failed(monotonic())
        if (error := link.core.error) is not None:
            self._fault = error
        if self.link is link:
            self.link = None

    async def close(self) -> None:
        """Close the connection; callers that wait get Unavailable."""
        self._closed = True
        links = [*self._retired]
        if self.link is not None:
            links.append(self.link)
        self.link = None
        if self.is_stranded:
            # The transports ended with their loop.
            return
        for link in links:
            link.abandon()
        dials = [link.dialling for link in links if link.dialling is not None]
        if dials:
            await asyncio.wait(dials)


def _settle(settled: list[tuple[asyncio.Future[Any], Any, BaseException | None]]) -> None:
    for waiter, result, error in settled:
        if waiter.done():
            continue
        if error is None:
            waiter.set_result(result)
        else:
            waiter.set_exception(error)


def _is_lasting(error: Exception) -> bool:
    """Return whether another dial would fail too: an untrusted certificate, or a peer without TLS.

    A connection that was cut off during the handshake may succeed next time.
    """
    cut_off = ssl.SSLEOFError | ssl.SSLZeroReturnError
    return isinstance(error, ssl.SSLError) and not isinstance(error, cut_off)
