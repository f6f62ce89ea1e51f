"""What the blocking and the asyncio client have in common: everything but waiting.

A driver adds how a command is executed, a plan read and a batch written. Names, arguments, errors
and results are the same in both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np

from fscore._fscore import (
    FeatureTable,
    KeyColumns,
    ReadPlan,
    ReadQuery,
    RequestInputs,
    WriteBatch,
    WritePlan,
)
from fscore.config import RedisSettings
from fscore.connection.server import expires_hash_fields
from fscore.errors import ConfigError, InvalidKeys, InvalidValue
from fscore.events.projection import SourceProjection
from fscore.interop.rows import encode, now_ms, one_time
from fscore.migration.course import Course, Migration, MigrationProgress, migrate
from fscore.model.views import FlagViewDefinition, SeriesViewDefinition
from fscore.operations import registry as store
from fscore.operations.expiries import Outdated, outdated_of
from fscore.operations.scan import PacedOperation
from fscore.registry.diff.registries import RegistryDiff, diff
from fscore.registry.registry import Registry
from fscore.specs.resolve import ResolvedSet, delete_spec, resolve, write_spec
from fscore.versions import records as versions

Keys: TypeAlias = Mapping[str, Any] | Sequence[Any] | np.ndarray[Any, Any] | KeyColumns
"""Join keys of a read: columns by name, or the one column where there is one join key."""
RequestValues: TypeAlias = Mapping[str, Any] | RequestInputs | ReadQuery
"""Inputs of a read by name: for each one value, or a column of one value for each row."""
Consistency: TypeAlias = Literal["eventual", "primary", "snapshot"]
"""How fresh a read must be; see docs/concepts/consistency.md."""

Ordering: TypeAlias = Literal["arrival", "event_time"]
"""Which of two rows of one entity stays: the one that arrives last, or that happened last."""

_ORDERINGS = ("arrival", "event_time")
_CONSISTENCIES = ("eventual", "primary", "snapshot")
_WRITE_PLANS = 256
# Times the pause between two looks.
_OUT_OF_DATE = 2


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did.

    `rows` is how many rows Redis has taken, `versions` in which versions each stands now: none
    where they have no version, as in series and flags. `unchanged` is how many rows changed
    nothing, where that is known: rows ordered by event time for which a newer one was there, or the
    same; events that a series had already, or that came too late for it. After a write that had to
    be sent twice it may count rows that did change something.
    """

    rows: int
    versions: tuple[int, ...] = (1,)
    unchanged: int = 0


