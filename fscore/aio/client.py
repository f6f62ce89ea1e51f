"""The asyncio client. Names, arguments, errors and results are those of the blocking client."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self

from fscore.aio.driver import Driver
from fscore.aio.following import Following
from fscore.aio.prepared import Prepared
from fscore.aio.versions import Versions
from fscore.client.core import Core
from fscore.client.following import FollowingClient
from fscore.client.options import Keys, Ordering, checked_timeout
from fscore.client.push import PushResult
from fscore.client.results import WriteResult
from fscore.config import MIGRATION_RATE, MIGRATION_SETTLE, RedisSettings, load_settings
from fscore.definitions.named import (
    EntityLike,
    FeatureLike,
    ServiceLike,
    SourceLike,
    ViewLike,
)
from fscore.migration.course import Migration, MigrationProgress
from fscore.operations.registry import ApplyResult
from fscore.registry.diff.registries import RegistryDiff
from fscore.registry.registry import Registry


class _Connecting:
    """What `connect` returns: await it for a client, or use it in `async with`."""

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

    Use `client = await connect(url)`, or `async with connect(url) as client`. Arguments and errors
    are those of `fscore.connect`. The client belongs to the event loop in which it was made.
    """
    return _Connecting(Client(load_settings(url, settings, overrides)))


class Client(FollowingClient):
    """Reads, writes and manages features over one connection that all callers share.

    `fscore.aio.connect` makes it; `close`, or the end of an `async with` block, closes it. Requests
    of one turn of the event loop leave together. The client follows the definitions: while it is
    used, it looks for a new revision once per `registry_poll` seconds.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self.driver = driver = Driver(settings.endpoint(), settings)
        self.core = core = Core(settings, lambda: driver.server)
        self.following = Following(core, driver)
        self.versions = Versions(core, driver)

    async def _open(self) -> Self:
        core, settings = self.core, self.settings
        try:
            # A server that cannot save (MISCONF) refuses PING but answers reads, so this reads.
            await self.driver.run(core.loading(), settings.connect_timeout)
            if settings.follow_versions == "push":
                self.following.start_hearing()
        except BaseException:
            await self.close()
            raise
        return self

    async def prepare(
        self,
        service: ServiceLike | None = None,
        *,
        features: Sequence[FeatureLike] | None = None,
        entity: EntityLike | None = None,
    ) -> Prepared:
        """Compile a feature service, or a choice of features, for reading.

        Arguments and errors are those of the blocking client's `prepare`.
        """
        # The caller may have applied these definitions just now, so this always looks.
        core, timeout = self.core, self.core.settings.timeout
        core.look_now()
        await self.driver.run(core.following(timeout), timeout)
        return self.compile(service, features=features, entity=entity)

    def compile(
        self,
        service: ServiceLike | None = None,
        *,
        features: Sequence[FeatureLike] | None = None,
        entity: EntityLike | None = None,
    ) -> Prepared:
        """Compile like `prepare`, by the definitions as last read, without asking the server.

        It is for callers that keep the definitions current by themselves, as fscore's server does.
        """
        return Prepared(self.core, self.driver, self.following, service, features, entity)

    async def write(
        self,
        view: ViewLike,
        rows: Any,
        *,
        ordering: Ordering = "arrival",
        event_time: Any = None,
        version: int | None = None,
        timeout: float | None = None,
    ) -> WriteResult:
        """Write rows of a view; pass thousands in one call.

        Arguments, errors and result are those of the blocking client's `write`.
        """
        timeout = self.settings.write_timeout if timeout is None else checked_timeout(timeout)
        writing = self.core.writing(view, rows, event_time, version, ordering, timeout)
        return await self.driver.run(writing, timeout)

    async def push(
        self,
        source: SourceLike,
        events: Any,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> PushResult:
        """Write events of a source to the views that follow from it; pass thousands in one call.

        Arguments, errors and result are those of the blocking client's `push`.
        """
        timeout = self.settings.write_timeout if timeout is None else checked_timeout(timeout)
        pushing = self.core.pushing(source, events, version, timeout)
        return await self.driver.run(pushing, timeout)

    async def delete(
        self,
        view: ViewLike,
        keys: Keys,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> int:
        """Remove a view's values of these entities; return how many entities had any.

        Arguments and errors are those of the blocking client's `delete`.
        """
        timeout = self.settings.write_timeout if timeout is None else checked_timeout(timeout)
        deleting = self.core.deleting(view, keys, version, timeout)
        return await self.driver.run(deleting, timeout)

    async def execute(
        self, *arguments: str | bytes | int | float, timeout: float | None = None
    ) -> Any:
        """Run any one command of the server and return its reply.

        `timeout` is in seconds (default: `write_timeout`). An error reply is raised as an
        FscoreError whose `redis_code` is the reply's first word.
        """
        timeout = self.settings.write_timeout if timeout is None else checked_timeout(timeout)
        return await self.driver.command(arguments, timeout)

    async def plan(self, registry: Registry) -> RegistryDiff:
        """Return what applying these definitions would change; nothing is stored."""
        return await self.driver.run(self.core.planning(registry))

    async def apply(self, registry: Registry, *, allow_unsafe: bool = False) -> ApplyResult:
        """Store these definitions as a new revision, which servers and clients then follow.

        Errors and result are those of the blocking client's `apply`.
        """
        return await self.driver.run(self.core.applying(registry, allow_unsafe))

    async def migrate(
        self,
        view: ViewLike,
        to: str,
        *,
        rate: float = MIGRATION_RATE,
        settle: float = MIGRATION_SETTLE,
        invalid_as_null: bool = False,
        progress: Callable[[MigrationProgress], None] | None = None,
    ) -> Migration:
        """Move a feature view to the layout `to`, "hash" or "packed", while it is in use.

        Arguments, errors and result are those of the blocking client's `migrate`.
        """
        migrating = self.core.migrating(view, to, rate, settle, invalid_as_null, progress)
        return await self.driver.run(migrating)

    async def refresh(self) -> bool:
        """Look for new definitions and promoted versions now; return whether there were any."""
        return await self.driver.run(self.core.refreshing())

    @property
    def server(self) -> dict[str, Any]:
        """What the server says it is: `server`, `version`, `mode`, `role`, `id`, `protocol`."""
        return self.driver.server

    @property
    def push_fault(self) -> str | None:
        """Why the client learns of promotions only at its next look, and not at once.

        None if its subscription works, or if `follow_versions` is "poll".
        """
        return self.following.push_fault

    async def close(self) -> None:
        """Close the connection; requests under way end with Unavailable.

        Raises WrongEventLoop outside the client's event loop, unless that is closed: its end was
        the end of the connection too.
        """
        if not self.driver.node.is_stranded:
            self.driver.node.require_loop()
            await self.following.stop()
        await self.driver.close()

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
        return f"<fscore.aio.Client {self.core.endpoint}, revision {self.revision}>"
