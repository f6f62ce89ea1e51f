"""What a client follows, and the calls of both clients as operations.

A client has a `Core` and a driver. The core knows the definitions and the versions as last read,
and says what each call does, step by step; the driver carries the steps out. So names, arguments,
errors and results are the same in both clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from fscore.client.followed import Definitions, Followed
from fscore.client.options import Deadline, Keys, Write, checked_version
from fscore.client.push import Encoded, PushResult, encode_push
from fscore.client.results import WriteResult, written
from fscore.config import RedisSettings
from fscore.connection.server import expires_hash_fields
from fscore.errors import ServerFault
from fscore.events.projection import ViewRows
from fscore.interop.rows import encode, now_ms
from fscore.migration.course import Course, Migration, MigrationProgress, migrate
from fscore.operations import registry as store
from fscore.operations.operation import Operation, T
from fscore.registry.diff.registries import RegistryDiff, diff
from fscore.registry.registry import Registry
from fscore.versions import records as versions

# Times the pause between two looks.
_OUT_OF_DATE = 2


class Core:
    """Settings, what is followed, and the operations behind a client's calls.

    `server` returns what the server said it is; it is asked when rows are encoded, after a
    connection was made.
    """

    def __init__(self, settings: RedisSettings, server: Callable[[], Mapping[str, Any]]) -> None:
        self.settings = settings
        self.endpoint = settings.endpoint()
        self.prefix = settings.key_prefix
        self.followed = self._nothing()
        """The definitions and versions as last read. Replaced as a whole, never changed."""
        self.poll_at = 0.0
        """When it is time for the next look; seconds of the monotonic clock."""
        self.current_until = 0.0
        """When what is followed gets out of date; seconds of the monotonic clock."""
        self._followed_at = 0.0
        self._server = server

    def _nothing(self) -> Followed:
        nothing = store.StoredRegistry(Registry(), 0)
        return Followed(Definitions(nothing, self.prefix), versions.Pointers())

    # Following

    def is_look_due(self) -> bool:
        """Whether it is time for a look at the definitions."""
        return time.monotonic() >= self.poll_at or self.is_out_of_date()

    def is_out_of_date(self) -> bool:
        """Whether the last look is so long ago that a call must not go by it.

        A client that was not used looks before its first call, and so does another thread that
        calls meanwhile; otherwise they would read keys that nobody writes any more.
        """
        return time.monotonic() > self.current_until

    def postpone_look(self) -> None:
        """A look begins: the next one is due after a pause, whether this one succeeds or not."""
        self.poll_at = time.monotonic() + self.settings.registry_poll

    def look_now(self) -> None:
        """Have the next call look, however short ago the last look was."""
        self.poll_at = 0.0

    def following(self, timeout: float) -> Operation[float]:
        """Look if a look is due; returns what that leaves of `timeout`, in seconds."""
        if not self.is_look_due():
            return timeout
        deadline = Deadline(timeout)
        try:
            yield from self.refreshing()
        except ServerFault:
            # What comes next tells what is wrong with the server, unless there is no time for it.
            if not deadline.left():
                raise
        return deadline.left()

    def refreshing(self) -> Operation[bool]:
        """Look whether there are new definitions or other versions, and take them over."""
        # Before the answer is there: a server that is away is not asked again at every call.
        self.postpone_look()
        began = time.monotonic()
        if (yield from store.is_current(self.followed.stored, self.prefix)):
            is_new = yield from self.looking_at_versions()
            self._looked(began)
            return is_new
        return (yield from self.loading())

    def loading(self) -> Operation[bool]:
        """Read the definitions and the versions; True if they are new."""
        began = time.monotonic()
        stored = yield from store.load(self.prefix)
        pointers = yield from versions.read_pointers(self.prefix, stored.registry.services)
        is_new = self._adopt(stored, pointers, began)
        self._looked(began)
        return is_new

    def looking_at_versions(self) -> Operation[bool]:
        """Look which versions are read now, under the definitions that are known.

        By itself it makes nothing current: the definitions may have changed without a promotion.
        """
        while True:
            began, stored = time.monotonic(), self.followed.stored
            pointers = yield from versions.read_pointers(self.prefix, stored.registry.services)
            # Another look may have found new definitions, and services, meanwhile.
            if stored is self.followed.stored:
                return self._adopt(stored, pointers, began)

    def learning(self, fingerprints: list[int]) -> Operation[bool]:
        """Read the registry again if that may say what these schemas are; True if it does."""
        if self.followed.definitions.knows_to_be_absent(fingerprints):
            return False
        yield from self.loading()
        definitions = self.followed.definitions
        found = definitions.stored.schemas.keys() & fingerprints
        definitions.note_absent(set(fingerprints) - found)
        return bool(found)

    def _adopt(
        self, stored: store.StoredRegistry, pointers: versions.Pointers, began: float
    ) -> bool:
        """Take over what a look has found that began then; True if anything is new."""
        known = self.followed
        is_older = (
            pointers.revision < known.pointers.revision or stored.revision < known.stored.revision
        )
        if is_older and began < self._followed_at:
            # The answer was overtaken by that of a later look. (One that began after it, and finds
            # less than is known, looks at a server that was emptied.)
            return False
        self._followed_at = time.monotonic()
        is_same = stored is known.stored or stored.is_same_as(known.stored)
        if is_same and pointers == known.pointers:
            return False
        definitions = known.definitions if is_same else Definitions(stored, self.prefix)
        self.followed = Followed(definitions, pointers)
        return True

    def _looked(self, began: float) -> None:
        """A look at the definitions that began then is complete.

        What it found is as old as its beginning: the process may have been stopped since, as with a
        paused machine, and the answer may have waited for it.
        """
        self.postpone_look()
        until = began + _OUT_OF_DATE * self.settings.registry_poll
        self.current_until = max(self.current_until, until)

    # Writing

    def writing(
        self,
        view: str,
        rows: Any,
        event_time: Any,
        version: int | None,
        ordering: str,
        timeout: float,
    ) -> Operation[WriteResult]:
        """Write rows of a view; see the blocking client's `write`."""
        followed, left = yield from self._following_lists(timeout, version)
        batches, live = self.encode_write(followed, view, rows, event_time, version, ordering)
        return written(batches, (yield Write(batches, left)), live)

    def pushing(
        self, source: str, events: Any, version: int | None, timeout: float
    ) -> Operation[PushResult]:
        """Bring events of a source into its views; see the blocking client's `push`."""
        followed, left = yield from self._following_lists(timeout, version)

        def encode_rows(rows: ViewRows) -> Encoded:
            return self.encode_write(
                followed, rows.view, rows.columns, None, version, rows.ordering
            )

        projection = followed.definitions.projection(source)
        push = encode_push(projection, source, events, encode_rows)
        results = {}
        for view, (batches, live) in push.views.items():
            results[view] = written(batches, (yield Write(batches, left)), live)
        return push.result(results)

    def deleting(
        self, view: str, keys: Keys, version: int | None, timeout: float
    ) -> Operation[int]:
        """Remove a view's values of these entities; returns how many entities had any."""
        followed, left = yield from self._following_lists(timeout, version)
        plan = followed.definitions.delete_plan(view)
        keys = dict(keys) if isinstance(keys, Mapping) else keys
        live = _versions_to_write(followed, view, version) or (versions.FIRST,)
        batches = [plan.encode_delete(keys, number) for number in live]
        changed: list[int] = yield Write(batches, left)
        return max(changed)

    def encode_write(
        self,
        followed: Followed,
        view: str,
        rows: Any,
        event_time: Any,
        version: int | None,
        ordering: str,
    ) -> Encoded:
        """Encode all commands of a write; returns them, and the versions that they write.

        Raises InvalidValue and InvalidKeys, which name the row.
        """
        field_ttl = expires_hash_fields(self._server())
        spec, plan = followed.definitions.write_plan(view, ordering, field_ttl)
        live = _versions_to_write(followed, view, version)
        if len(live) > 1 and event_time is None:
            # One time for all versions.
            event_time = now_ms()
        batches = []
        for number in live or (versions.FIRST,):
            batches += encode(plan, spec, rows, event_time, number)
        return batches, live

    def _following_lists(
        self, timeout: float, version: int | None
    ) -> Operation[tuple[Followed, float]]:
        """Follow for a write, which goes to every live version if it pins none.

        Returns what is followed, and what is left of `timeout` in seconds.
        """
        left = yield from self.following(timeout)
        deadline = None
        while version is None and self.followed.records is None:
            deadline = deadline or Deadline(left)
            followed = self.followed
            names = list(followed.registry.services)
            followed.records = yield from versions.read_records(self.prefix, names)
        return self.followed, left if deadline is None else deadline.left()

    # Definitions

    def planning(self, registry: Registry) -> Operation[RegistryDiff]:
        """Compare definitions with those that are stored now."""
        yield from self.loading()
        return diff(self.followed.registry, registry)

    def applying(self, registry: Registry, allow_unsafe: bool) -> Operation[store.ApplyResult]:
        """Store definitions as a new revision."""
        result = yield from store.apply(
            self.prefix, registry, allow_unsafe=allow_unsafe, now_ms=now_ms()
        )
        yield from self.loading()
        return result

    def migrating(
        self,
        view: str,
        to: str,
        rate: float,
        settle: float,
        invalid_as_null: bool,
        progress: Callable[[MigrationProgress], None] | None,
    ) -> Operation[Migration]:
        """Switch a view to a layout while it is in use."""
        field_ttl = expires_hash_fields(self._server())
        course = Course(self.prefix, view, to, rate, settle, invalid_as_null, field_ttl, progress)
        result = yield from migrate(course)
        yield from self.loading()
        return result

    def noticed(self, operation: Operation[T]) -> Operation[T]:
        """Run an operation that changes versions, and look, so that the client sees the change."""
        result = yield from operation
        yield from self.refreshing()
        return result


def _versions_to_write(followed: Followed, view: str, version: int | None) -> tuple[int, ...]:
    """Return the version that the caller pinned, or every live one of the view's entity."""
    if version is not None:
        version = checked_version(version)
    if not followed.has_versions(view):
        return ()
    return followed.versions_to_write(view) if version is None else (version,)
