"""The asyncio client: the names, arguments, errors and results of the blocking one."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Generator, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from fscore import _registry_store as store
from fscore._client import (
    ClientCore,
    Consistency,
    Deadline,
    Keys,
    PreparedCore,
    WriteResult,
)
from fscore._fscore import FeatureTable, WriteBatch
from fscore.aio._node import Node
from fscore.config import RedisSettings, load_settings
from fscore.errors import FscoreError, ServerFault
from fscore.registry import Registry
from fscore.registry_diff import RegistryDiff

_BATCHES_IN_FLIGHT = 4


class _Connecting:
    """What `connect` returns: awaited the client, in `async with` a client that is closed after."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def __await__(self) -> Generator[Any, None, Client]:
        return self._client._open().__await__()

    async def __aenter__(self) -> Client:
        return await self._client._open()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.close()


def connect(
    url: str | None = None, *, settings: RedisSettings | None = None, **overrides: Any
) -> _Connecting:
    """Connect to a server and read the definitions that were applied to it.

    `client = await connect(url)`, or `async with connect(url) as client`. Arguments and errors are
    those of `fscore.connect`. The client belongs to the event loop it was made in.
    """
    return _Connecting(Client(load_settings(url, settings, overrides)))


class Client(ClientCore):
    """A connection on which all callers' commands coalesce, and the definitions."""

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self._timeout = settings.timeout
        self._node = Node(self.endpoint, settings)
        self._refreshing_task: asyncio.Task[bool] | None = None

    async def _open(self) -> Self:
        try:
            # No PING: a server that cannot save (MISCONF) refuses it and answers reads.
            first = functools.partial(self.execute, timeout=self.settings.connect_timeout)
            await store.drive_async(self._loading(), first)
        except BaseException:
            await self.close()
            raise
        return self

    async def prepare(
        self,
        service: str | None = None,
        *,
        features: Sequence[str] | None = None,
        entity: str | None = None,
    ) -> Prepared:
        """Compile a feature service, or a choice of features, for reading.

        Arguments and errors are those of the blocking client's `prepare`.
        """
        # Always a fresh look: what is asked for may have been applied a moment ago.
        self._poll_at = 0.0
        await self._follow(self._timeout)
        return Prepared(self, service, features, entity)

    async def write(
        self,
        view: str,
        rows: Any,
        *,
        event_time: Any = None,
        version: int | None = None,
        timeout: float | None = None,
    ) -> WriteResult:
        """Write rows of a feature view, thousands in a call; see the blocking client's `write`."""
        timeout = await self._follow(self.settings.write_timeout if timeout is None else timeout)
        batches = self._encode_write(view, rows, event_time, version)
        await self._send(batches, timeout)
        return WriteResult(sum(batch.rows for batch in batches))

    async def delete(
        self, view: str, keys: Keys, *, version: int | None = None, timeout: float | None = None
    ) -> int:
        """Remove a view's values of these entities; returns how many entities had any."""
        timeout = await self._follow(self.settings.write_timeout if timeout is None else timeout)
        return await self._send(self._encode_delete(view, keys, version), timeout)

    async def execute(
        self, *arguments: str | bytes | int | float, timeout: float | None = None
    ) -> Any:
        """Run any command of the server and return its reply; raises its error reply."""
        timeout = self.settings.write_timeout if timeout is None else timeout
        return await self._node.command(list(arguments), timeout)

    async def plan(self, registry: Registry) -> RegistryDiff:
        """What applying these definitions would change."""
        return await self._run(self._planning(registry))

    async def apply(self, registry: Registry, *, allow_unsafe: bool = False) -> store.ApplyResult:
        """Store these definitions as a new revision; see the blocking client's `apply`."""
        return await self._run(self._applying(registry, allow_unsafe))

    async def refresh(self) -> bool:
        """Look for a new revision of the definitions now; True where there was one."""
        return await self._run(self._refreshing())

    @property
    def server(self) -> dict[str, Any]:
        """What the server said it is: `server`, `version`, `mode`, `role`, `id`, `protocol`."""
        return self._node.server

    async def close(self) -> None:
        """Close the connection; requests under way end with Unavailable."""
        task = self._refreshing_task
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        await self._node.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<fscore.aio.Client {self.endpoint}, revision {self.revision}>"

    async def _follow(self, timeout: float) -> float:
        """Looks for a new revision where the last look is a while ago.

        Returns what that leaves of `timeout`. Where the server is away, what comes next tells.
        """
        if time.monotonic() < self._poll_at:
            return timeout
        deadline = Deadline(timeout)
        try:
            await store.drive_async(
                self._refreshing(), lambda *command: self.execute(*command, timeout=deadline.left())
            )
        except ServerFault:
            if not deadline.left():
                raise
        return deadline.left()

    def _follow_soon(self) -> None:
        """The same beside a read, which is not kept waiting for it."""
        self._polled()
        if self._refreshing_task is None or self._refreshing_task.done():
            self._refreshing_task = asyncio.create_task(self._quietly_refresh())

    async def _quietly_refresh(self) -> bool:
        try:
            return await self.refresh()
        except FscoreError:
            # The reads beside it tell what is wrong with the server; the next look comes soon.
            return False

    async def _run(self, operation: store.Operation[store.T]) -> store.T:
        return await store.drive_async(operation, self.execute)

    async def _send(self, batches: list[WriteBatch], timeout: float) -> int:
        effective = 0
        for some in _in_waves(batches, self.settings.max_bytes_in_flight // 2):
            effective += sum(
                outcome[0]
                for outcome in await asyncio.gather(
                    *(self._node.write(batch, timeout) for batch in some)
                )
            )
        return effective


def _in_waves(batches: list[WriteBatch], most_bytes: int) -> Iterator[list[WriteBatch]]:
    """A few at a time: enough to keep the server busy, few enough for memory and for others."""
    wave: list[WriteBatch] = []
    for batch in batches:
        held = sum(one.bytes for one in wave)
        if wave and (len(wave) == _BATCHES_IN_FLIGHT or held + batch.bytes > most_bytes):
            yield wave
            wave = []
        wave.append(batch)
    if wave:
        yield wave


class Prepared(PreparedCore):
    """A compiled read of an asyncio client; see `Client.prepare`."""

    def __init__(
        self,
        client: Client,
        service: str | None,
        features: Sequence[str] | None,
        entity: str | None,
    ) -> None:
        super().__init__(client, service, features, entity)
        self._client = client
        self._node = client._node

    async def get(
        self,
        keys: Keys,
        *,
        timeout: float | None = None,
        partial: bool = True,
        version: int | None = None,
        consistency: Consistency = "eventual",
        as_of: datetime | int | None = None,
    ) -> FeatureTable:
        """Read the features of these entities, one row for each, in their order.

        Arguments, errors and result are those of the blocking client's `get`. Where the caller is
        cancelled its reply is read and discarded.
        """
        client = self._client
        if time.monotonic() >= client._poll_at:
            client._follow_soon()
        timeout = client._timeout if timeout is None else timeout
        options = self._current(version, consistency, as_of, partial)
        if not options.pointer:
            return await self._node.read(self._plan, keys, options, timeout)
        deadline = Deadline(timeout)
        table = await self._node.read(self._plan, keys, options, timeout)
        while again := self._promoted(options, table):
            options = again
            table = await self._node.read(self._plan, keys, options, deadline.left())
        return table