class Deadline:
    """The end of a call, which everything that it does must keep."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout

    def left(self) -> float:
        """Seconds until then, 0 afterwards."""
        return max(self._end - time.monotonic(), 0.0)


@dataclass(frozen=True, slots=True)
class Followed:
    """What one look found: the definitions, and which version each service reads.

    Both are replaced together, so that nobody combines those of two looks.
    """

    stored: store.StoredRegistry
    pointers: versions.Pointers


class ClientCore:
    """Settings, the registry and the versions as last read, and compiled plans."""

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self.endpoint = settings.endpoint()
        self._followed = Followed(store.StoredRegistry(Registry(), 0), versions.Pointers())
        self._followed_at = 0.0
        # When what is followed gets out of date.
        self._current_until = 0.0
        self._poll_at = 0.0
        self._write_plans: dict[tuple[str, str, bool, Outdated], WritePlan] = {}
        # Fingerprints that the schemas in Redis do not have.
        self._nowhere: set[int] = set()
        # By source, under the definitions.
        self._projections: tuple[Registry, dict[str, SourceProjection]] = (self.registry, {})
        # By service, under the definitions and the revision beside them; read by who writes.
        self._records: tuple[Registry, int, versions.Records] = (self.registry, 0, {})
        self._live: tuple[object, object, dict[str, tuple[int, ...]]] = (None, None, {})

    @property
    def registry(self) -> Registry:
        """The definitions as last read from Redis."""
        return self._followed.stored.registry

    @property
    def revision(self) -> int:
        """The revision of `registry`; 0 where nothing was applied yet."""
        return self._followed.stored.revision

    @property
    def current_versions(self) -> dict[str, int]:
        """The version that each feature service reads, as last read from Redis.

        A service whose pointer is no version is left out.
        """
        chosen = self._followed.pointers.chosen
        found = (
            (name, chosen.get(name, service.version))
            for name, service in self.registry.services.items()
        )
        return {name: version for name, version in found if isinstance(version, int)}

    def _adopt(
        self, stored: store.StoredRegistry, pointers: versions.Pointers, began: float
    ) -> bool:
        """Takes over what a look has found that began then; True where it is anything new."""
        known = self._followed
        is_older = (
            pointers.revision < known.pointers.revision or stored.revision < known.stored.revision
        )
        if is_older and began < self._followed_at:
            # The answer was overtaken by that of a later look. (One that began after it, and finds
            # less than is known, looks at a server that was emptied.)
            return False
        self._followed_at = time.monotonic()
        if (stored.registry, stored.revision, stored.schemas, stored.expiries) == (
            known.stored.registry,
            known.stored.revision,
            known.stored.schemas,
            known.stored.expiries,
        ):
            stored = known.stored
        else:
            self._write_plans.clear()
            self._nowhere.clear()
        if stored is known.stored and pointers == known.pointers:
            return False
        self._followed = Followed(stored, pointers)
        return True

    def _polled(self) -> None:
        self._poll_at = time.monotonic() + self.settings.registry_poll

    def _looked(self, began: float) -> None:
        """A look at the definitions that began then is complete.

        What it found is as old as its beginning: the process may have been stopped since, as with a
        paused machine, and the answer may have waited for it.
        """
        self._polled()
        until = began + _OUT_OF_DATE * self.settings.registry_poll
        self._current_until = max(self._current_until, until)

    def _is_look_due(self) -> bool:
        """Whether it is time for a look at the definitions."""
        return time.monotonic() >= self._poll_at or self._is_out_of_date()

    def _is_out_of_date(self) -> bool:
        """Whether the last look is so long ago that a call must not go by it.

        A client that was not used looks before its first call, and another thread with it, lest it
        reads where nothing is any more.
        """
        return time.monotonic() > self._current_until

    def _refreshing(self) -> store.Operation[bool]:
        """Looks whether there are new definitions or other versions, and takes them over."""
        # Before the answer is there: a server that is away is not asked again at every call.
        self._polled()
        began = time.monotonic()
        if (yield from store.is_current(self._followed.stored, self.settings.key_prefix)):
            is_new = yield from self._looking_at_versions()
            self._looked(began)
            return is_new
        return (yield from self._loading())

    def _loading(self) -> store.Operation[bool]:
        began, prefix = time.monotonic(), self.settings.key_prefix
        stored = yield from store.load(prefix)
        pointers = yield from versions.read_pointers(prefix, stored.registry.services)
        is_new = self._adopt(stored, pointers, began)
        self._looked(began)
        return is_new

    def _learning(self, fingerprints: list[int]) -> store.Operation[bool]:
        """Reads the registry again where that may say what these schemas are."""
        if self._nowhere.issuperset(fingerprints):
            return False
        yield from self._loading()
        found = self._followed.stored.schemas.keys() & fingerprints
        # Rows of somebody who never applied his definitions cost one look, not one a read.
        self._nowhere.update(set(fingerprints) - found)
        return bool(found)

    def _looking_at_versions(self) -> store.Operation[bool]:
        """Looks which versions are read now, under the definitions that are known.

        By itself it makes nothing current: the definitions may have changed without a promotion.
        """
        while True:
            began, stored = time.monotonic(), self._followed.stored
            pointers = yield from versions.read_pointers(
                self.settings.key_prefix, stored.registry.services
            )
            # Another look may have found new definitions, and services, meanwhile.
            if stored is self._followed.stored:
                return self._adopt(stored, pointers, began)

    def _reading_records(self) -> store.Operation[None]:
        """Reads the services' lists of versions where they are others than those known."""
        followed = self._followed
        registry, revision = followed.stored.registry, followed.pointers.revision
        records: versions.Records = {}
        if revision:
            services = list(registry.services)
            records = yield from versions.read_records(self.settings.key_prefix, services)
        self._records = registry, revision, records

    def _know_records(self) -> bool:
        """Whether the lists of versions are read that belong to what is followed."""
        registry, revision, _ = self._records
        followed = self._followed
        return registry is followed.stored.registry and revision == followed.pointers.revision

    def _applying(
        self, registry: Registry, allow_unsafe: bool
    ) -> store.Operation[store.ApplyResult]:
        prefix = self.settings.key_prefix
        result = yield from store.apply(
            prefix, registry, allow_unsafe=allow_unsafe, now_ms=now_ms()
        )
        yield from self._loading()
        return result

    def _migrating(
        self,
        view: str,
        to: str,
        rate: float,
        settle: float,
        invalid_as_null: bool,
        progress: Callable[[MigrationProgress], None] | None,
        server: Mapping[str, Any],
    ) -> PacedOperation[Migration]:
        course = Course(
            self.settings.key_prefix,
            view,
            to,
            rate,
            settle,
            invalid_as_null,
            expires_hash_fields(server),
            progress,
        )
        result = yield from migrate(course)
        yield from self._loading()
        return result

    def _planning(self, registry: Registry) -> store.Operation[RegistryDiff]:
        yield from self._loading()
        return diff(self.registry, registry)

    def _encode_write(
        self,
        view: str,
        rows: Any,
        event_time: Any,
        version: int | None,
        ordering: str,
        server: Mapping[str, Any],
    ) -> tuple[list[WriteBatch], tuple[int, ...]]:
        """The commands of a write, all of them encoded before any is sent, and its versions."""
        spec, plan = self._write_plan(view, ordering, expires_hash_fields(server))
        live = self._versions_to_write(view, version)
        if len(live) > 1 and event_time is None:
            # One moment for all of them.
            event_time = now_ms()
        batches = []
        for number in live or (versions.FIRST,):
            batches += encode(plan, spec, rows, event_time, number)
        return batches, live

    def _encode_delete(self, view: str, keys: Keys, version: int | None) -> list[WriteBatch]:
        plan = self._delete_plan(view)
        keys = dict(keys) if isinstance(keys, Mapping) else keys
        live = self._versions_to_write(view, version)
        return [plan.encode_delete(keys, number) for number in live or (versions.FIRST,)]

    def _versions_to_write(self, view: str, version: int | None) -> tuple[int, ...]:
        """The version that the caller pinned, or every live one of the view's entity.

        None where what is written has no version.
        """
        if version is not None:
            version = _checked_version(version)
        if isinstance(self.registry.views[view], SeriesViewDefinition | FlagViewDefinition):
            return ()
        if version is not None:
            return (version,)
        followed, lists = self._followed, self._records
        seen, known, live = self._live
        if seen is not followed or known is not lists:
            live = {}
            self._live = followed, lists, live
        found = live.get(view)
        if found is None:
            registry, prefix = followed.stored.registry, self.settings.key_prefix
            found = live[view] = versions.live_versions(
                registry, followed.pointers, lists[2], view, prefix
            )
        return found

    def _write_plan(
        self, view: str, ordering: str, field_ttl: bool
    ) -> tuple[dict[str, Any], WritePlan]:
        stored = self._followed.stored
        spec = write_spec(stored.registry, view)
        outdated = outdated_of(stored.expiries, stored.registry.views[view], now_ms())
        key = (view, ordering, field_ttl, outdated)
        plan = self._write_plans.get(key)
        if plan is None:
            if ordering not in _ORDERINGS:
                raise InvalidValue(
                    f"ordering is {ordering!r}; it must be one of {', '.join(_ORDERINGS)}"
                )
            plan = WritePlan(
                spec,
                self.settings.key_prefix,
                event_time_order=ordering == "event_time",
                field_ttl=field_ttl,
                outdated=outdated,
            )
            self._keep_plan(key, plan)
        return spec, plan

    def _keep_plan(self, key: tuple[str, str, bool, Outdated], plan: WritePlan) -> None:
        if len(self._write_plans) >= _WRITE_PLANS:
            self._write_plans.clear()
        self._write_plans[key] = plan

    def _delete_plan(self, view: str) -> WritePlan:
        key = (view, "delete", False, None)
        plan = self._write_plans.get(key)
        if plan is None:
            plan = WritePlan(delete_spec(self.registry, view), self.settings.key_prefix)
            self._keep_plan(key, plan)
        return plan


