"""The asyncio client. Names, arguments, errors and results are those of the blocking client."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from fscore.aio.driver import Driver
from fscore.aio.following import Following
from fscore.aio.prepared import Prepared
from fscore.aio.versions import Versions
from fscore.client.core import Core
from fscore.client.following import FollowingClient
from fscore.client.options import Keys, Ordering, checked_timeout
from fscore.client.push import PushResult
from fscore.client.results import WriteResult
from fscore.config.defaults import MIGRATION_RATE, MIGRATION_SETTLE
from fscore.config.keywords import RedisOptions, with_settings_shown
from fscore.definitions.named import (
    EntityLike,
    FeatureLike,
    ServiceLike,
    SourceLike,
    ViewLike,
)
from fscore.migration.course import Migration, MigrationProgress
from fscore.model.views import Layout
from fscore.operations.registry import ApplyResult
from fscore.registry.diff.registries import RegistryDiff
from fscore.registry.registry import Registry

if TYPE_CHECKING:
    from fscore.config import RedisSettings


class Connecting:
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


@with_settings_shown
def connect(
    url: str | None = None,
    *,
    settings: RedisSettings | None = None,
    **overrides: Unpack[RedisOptions],
) -> Connecting:
    """Connect to a server and read the definitions that were applied to it.

    Use `client = await connect(url)`, or `async with connect(url) as client`.

    `url` is `redis://`, `rediss://` or `unix://`. Its default is the environment variable
    FSCORE_REDIS_URL, or else redis://127.0.0.1:6379.

    Each further keyword is a setting of `RedisSettings`, such as `timeout=0.5`. It takes precedence
    over `settings`, and these over the environment (FSCORE_TIMEOUT and so on); the defaults that
    the signature shows come last. See docs/reference/settings.md.

    The client belongs to the event loop in which it was made. In another loop its methods raise
    WrongEventLoop, and in a child process that was forked after this call ForkedProcess: connect
    again there.

    Raises ConfigError if a setting is wrong, Unavailable if the server cannot be reached,
    AuthenticationFailed if the server refuses the user or the password.

    >>> import fscore.aio
    >>> async def ages(url: str) -> list[dict[str, object]]:
    ...     async with fscore.aio.connect(url, timeout=0.5) as client:
    ...         prepared = await client.prepare("recommendation")
    ...         return (await prepared.get(["user_0000", "user_0001"])).to_dicts()
    """
    # Imported here: Pydantic takes longer to import than the rest of the library.
    from fscore.config.settings import load_settings

    return Connecting(Client(load_settings(url, settings, overrides)))


class Client(FollowingClient):
    """Reads, writes and manages features over one connection that all callers share.

    `fscore.aio.connect` makes it; `close`, or the end of an `async with` block, closes it. Requests
    of one turn of the event loop leave together. The client follows the definitions: while it is
    used, it looks for a new revision once per `registry_poll` seconds.

    Where a method takes a name, it also takes the definition itself: a view's class, a
    `FeatureService`, an `Entity`, a source, a feature such as `Profile.age`. Only its name counts.
    A wrong argument raises InvalidArgument, which names it.

    `settings` are the client's settings, and `versions` manages versions of feature services.
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

        - `service` is all features of a service; with `features` it is some of them, by the name
          of the output or of the feature.
        - `features` are names such as `view:feature`, or the bare feature name if only one feature
          has it (with `entity`: one feature of that entity), or features such as `Profile.age`.
        - `entity` alone is every feature of that entity.

        The result has a column for each feature, in this order. Prepare once and read often: the
        result follows new revisions of the definitions by itself.

        Raises FeatureServiceNotFound, FeatureViewNotFound, FeatureNotFound or EntityNotFound for an
        unknown name, and AmbiguousFeature if a name means several features or is given twice.

        >>> async def countries(client: Client, ids: list[str]) -> list[dict[str, object]]:
        ...     prepared = await client.prepare(features=["profile:country"])
        ...     return (await prepared.get({"user_id": ids})).to_dicts()
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

        `rows` is a list of dicts, a dict of columns (lists or NumPy arrays of one length), a NumPy
        structured array or an Arrow table. Every row has the join keys, and in addition

        - in a feature view: any of its features. A feature that a dict leaves out stays as it is;
          None makes it NULL. A view in the packed layout needs all its features.
        - in a series: the fields of the payload, and an `event_id` (text or an integer) if its
          events have ids. Events are added; the same event again changes nothing.
        - in a flag view: True or False for any of its flags; None leaves a flag as it is.

        Rows may have an `event_time`: datetimes with a time zone, or epoch milliseconds. Rows
        without one get the argument `event_time`; its default is now. An event time must be in 1990
        or later, and at most five minutes ahead of the clock.

        `ordering` says which row of an entity stays in a feature view:

        - `"arrival"`: the row that arrives last.
        - `"event_time"`: the row with the newest event time, whatever the order in which rows
          arrive and however many writers there are. Each row is then the whole row of its view: a
          feature that it leaves out becomes NULL. If event times are equal, the bytewise greatest
          text of each feature stays, and a value rather than none; in the packed layout the
          bytewise greatest row stays.

        For series and flags the ordering makes no difference.

        Rows are written to every live version of the view's entity, or to `version` alone. The
        result names the versions.

        All rows are checked before anything is sent. `timeout` is in seconds and applies to each
        batch of 2,000 rows (default: `write_timeout`).

        Raises FeatureViewNotFound; InvalidValue or InvalidKeys, which name the row; WriteRejected
        if the server does not accept writes; Unavailable or DeadlineExceeded if the connection
        breaks or the time is over. Some rows may have been written then: write all of them again.
        While there is time, the client sends batches again by itself, except for rows of feature
        views that are ordered by arrival, because they could undo another writer's newer row.

        >>> async def rename(client: Client, user: str, country: str) -> int:
        ...     rows = [{"user_id": user, "country": country}]
        ...     return (await client.write("profile", rows)).rows
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

        `events` is a list of dicts, a dict of columns (lists or NumPy arrays of one length), a
        NumPy structured array, an Arrow table or a Polars frame. It has the columns that the
        source's views read; further columns are ignored. A dict may leave out columns that are
        null, except for join keys and the event time. Times are datetimes with a time zone, or have
        the source's `timestamp_format`.

        Each kind of view gets other rows from the same events:

        - A series gets the events that its `where` selects.
        - A flag is set for an entity if its `ever(…)` selects an event of that entity.
        - A feature view whose features are all `latest(column)`, without `where`, gets the newest
          event of each entity as its row.

        Only `fscore load` fills other views; `left_out` in the result names them. Pushing the same
        events again, or in another order, changes nothing.

        All events are checked before anything is sent. `version` and `timeout` (seconds) mean the
        same as in `write`.

        Raises SourceNotFound; InvalidValue or InvalidKeys, which name the event and the column; and
        the errors of `write`. Some events may have been written then: push all of them again.
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

        `keys` has the form that `Prepared.get` takes: a column for each join key. The values are
        removed from every live version of the entity, or from `version` alone; with several
        versions the number is that of the version that had most. Rows that a migration left in the
        view's other layout are removed too. `timeout` is in seconds (default: `write_timeout`).

        Raises FeatureViewNotFound; InvalidValue if the view stores nothing; InvalidKeys, which
        names the row; and the connection errors of `write`.
        """
        timeout = self.settings.write_timeout if timeout is None else checked_timeout(timeout)
        deleting = self.core.deleting(view, keys, version, timeout)
        return await self.driver.run(deleting, timeout)

    async def execute(
        self, *arguments: str | bytes | int | float, timeout: float | None = None
    ) -> Any:
        """Run any one command of the server and return its reply.

        The command is its name and its arguments, each text, bytes or a number. `timeout` is in
        seconds (default: `write_timeout`). An error reply is raised as an FscoreError whose
        `redis_code` is the reply's first word.

        >>> async def keys(client: Client) -> int:
        ...     return int(await client.execute("DBSIZE"))
        """
        timeout = self.settings.write_timeout if timeout is None else checked_timeout(timeout)
        return await self.driver.command(arguments, timeout)

    async def plan(self, registry: Registry) -> RegistryDiff:
        """Return what applying these definitions would change; nothing is stored."""
        return await self.driver.run(self.core.planning(registry))

    async def apply(self, registry: Registry, *, allow_unsafe: bool = False) -> ApplyResult:
        """Store these definitions as a new revision, which servers and clients then follow.

        If nothing changes, the revision stays. Raises UnsafeChange if stored data would not survive
        and `allow_unsafe` is not set, and RegistryConflict if somebody else applied definitions
        meanwhile; nothing is stored then.
        """
        return await self.driver.run(self.core.applying(registry, allow_unsafe))

    async def migrate(
        self,
        view: ViewLike,
        to: Layout,
        *,
        rate: float = MIGRATION_RATE,
        settle: float = MIGRATION_SETTLE,
        invalid_as_null: bool = False,
        progress: Callable[[MigrationProgress], None] | None = None,
    ) -> Migration:
        """Move a feature view to the layout `to`, "hash" or "packed", while it is in use.

        Readers get the same values throughout; see docs/guides/migrate.md. While a migration runs,
        clients write rows in both layouts, so each row must have all features of the view. The call
        returns when nothing of the old layout is left. If it is interrupted, call it again.

        - `rate` is how many rows a second are copied or removed.
        - `settle` is how many seconds the migration waits after each change of the definitions. It
          must be long enough for every client to follow, and for every earlier write to end.
        - `invalid_as_null` stores values that are INVALID as NULL.
        - `progress` is called with a `MigrationProgress` from time to time.

        Raises FeatureViewNotFound; InvalidValue if the view does not have two layouts; UnsafeChange
        if values are INVALID and `invalid_as_null` is not set (the view is then still read in its
        old layout, or only those rows are left there); RegistryConflict if somebody else changes
        the view meanwhile; ConfigError if a program keeps writing the old layout.
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
