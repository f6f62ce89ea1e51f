"""The blocking client: sockets in Rust, the interpreter detached for the whole round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from fscore.blocking.driver import Driver
from fscore.blocking.prepared import Prepared
from fscore.blocking.versions import Versions
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


def connect(
    url: str | None = None, *, settings: RedisSettings | None = None, **overrides: Any
) -> Client:
    """Connect to a server and read the definitions that were applied to it.

    `url` is `redis://`, `rediss://` or `unix://`; without one FSCORE_REDIS_URL counts, and without
    that redis://127.0.0.1:6379. Any setting of `fscore.config.RedisSettings` can be given by name.

    The client may be used from any number of threads, but not in a child forked after this call.

    Raises ConfigError for wrong settings, Unavailable where the server cannot be reached,
    AuthenticationFailed where it refuses the user.
    """
    return Client(load_settings(url, settings, overrides))


class Client:
    """A connection pool and the definitions.

    Made by `fscore.connect`, closed by `close` or at the end of `with`.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self.driver = driver = Driver(settings.endpoint(), settings)
        self.core = core = Core(settings, lambda: driver.server)
        self.versions = Versions(core, driver)
        driver.run(core.loading())

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

    def prepare(
        self,
        service: str | None = None,
        *,
        features: Sequence[str] | None = None,
        entity: str | None = None,
    ) -> Prepared:
        """Compile a feature service, or a choice of features, for reading.

        `features` are `view:feature`, or the bare name where that means only one. `entity` alone is
        every feature of it.

        Raises FeatureServiceNotFound, FeatureNotFound, EntityNotFound, AmbiguousFeature.
        """
        # Always a fresh look: what is asked for may have been applied a moment ago.
        core, driver = self.core, self.driver
        core.look_now()
        driver.run(core.following(core.settings.timeout), core.settings.timeout)
        return Prepared(core, driver, service, features, entity)

    def write(
        self,
        view: str,
        rows: Any,
        *,
        ordering: Ordering = "arrival",
        event_time: Any = None,
        version: int | None = None,
        timeout: float | None = None,
    ) -> WriteResult:
        """Write rows of a view, thousands in a call.

        `rows` is a list of dicts, a dict of columns (lists or NumPy arrays), a NumPy structured
        array or an Arrow table. It brings the join keys, and

        - of a feature view: any of its features. One that a dict leaves out stays as it is; None
          makes it NULL. A view in the packed layout needs all of them.
        - of a series: the fields of the payload, and an `event_id` (text or an integer) where its
          events have ids. Events are added; the same one again changes nothing.
        - of flags: True or False for any of them; None leaves one as it is.

        Rows may have an `event_time` (aware datetimes or epoch ms), which otherwise is the argument
        of that name, or now. It is from 1990 on, and at most five minutes ahead of the clock.

        With `ordering="event_time"` the newest row of an entity stays, in whatever order they
        arrive and from however many writers. Each row is then the whole row of its view: what it
        leaves out becomes NULL. Of equal event times, in each feature the bytewise greatest text
        stays, and a value rather than none; of packed rows the bytewise greatest. With `"arrival"`
        the last one to arrive stays. To series and flags it makes no difference.

        The rows are written to every live version of the view's entity, which the result names, or
        to `version` alone.

        Everything is checked before anything is sent. `timeout` is in seconds and counts for each
        2,000 rows, which leave together. Raises InvalidValue and InvalidKeys, which name the row;
        WriteRejected where the server takes no writes. Where the connection breaks (Unavailable,
        DeadlineExceeded) some rows may have been written: write them all again. Everything but rows
        of feature views ordered by arrival is sent again by itself, while there is time.
        """
        timeout = self.settings.write_timeout if timeout is None else timeout
        writing = self.core.writing(view, rows, event_time, version, ordering, timeout)
        return self.driver.run(writing, timeout)

    def push(
        self,
        source: str,
        events: Any,
        *,
        version: int | None = None,
        timeout: float | None = None,
    ) -> PushResult:
        """Bring events of a source into the views that follow from it, thousands in a call.

        `events` is a list of dicts, a dict of columns (lists or NumPy arrays), a NumPy structured
        array, an Arrow table or a Polars frame, with the columns that the source's views read;
        others are ignored. A dict may leave out what is null; join keys and event time it may not.
        Moments are datetimes with a zone, or as the source's `timestamp_format` says.

        Series get the events that their `where` selects, flags are set that `ever(…)` says, and of
        feature views whose features are all `latest(column)`, without `where`, the newest event of
        an entity is the row. The result names the other views, which only `fscore load` fills.
        Pushing events again, or in another order, changes nothing.

        Everything is checked before anything is sent. Raises SourceNotFound; InvalidValue and
        InvalidKeys, which name the event and the column; and what `write` raises, after which some
        events may be there: push them all again. `version` and `timeout` are those of `write`.
        """
        timeout = self.settings.write_timeout if timeout is None else timeout
        return self.driver.run(self.core.pushing(source, events, version, timeout), timeout)

    def delete(
        self, view: str, keys: Keys, *, version: int | None = None, timeout: float | None = None
    ) -> int:
        """Remove a view's values of these entities; returns how many entities had any.

        They are removed from every live version of the entity, or from `version` alone. Where there
        are several, the number is of the version that had most. What a migration left of them in
        the view's other layout goes too.
        """
        timeout = self.settings.write_timeout if timeout is None else timeout
        return self.driver.run(self.core.deleting(view, keys, version, timeout), timeout)

    def execute(self, *arguments: str | bytes | int | float, timeout: float | None = None) -> Any:
        """Run any command of the server and return its reply; raises its error reply."""
        return self.driver.command(arguments, timeout)

    def plan(self, registry: Registry) -> RegistryDiff:
        """What applying these definitions would change."""
        return self.driver.run(self.core.planning(registry))

    def apply(self, registry: Registry, *, allow_unsafe: bool = False) -> ApplyResult:
        """Store these definitions as a new revision, which servers and clients then follow.

        Raises UnsafeChange where stored data would not survive, RegistryConflict where somebody
        else applied in between.
        """
        return self.driver.run(self.core.applying(registry, allow_unsafe))

    def migrate(
        self,
        view: str,
        to: str,
        *,
        rate: float = MIGRATION_RATE,
        settle: float = MIGRATION_SETTLE,
        invalid_as_null: bool = False,
        progress: Callable[[MigrationProgress], None] | None = None,
    ) -> Migration:
        """Move a feature view to the layout `to`, "hash" or "packed", while it is in use.

        Readers get the same values all the time; see docs/guides/migrate.md. While it lasts, rows
        are written in both layouts and have to be whole. `rate` is in rows a second, `settle` in
        seconds: in that time every client hears of a change and every write that began before it
        ends. `progress` is told how far it is. The call lasts until nothing of the old layout is
        left. Where it is interrupted, call it again.

        Raises FeatureViewNotFound; InvalidValue for a view without layouts; UnsafeChange where
        values are INVALID and `invalid_as_null` is not set: it goes on being read as before then,
        or such rows stay in the old layout; RegistryConflict where somebody else changes the view
        meanwhile; ConfigError where somebody goes on writing the old layout.
        """
        migrating = self.core.migrating(view, to, rate, settle, invalid_as_null, progress)
        return self.driver.run(migrating)

    def refresh(self) -> bool:
        """Look for new definitions and other versions now; True where there was anything new."""
        return self.driver.run(self.core.refreshing())

    @property
    def server(self) -> dict[str, Any]:
        """What the server said it is: `server`, `version`, `mode`, `role`, `id`, `protocol`."""
        return self.driver.server

    def close(self) -> None:
        """Close the connections; calls under way end first."""
        self.driver.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<fscore.Client {self.core.endpoint}, revision {self.revision}>"