def written(
    batches: Sequence[WriteBatch], changed: Sequence[int], live: tuple[int, ...]
) -> WriteResult:
    """What these batches did, each of which says that it changed so many rows.

    They are the same rows for each version, one version after another.
    """
    copies = max(len(live), 1)
    each = len(batches) // copies
    unchanged = [
        batch.rows - rows if batch.counted else 0
        for batch, rows in zip(batches, changed, strict=True)
    ]
    return WriteResult(
        sum(batch.rows for batch in batches[:each]),
        live,
        min(sum(unchanged[each * copy :][:each]) for copy in range(copies)),
    )


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How one read is carried out: the last arguments of the drivers' `read`.

    `version` is that of hashes and packed rows, `as_of_ms` the moment at which windows end and rows
    expire. A `snapshot` takes everything of one entity at one moment, and with `pointer` looks
    which version its service names then. `request` are the inputs that the request brings.
    """

    version: int
    as_of_ms: int
    partial: bool
    snapshot: bool
    pointer: bool
    request: RequestValues | None = None


class PreparedCore:
    """A feature service, or a choice of features, compiled once; requests bring only keys.

    A new revision of the definitions is compiled when it is first used.
    """

    def __init__(
        self,
        client: ClientCore,
        service: str | None,
        features: Sequence[str] | None,
        entity: str | None,
    ) -> None:
        if isinstance(features, str):
            raise InvalidKeys("features must be a list of names, not one string")
        self._core = client
        self._asked = (service, None if features is None else list(features), entity)
        self._compile(client._followed.stored)
        # What was followed last, and the version that it says; one object, for threads.
        self._seen: tuple[Followed | None, int] = (None, self._resolved.version)

    def _compile(self, stored: store.StoredRegistry) -> None:
        service, features, entity = self._asked
        resolved = resolve(stored.registry, service, features, entity)
        settings = self._core.settings
        spec = resolved.to_spec(stored.schemas)
        self._plan = ReadPlan(spec, settings.key_prefix, settings.max_keys)
        self._resolved: ResolvedSet = resolved
        self._compiled_from = stored

    @property
    def service(self) -> str | None:
        """The feature service, where it is one."""
        return self._resolved.service

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in the order of the results."""
        return self._resolved.names

    @property
    def types(self) -> tuple[str, ...]:
        """Types of the features, in the same order."""
        return self._resolved.types

    @property
    def join_keys(self) -> dict[str, str]:
        """Join keys that a request brings, and their types."""
        return self._resolved.join_keys

    @property
    def request(self) -> dict[str, str]:
        """Inputs that a request brings beside its join keys, and their types."""
        return dict(self._resolved.request)

    @property
    def version(self) -> int:
        """The version that is read where a request pins none.

        That to which the service was switched, as far as the client knows; the one in the service's
        definition where nobody switched it; 1 without a service.
        """
        return self._version(None)

    @property
    def strategies(self) -> dict[str, str]:
        """The command that reads the hash of each entity that has one: HMGET or HGETALL."""
        return dict(zip(self._resolved.hashes, self._plan.strategies, strict=True))

    def __repr__(self) -> str:
        what = self.service or ", ".join(self.features[:3])
        return f"<{type(self).__name__} {what!r}: {len(self.features)} features>"

    def _current(
        self,
        version: int | None,
        consistency: str,
        as_of: datetime | int | None,
        partial: bool,
        request: RequestValues | None,
    ) -> ReadOptions:
        """Follows what the client knows now; returns how to read, of one version."""
        current = self._version(version)
        moment = now_ms() if as_of is None else _moment(as_of)
        if consistency == "eventual":
            return ReadOptions(current, moment, partial, False, False, request)
        if consistency not in _CONSISTENCIES:
            raise InvalidKeys(
                f"consistency is {consistency!r}; it must be one of {', '.join(_CONSISTENCIES)}"
            )
        snapshot = consistency == "snapshot"
        pointer = snapshot and version is None
        return ReadOptions(current, moment, partial, snapshot, pointer, request)

    def _version(self, pinned: int | None) -> int:
        seen, current = self._seen
        if seen is not self._core._followed:
            current = self._catch_up(pinned)
        return current if pinned is None else _checked_version(pinned)

    def _promoted(self, options: ReadOptions, table: FeatureTable) -> ReadOptions | None:
        """How to read again where a snapshot found that another version had been promoted."""
        if table.pointer is None or table.pointer == options.version:
            return None
        return replace(options, version=table.pointer)

    def _learning(self, table: FeatureTable) -> store.Operation[bool]:
        """Looks for the schemas of packed rows that the plan does not have.

        True where there is one, so that reading again says more.
        """
        if not (yield from self._core._learning(table.unknown_schemas)):
            return False
        self._version(None)
        return True

    def _catch_up(self, pinned: int | None) -> int:
        followed = self._core._followed
        registry = followed.stored.registry
        if self._compiled_from is not followed.stored:
            self._compile(followed.stored)
        service, current = self._resolved.service, self._resolved.version
        if service is not None:
            try:
                prefix = self._core.settings.key_prefix
                current = followed.pointers.current(registry.services[service], prefix)
            except ConfigError:
                # Not noted as seen, so that every request that pins no version hears of it.
                if pinned is None:
                    raise
                return pinned
        self._seen = followed, current
        return current


def _moment(as_of: datetime | int) -> int:
    try:
        return one_time(as_of)
    except InvalidValue as error:
        raise InvalidKeys(error.message.replace("event_time", "as_of", 1)) from None


def _checked_version(version: int) -> int:
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 1 << 63:
        raise InvalidKeys(f"version is {version!r}; it must be an integer from 1")
    return version
