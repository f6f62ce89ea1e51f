"""The asyncio client: the names, arguments, errors and results of the blocking one."""

from __future__ import annotations

import asyncio
import functools
import random
from collections.abc import Callable, Generator, Iterator, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from fscore._fscore import FeatureTable, WriteBatch, reconnect_pause
from fscore.aio.node import Node
from fscore.aio.subscription import Subscription
from fscore.aio.versions import Versions
from fscore.client.core import (
    ClientCore,
    Consistency,
    Deadline,
    Keys,
    Ordering,
    PreparedCore,
    RequestValues,
    WriteResult,
    written,
)
from fscore.client.push import PushResult, encode_push
from fscore.config import MIGRATION_RATE, MIGRATION_SETTLE, RedisSettings, load_settings
from fscore.errors import FscoreError, ServerFault
from fscore.migration.course import Migration, MigrationProgress
from fscore.operations import registry as store
from fscore.operations.scan import PacedOperation
from fscore.registry.diff.registries import RegistryDiff
from fscore.registry.registry import Registry
from fscore.versions.records import revision_key
from fscore.versions.removal import drive_paced_async

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
        self.versions = Versions(self)
        self._timeout = settings.timeout
        self._closed = False
        self._node = Node(self.endpoint, settings)
        self._refreshing_task: asyncio.Task[bool] | None = None
        self._subscription: Subscription | None = None
        self._hearing_task: asyncio.Task[None] | None = None

    async def _open(self) -> Self:
        try:
            # No PING: a server that cannot save (MISCONF) refuses it and answers reads.
            first = functools.partial(self.execute, timeout=self.settings.connect_timeout)
            await store.drive_async(self._loading(), first)
            if self.settings.follow_versions == "push":
                self._hearing_task = asyncio.create_task(self._hear_of_versions())
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
        ordering: Ordering = "arrival",
        event_time: Any = None,
        version: int | None = None,
        timeout: float | None = None,
    ) -> WriteResult:
        """Write rows of a view, thousands in a call; see the blocking client's `write`."""
        timeout = self.settings.write_timeout if timeout is None else timeout
        timeout = await self._follow_lists(timeout, version)
        batches, live = self._encode_write(view, rows, event_time, version, ordering, self.server)
        return written(batches, await self._send(batches, timeout), live)

    async def push(
        self,
        source: str,
        events: Any,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> PushResult:
        """Bring events of a source into its views; see the blocking client's `push`."""
        timeout = self.settings.write_timeout if timeout is None else timeout
        timeout = await self._follow_lists(timeout, version)
        push = encode_push(self, source, events, version, self.server)
        return push.result(
            {
                view: written(batches, await self._send(batches, timeout), live)
                for view, (batches, live) in push.views.items()
            }
        )

    async def delete(
        self, view: str, keys: Keys, *, version: int | None = None, timeout: float | None = None
    ) -> int:
        """Remove a view's values of these entities; see the blocking client's `delete`."""
        timeout = self.settings.write_timeout if timeout is None else timeout
        timeout = await self._follow_lists(timeout, version)
        return max(await self._send(self._encode_delete(view, keys, version), timeout))

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

    async def migrate(
        self,
        view: str,
        to: str,
        *,
        rate: float = MIGRATION_RATE,
        settle: float = MIGRATION_SETTLE,
        invalid_as_null: bool = False,
        progress: Callable[[MigrationProgress], None] | None = None,
    ) -> Migration:
        """Move a feature view to another layout while it is in use; see the blocking client."""
        migrating = self._migrating(view, to, rate, settle, invalid_as_null, progress, self.server)
        return await self._run_paced(migrating)

    async def refresh(self) -> bool:
        """Look for new definitions and other versions now; True where there was anything new."""
        return await self._run(self._refreshing())

    @property
    def server(self) -> dict[str, Any]:
        """What the server said it is: `server`, `version`, `mode`, `role`, `id`, `protocol`."""
        return self._node.server

    @property
    def push_fault(self) -> str | None:
        """Why promotions are not heard of at once, but by the next look.

        None where they are, and where `follow_versions` does not ask for it.
        """
        return None if self._subscription is None else self._subscription.fault

    async def close(self) -> None:
        """Close the connection; requests under way end with Unavailable."""
        self._closed = True
        for task in (self._hearing_task, self._refreshing_task):
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
        if not self._is_look_due():
            return timeout
        deadline = Deadline(timeout)
        try:
            await self._run(self._refreshing(), timeout)
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

    async def _follow_lists(self, timeout: float, version: int | None) -> float:
        """The same for a write, which goes to every live version where it pins none."""
        timeout = await self._follow(timeout)
        if version is not None or self._know_records():
            return timeout
        deadline = Deadline(timeout)
        await self._run(self._reading_records(), timeout)
        return deadline.left()

    async def _hear_of_versions(self) -> None:
        """Looks which versions are read whenever a change of them is published.

        A message is only the occasion: it comes on another connection than the answers of looks
        that are under way, and might overtake them or be overtaken.
        """
        news = asyncio.Event()
        channel = revision_key(self.settings.key_prefix)
        self._subscription = Subscription(self.endpoint, self.settings, channel, news.set)
        listening = asyncio.create_task(self._subscription.run())
        failed = 0
        try:
            while True:
                await news.wait()
                # Before the look: what is heard during it is the occasion of another one.
                news.clear()
                try:
                    await self._run(self._looking_at_versions(), self._timeout)
                    failed = 0
                except FscoreError:
                    failed += 1
                    await asyncio.sleep(reconnect_pause(failed, random.random()))
                    news.set()
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    async def _run(
        self, operation: store.Operation[store.T], timeout: float | None = None
    ) -> store.T:
        """Runs an operation, by default with the deadline of a write for each of its commands."""
        deadline = None if timeout is None else Deadline(timeout)

        def left() -> float:
            return self.settings.write_timeout if deadline is None else deadline.left()

        return await store.drive_async(
            operation,
            lambda *command: self.execute(*command, timeout=left()),
            lambda commands: self._node.pipeline(commands, left()),
        )

    async def _run_paced(self, operation: PacedOperation[store.T]) -> store.T:
        """Runs an operation that takes its time."""
        return await drive_paced_async(
            operation,
            self.execute,
            lambda commands: self._node.pipeline(commands, self.settings.write_timeout),
            lambda: self._closed,
        )

    async def _send(self, batches: list[WriteBatch], timeout: float) -> list[int]:
        """Sends a few batches at a time; returns how many commands of each changed something."""
        effective: list[int] = []
        for some in _in_waves(batches, self.settings.max_bytes_in_flight // 2):
            outcomes = await asyncio.gather(*(self._node.write(batch, timeout) for batch in some))
            effective += [outcome[0] for outcome in outcomes]
        return effective


def _in_waves(batches: list[WriteBatch], most_bytes: int) -> Iterator[list[WriteBatch]]:
    """A few at a time: enough to keep the server busy, few enough for memory and for others."""
    wave: list[WriteBatch] = []
    for batch in batches:
        held = sum(one.bytes for one in wave)
        most = 1 if batch.in_order else _BATCHES_IN_FLIGHT
        if wave and (len(wave) == most or held + batch.bytes > most_bytes):
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
        request: RequestValues | None = None,
        _attempt: int = 1,
    ) -> FeatureTable:
        """Read the features of these entities, one row for each, in their order.

        Arguments, errors and result are those of the blocking client's `get`. Where the caller is
        cancelled its reply is read and discarded.
        """
        client = self._client
        timeout = client._timeout if timeout is None else timeout
        if client._is_out_of_date():
            timeout = await client._follow(timeout)
        elif client._is_look_due():
            client._follow_soon()
        options = self._current(version, consistency, as_of, partial, request)
        deadline = Deadline(timeout)
        table = await self._node.read(self._plan, keys, options, timeout, _attempt)
        while again := self._promoted(options, table):
            options = again
            table = await self._node.read(self._plan, keys, options, deadline.left())
        if table.unknown_schemas:
            learned: bool = await client._run(self._learning(table), deadline.left())
            if learned:
                table = await self._node.read(self._plan, keys, options, deadline.left())
        return table
