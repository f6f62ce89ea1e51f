"""The asyncio client: the names, arguments, errors and results of the blocking one."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import Any, Self

from fscore.aio.driver import Driver
from fscore.aio.following import Following
from fscore.aio.prepared import Prepared
from fscore.aio.versions import Versions
from fscore.client.core import Core
from fscore.client.options import Keys, Ordering
from fscore.client.push import PushResult
from fscore.client.results import WriteResult
from fscore.config import MIGRATION_RATE, MIGRATION_SETTLE, RedisSettings, load_settings
from fscore.connection.endpoint import Endpoint
from fscore.migration.course import Migration, MigrationProgress
from fscore.operations.registry import ApplyResult
from fscore.registry.diff.registries import RegistryDiff
from fscore.registry.registry import Registry


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


class Client:
    """A connection on which all callers' commands coalesce, and the definitions."""

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self.driver = driver = Driver(settings.endpoint(), settings)
        self.core = core = Core(settings, lambda: driver.server)
        self.following = Following(core, driver)
        self.versions = Versions(core, driver)

    async def _open(self) -> Self:
        core, settings = self.core, self.settings
        try:
            # No PING: a server that cannot save (MISCONF) refuses it and answers reads.
            await self.driver.run(core.loading(), settings.connect_timeout)
            if settings.follow_versions == "push":
                self.following.start_hearing()
        except BaseException:
            await self.close()
            raise
        return self

    @property
    def endpoint(self) -> Endpoint:
        """Where the server is; its password is not shown."""
        return self.core.endpoint

    @property
    def registry(self) -> Registry:
        """The definitions as last read from Redis."""
        return self.core.followed.registry

    @property
    def revision(self) -> int:
        """The revision of `registry`; 0 if nothing was applied yet."""
        return self.core.followed.stored.revision

    @property
    def current_versions(self) -> dict[str, int]:
        """The version that each feature service reads, as last read from Redis.

        A service whose pointer is not a version is left out.
        """
        return self.core.followed.current_versions()

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
        core, timeout = self.core, self.core.settings.timeout
        core.look_now()
        await self.driver.run(core.following(timeout), timeout)
        return self.compile(service, features=features, entity=entity)

    def compile(
        self,
        service: str | None = None,
        *,
        features: Sequence[str] | None = None,
        entity: str | None = None,
    ) -> Prepared:
        """Compile for reading what `prepare` does, by the definitions as last read, without a look.

        For callers that keep the definitions current by themselves, as fscore's server does.
        """
        return Prepared(self.core, self.driver, self.following, service, features, entity)

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
        writing = self.core.writing(view, rows, event_time, version, ordering, timeout)
        return await self.driver.run(writing, timeout)

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
        pushing = self.core.pushing(source, events, version, timeout)
        return await self.driver.run(pushing, timeout)

    async def delete(
        self, view: str, keys: Keys, *, version: int | None = None, timeout: float | None = None
    ) -> int:
        """Remove a view's values of these entities; see the blocking client's `delete`."""
        timeout = self.settings.write_timeout if timeout is None else timeout
        deleting = self.core.deleting(view, keys, version, timeout)
        return await self.driver.run(deleting, timeout)

    async def execute(
        self, *arguments: str | bytes | int | float, timeout: float | None = None
    ) -> Any:
        """Run any command of the server and return its reply; raises its error reply."""
        return await self.driver.command(arguments, timeout)

    async def plan(self, registry: Registry) -> RegistryDiff:
        """What applying these definitions would change."""
        return await self.driver.run(self.core.planning(registry))

    async def apply(self, registry: Registry, *, allow_unsafe: bool = False) -> ApplyResult:
        """Store these definitions as a new revision; see the blocking client's `apply`."""
        return await self.driver.run(self.core.applying(registry, allow_unsafe))

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
        migrating = self.core.migrating(view, to, rate, settle, invalid_as_null, progress)
        return await self.driver.run(migrating)

    async def refresh(self) -> bool:
        """Look for new definitions and other versions now; True where there was anything new."""
        return await self.driver.run(self.core.refreshing())

    @property
    def server(self) -> dict[str, Any]:
        """What the server said it is: `server`, `version`, `mode`, `role`, `id`, `protocol`."""
        return self.driver.server

    @property
    def push_fault(self) -> str | None:
        """Why promotions are not heard of at once, but by the next look.

        None where they are, and where `follow_versions` does not ask for it.
        """
        return self.following.push_fault

    async def close(self) -> None:
        """Close the connection; requests under way end with Unavailable."""
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
