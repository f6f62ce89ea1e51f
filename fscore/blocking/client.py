"""The blocking client: sockets in Rust, the interpreter detached for the whole round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from fscore._fscore import BlockingPool, FeatureTable, WriteBatch
from fscore.blocking.versions import Versions
from fscore.client.core import (
    ClientCore,
    Consistency,
    Deadline,
    Keys,
    Ordering,
    PreparedCore,
    ReadOptions,
    RequestValues,
    WriteResult,
    written,
)
from fscore.client.push import PushResult, encode_push
from fscore.config import MIGRATION_RATE, MIGRATION_SETTLE, RedisSettings, load_settings
from fscore.errors import ServerFault
from fscore.migration.course import Migration, MigrationProgress
from fscore.operations import registry as store
from fscore.operations.scan import PacedOperation
from fscore.registry.diff.registries import RegistryDiff
from fscore.registry.registry import Registry
from fscore.versions.removal import drive_paced


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


class Client(ClientCore):
    """A connection pool and the definitions.

    Made by `fscore.connect`, closed by `close` or at the end of `with`.
    """

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__(settings)
        self.versions = Versions(self)
        endpoint = self.endpoint
        self._timeout = settings.timeout
        self._closed = False
        files = {
            "tls_ca_file": settings.tls_ca_file,
            "tls_cert_file": settings.tls_cert_file,
            "tls_key_file": settings.tls_key_file,
        }
        self._pool = BlockingPool(
            host=None if endpoint.path is not None else endpoint.host,
            port=endpoint.port,
            path=endpoint.path,
            tls=endpoint.tls,
            tls_server_name=settings.tls_server_name,
            tls_verify=settings.tls_verify,
            max_connections=settings.max_connections,
            **{name: None if path is None else str(path) for name, path in files.items()},
            **settings.connection(),
        )
        self._pool.connect(settings.connect_timeout)
        self._run(self._loading())

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
        self._poll_at = 0.0
        self._follow(self._timeout)
        return Prepared(self, service, features, entity)

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
        timeout = self._follow_lists(timeout, version)
        batches, live = self._encode_write(view, rows, event_time, version, ordering, self.server)
        return written(batches, [self._send(batch, timeout) for batch in batches], live)

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
        timeout = self._follow_lists(timeout, version)
        push = encode_push(self, source, events, version, self.server)
        return push.result(
            {
                view: written(batches, [self._send(batch, timeout) for batch in batches], live)
                for view, (batches, live) in push.views.items()
            }
        )

    def delete(
        self, view: str, keys: Keys, *, version: int | None = None, timeout: float | None = None
    ) -> int:
        """Remove a view's values of these entities; returns how many entities had any.

        They are removed from every live version of the entity, or from `version` alone. Where there
        are several, the number is of the version that had most. What a migration left of them in
        the view's other layout goes too.
        """
        timeout = self.settings.write_timeout if timeout is None else timeout
        timeout = self._follow_lists(timeout, version)
        batches = self._encode_delete(view, keys, version)
        return max(self._send(batch, timeout) for batch in batches)

    def execute(self, *arguments: str | bytes | int | float, timeout: float | None = None) -> Any:
        """Run any command of the server and return its reply; raises its error reply."""
        timeout = self.settings.write_timeout if timeout is None else timeout
        return self._pool.command(list(arguments), timeout)

    def plan(self, registry: Registry) -> RegistryDiff:
        """What applying these definitions would change."""
        return self._run(self._planning(registry))

    def apply(self, registry: Registry, *, allow_unsafe: bool = False) -> store.ApplyResult:
        """Store these definitions as a new revision, which servers and clients then follow.

        Raises UnsafeChange where stored data would not survive, RegistryConflict where somebody
        else applied in between.
        """
        return self._run(self._applying(registry, allow_unsafe))

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
        migrating = self._migrating(view, to, rate, settle, invalid_as_null, progress, self.server)
        return self._run_paced(migrating)

    def refresh(self) -> bool:
        """Look for new definitions and other versions now; True where there was anything new."""
        return self._run(self._refreshing())

    @property
    def server(self) -> dict[str, Any]:
        """What the server said it is: `server`, `version`, `mode`, `role`, `id`, `protocol`."""
        return self._pool.server

    def close(self) -> None:
        """Close the connections; calls under way end first."""
        self._closed = True
        self._pool.close()

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
        return f"<fscore.Client {self.endpoint}, revision {self.revision}>"

    def _follow(self, timeout: float) -> float:
        """Looks for a new revision where the last look is a while ago.

        Returns what that leaves of `timeout`. Where the server is away, what comes next tells.
        """
        if not self._is_look_due():
            return timeout
        deadline = Deadline(timeout)
        try:
            self._run(self._refreshing(), timeout)
        except ServerFault:
            if not deadline.left():
                raise
        return deadline.left()

    def _follow_lists(self, timeout: float, version: int | None) -> float:
        """The same for a write, which goes to every live version where it pins none."""
        timeout = self._follow(timeout)
        if version is not None or self._know_records():
            return timeout
        deadline = Deadline(timeout)
        self._run(self._reading_records(), timeout)
        return deadline.left()

    def _run(self, operation: store.Operation[store.T], timeout: float | None = None) -> store.T:
        """Runs an operation, by default with the deadline of a write for each of its commands."""
        deadline = None if timeout is None else Deadline(timeout)

        def left() -> float:
            return self.settings.write_timeout if deadline is None else deadline.left()

        return store.drive(
            operation,
            lambda *command: self.execute(*command, timeout=left()),
            lambda commands: self._pool.pipeline(commands, left()),
        )

    def _run_paced(self, operation: PacedOperation[store.T]) -> store.T:
        """Runs an operation that takes its time."""
        return drive_paced(
            operation,
            self.execute,
            lambda commands: self._pool.pipeline(commands, self.settings.write_timeout),
            lambda: self._closed,
        )

    def _send(self, batch: WriteBatch, timeout: float) -> int:
        # An uncertain write is not sent again behind the caller's back where a newer one of others
        # may have come in between.
        return self._pool.write(batch, timeout, idempotent=batch.idempotent)[0]


class Prepared(PreparedCore):
    """A compiled read of a blocking client; see `Client.prepare`."""

    def __init__(
        self,
        client: Client,
        service: str | None,
        features: Sequence[str] | None,
        entity: str | None,
    ) -> None:
        super().__init__(client, service, features, entity)
        self._client = client

    def get(
        self,
        keys: Keys,
        *,
        timeout: float | None = None,
        partial: bool = True,
        version: int | None = None,
        consistency: Consistency = "eventual",
        as_of: datetime | int | None = None,
        request: RequestValues | None = None,
    ) -> FeatureTable:
        """Read the features of these entities, one row for each, in their order.

        `keys` has a column for each join key, `{"user_id": [1, 2]}`, all of one length, or is the
        one column where there is one join key. `timeout` is in seconds and covers everything.

        Where some of the answer is not there in time the rest has the status UNAVAILABLE, or, with
        `partial=False` or where nothing is there, DeadlineExceeded or Unavailable is raised.

        `as_of` (epoch ms or a datetime with a zone; default: now) is the moment at which windows
        end and against which rows expire. `consistency="snapshot"` reads everything of one entity
        at one moment; rows of different entities are of different ones.

        `request` are the inputs that features computed on request need, as `prepared.request` lists
        them: `{"amount": [12.5, 3.0]}` with a value for each row, or `{"amount": 12.5}` for all.

        InvalidKeys says what is wrong with the keys, InvalidValue with the inputs; more rows than
        `max_keys` are RequestTooLarge.
        """
        client = self._client
        timeout = client._follow(client._timeout if timeout is None else timeout)
        deadline = Deadline(timeout)
        options = self._current(version, consistency, as_of, partial, request)
        table = self._read(keys, options, timeout)
        while again := self._promoted(options, table):
            options = again
            table = self._read(keys, options, deadline.left())
        if table.unknown_schemas:
            learned: bool = client._run(self._learning(table), deadline.left())
            if learned:
                table = self._read(keys, options, deadline.left())
        return table

    def _read(self, keys: Keys, options: ReadOptions, timeout: float) -> FeatureTable:
        return self._client._pool.read(
            self._plan,
            keys,
            options.version,
            options.as_of_ms,
            timeout,
            partial=options.partial,
            snapshot=options.snapshot,
            pointer=options.pointer,
            request=options.request,
        )
