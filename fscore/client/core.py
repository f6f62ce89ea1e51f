"""The calls of both clients as operations, and the definitions and versions that they follow.

A client has a `Core` and a driver. The core knows the definitions and the versions as last read. It
says what each call does, step by step, and the driver carries the steps out. So arguments, errors
and results are the same in both clients.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from fscore.client.followed import Definitions, Followed
from fscore.client.options import (
    Deadline,
    Keys,
    Write,
    checked_ordering,
    checked_version,
)
from fscore.client.push import Encoded, PushResult, encode_push
from fscore.client.results import WriteResult, written
from fscore.connection.server import expires_hash_fields
from fscore.definitions.named import SourceLike, ViewLike, source_name, view_name
from fscore.errors import ServerFault
from fscore.events.projection import ViewRows
from fscore.interop.arguments import checked_flag
from fscore.interop.rows import encode, now_ms
from fscore.migration.course import Course, Migration, MigrationProgress, migrate
from fscore.model.views import Layout
from fscore.operations import registry as store
from fscore.operations.operation import Operation, T
from fscore.registry.diff.registries import RegistryDiff, diff
from fscore.registry.registry import Registry, checked_registry
from fscore.versions import records as versions

if TYPE_CHECKING:
    from fscore.config import RedisSettings

# A look is out of date after this many times `registry_poll`.
_OUT_OF_DATE = 2


class Core:
    """Settings, the definitions and versions as last read, and the operations of a client's calls.

    `server` returns what the server says it is. It is called only when rows are encoded, because a
    connection must have been made before.
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
        """When `followed` gets out of date; seconds of the monotonic clock."""
        self._followed_at = 0.0
        self._server = server

    def _nothing(self) -> Followed:
        nothing = store.StoredRegistry(Registry(), 0)
        return Followed(Definitions(nothing, self.prefix), versions.Pointers())

    # Following

    def is_look_due(self) -> bool:
        """Return whether it is time for a look at the definitions."""
        return time.monotonic() >= self.poll_at or self.is_out_of_date()

    def is_out_of_date(self) -> bool:
        """Return whether the last look is so old that a call must look first.

        A client that was not used for a while may know definitions by which nobody writes any more.
        So its first call looks, and so does every call of another thread until that look is done.
        """
        return time.monotonic() > self.current_until

    def postpone_look(self) -> None:
        """Note that a look begins; the next one is due after a pause, even if this one fails."""
        self.poll_at = time.monotonic() + self.settings.registry_poll

    def look_now(self) -> None:
        """Have the next call look, even if the last look was just now."""
        self.poll_at = 0.0

    def following(self, timeout: float) -> Operation[float]:
        """Look if a look is due; return the seconds of `timeout` that are left."""
        if not self.is_look_due():
            return timeout
        deadline = Deadline(timeout)
        try:
            yield from self.refreshing()
        except ServerFault:
            # The call itself will raise what is wrong with the server, unless no time is left.
            if not deadline.left():
                raise
        return deadline.left()

    def refreshing(self) -> Operation[bool]:
        """Look for new definitions and versions, and follow them; return whether there were any."""
        # If the server is away, every call would ask it again. So this is done before the reply.
        self.postpone_look()
        began = time.monotonic()
        if (yield from store.is_current(self.followed.stored, self.prefix)):
            is_new = yield from self.looking_at_versions()
            self._looked(began)
            return is_new
        return (yield from self.loading())

    def loading(self) -> Operation[bool]:
        """Read the definitions and the versions, and follow them; return whether they are new."""
        began = time.monotonic()
        stored = yield from store.load(self.prefix)
        pointers = yield from versions.read_pointers(self.prefix, stored.registry.services)
        is_new = self._adopt(stored, pointers, began)
        self._looked(began)
        return is_new

    def looking_at_versions(self) -> Operation[bool]:
        """Look which versions services read now; return whether anything is new.

        This does not count as a look at the definitions, which may have changed as well.
        """
        while True:
            began, stored = time.monotonic(), self.followed.stored
            pointers = yield from versions.read_pointers(self.prefix, stored.registry.services)
            # Another look may have found new definitions, with other services, meanwhile.
            if stored is self.followed.stored:
                return self._adopt(stored, pointers, began)

    def learning(self, fingerprints: list[int]) -> Operation[bool]:
        """Read the registry again to learn these schemas; return whether it has any of them."""
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
        """Follow what a look has found that began at `began`; return whether anything is new."""
        known = self.followed
        is_older = (
            pointers.revision < known.pointers.revision or stored.revision < known.stored.revision
        )
        if is_older and began < self._followed_at:
            # A later look overtook this one, so its answer is old. (A look that began after the
            # last answer and finds lower revisions has found a server that was emptied.)
            return False
        self._followed_at = time.monotonic()
        is_same = stored is known.stored or stored.is_same_as(known.stored)
        if is_same and pointers == known.pointers:
            return False
        definitions = known.definitions if is_same else Definitions(stored, self.prefix)
        self.followed = Followed(definitions, pointers)
        return True

    def _looked(self, began: float) -> None:
        """Note that a look at the definitions is complete, which began at `began`.

        Its answer is as old as its beginning, because the process may have been stopped meanwhile,
        as on a paused machine, with the answer waiting for it.
        """
        self.postpone_look()
        until = began + _OUT_OF_DATE * self.settings.registry_poll
        self.current_until = max(self.current_until, until)

    # Writing

    def writing(
        self,
        view: ViewLike,
        rows: Any,
        event_time: Any,
        version: int | None,
        ordering: str,
        timeout: float,
    ) -> Operation[WriteResult]:
        """Write rows of a view; see the blocking client's `write`."""
        name, ordering = view_name(view), checked_ordering(ordering)
        version = _pinned(version)
        followed, left = yield from self._following_lists(timeout, version)
        batches, live = self.encode_write(followed, name, rows, event_time, version, ordering)
        return written(batches, (yield Write(batches, left)), live)

    def pushing(
        self, source: SourceLike, events: Any, version: int | None, timeout: float
    ) -> Operation[PushResult]:
        """Write events of a source to its views; see the blocking client's `push`."""
        name, version = source_name(source), _pinned(version)
        followed, left = yield from self._following_lists(timeout, version)

        def encode_rows(rows: ViewRows) -> Encoded:
            return self.encode_write(
                followed, rows.view, rows.columns, None, version, rows.ordering
            )

        projection = followed.definitions.projection(name)
        push = encode_push(projection, name, events, encode_rows)
        results = {}
        for view, (batches, live) in push.views.items():
            results[view] = written(batches, (yield Write(batches, left)), live)
        return push.result(results)

    def deleting(
        self, view: ViewLike, keys: Keys, version: int | None, timeout: float
    ) -> Operation[int]:
        """Remove a view's values of these entities; return how many entities had any."""
        name, version = view_name(view), _pinned(version)
        followed, left = yield from self._following_lists(timeout, version)
        plan = followed.definitions.delete_plan(name)
        keys = dict(keys) if isinstance(keys, Mapping) else keys
        live = _versions_to_write(followed, name, version) or (versions.FIRST,)
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
        """Encode all commands of a write; return them and the versions that they write.

        Raises InvalidValue and InvalidKeys, which name the row.
        """
        field_ttl = expires_hash_fields(self._server())
        spec, plan = followed.definitions.write_plan(view, ordering, field_ttl)
        live = _versions_to_write(followed, view, version)
        return encode(plan, spec, rows, event_time, live or (versions.FIRST,)), live

    def _following_lists(
        self, timeout: float, version: int | None
    ) -> Operation[tuple[Followed, float]]:
        """Follow, and read the lists of versions if the write goes to every live version.

        Returns the definitions and versions, and the seconds of `timeout` that are left.
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
        """Compare these definitions with those that Redis has now."""
        registry = checked_registry(registry)
        yield from self.loading()
        return diff(self.followed.registry, registry)

    def applying(self, registry: Registry, allow_unsafe: bool) -> Operation[store.ApplyResult]:
        """Store definitions as a new revision."""
        registry = checked_registry(registry)
        allow_unsafe = checked_flag("allow_unsafe", allow_unsafe)
        result = yield from store.apply(
            self.prefix, registry, allow_unsafe=allow_unsafe, now_ms=now_ms()
        )
        yield from self.loading()
        return result

    def migrating(
        self,
        view: ViewLike,
        to: Layout,
        rate: float,
        settle: float,
        invalid_as_null: bool,
        progress: Callable[[MigrationProgress], None] | None,
    ) -> Operation[Migration]:
        """Move a view to a layout while it is in use; see the blocking client's `migrate`."""
        name, field_ttl = view_name(view), expires_hash_fields(self._server())
        course = Course(self.prefix, name, to, rate, settle, invalid_as_null, field_ttl, progress)
        result = yield from migrate(course)
        yield from self.loading()
        return result

    def noticed(self, operation: Operation[T]) -> Operation[T]:
        """Run an operation that changes versions, then look, so that the client sees the change."""
        result = yield from operation
        yield from self.refreshing()
        return result


def _versions_to_write(followed: Followed, view: str, version: int | None) -> tuple[int, ...]:
    """Return the version that the caller pinned, or every live one of the view's entity."""
    if not followed.has_versions(view):
        return ()
    return followed.versions_to_write(view) if version is None else (version,)


def _pinned(version: int | None) -> int | None:
    return None if version is None else checked_version(version)
