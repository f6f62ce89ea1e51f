"""Changes the versions of a feature service: create, promote, roll back, retire.

Operations without I/O (see `fscore.operations.operation`). Each reads the current state, decides
here, and has a script store the outcome, which does so only if the state has not changed. If it has
changed, the operation reads and decides again. But if somebody else switched the same service, it
raises VersionConflict, because a person should look at that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from fscore.errors import VersionConflict, VersionInUse, VersionNotFound, VersionRetired
from fscore.model.entities import ServiceDefinition
from fscore.operations import registry as store
from fscore.operations.operation import Command, Operation
from fscore.registry.registry import Registry
from fscore.versions.records import (
    FILLING,
    LARGEST,
    LIVE,
    RETIRED,
    Pointers,
    Records,
    VersionRecord,
    entities_of,
    is_retired,
    live_of,
    pointer_key,
    read_pointers,
    read_records,
    records_key,
    revision_key,
    rollback_target,
)

T = TypeVar("T")

_ATTEMPTS = 50

# KEYS: the registry, the revision of all versions, the pointers (the service's own first), lists.
# ARGV: the expected revision of the registry; the expected revision of all versions; the number of
# pointers, and the expected value of each; the new revision; the new pointer or nothing; the
# message; then (list, version, record) for each record to store, the list as an index into KEYS.
# Returns 1, or 0 and stores nothing if a value is not as expected.
_STORE = """
if (redis.call('HGET', KEYS[1], 'revision') or '0') ~= ARGV[1] then return 0 end
if (redis.call('GET', KEYS[2]) or '0') ~= ARGV[2] then return 0 end
local pointers = tonumber(ARGV[3])
for i = 1, pointers do
  if (redis.call('GET', KEYS[2 + i]) or '') ~= ARGV[3 + i] then return 0 end
end
local at = 4 + pointers
redis.call('SET', KEYS[2], ARGV[at])
if ARGV[at + 1] ~= '' then redis.call('SET', KEYS[3], ARGV[at + 1]) end
for i = at + 3, #ARGV, 3 do
  redis.call('HSET', KEYS[tonumber(ARGV[i])], ARGV[i + 1], ARGV[i + 2])
end
redis.call('PUBLISH', KEYS[2], ARGV[at + 2])
return 1
"""


@dataclass(frozen=True, slots=True)
class Switch:
    """The outcome of a promotion or a rollback.

    - `version` is the version that the service reads now, `before` the one that it read before
      (None if its pointer was not a valid version).
    - `changed` is False if the service already read the version.
    """

    service: str
    version: int
    before: int | None
    changed: bool


@dataclass(frozen=True, slots=True)
class Marked:
    """The entities of a version that was marked as retired.

    - `entities` are those whose keys are to be removed.
    - `kept` has those whose keys stay, each with the other services that still use the version.
    """

    entities: tuple[str, ...]
    kept: Mapping[str, tuple[str, ...]]


def create(
    prefix: str, service: str, *, comment: str, created_by: str, now_ms: int
) -> Operation[int]:
    """Make a new version, numbered above all versions of services that share an entity with it.

    Returns the number.
    """

    def decide(seen: _Seen) -> _Change[int]:
        taken = [*seen.currents.values(), *(member.version for member in seen.family)]
        version = 1 + max(
            [*taken, *(number for known in seen.records.values() for number in known)]
        )
        if version > LARGEST:
            raise VersionNotFound(f"there is no version after {version - 1}", name=service)
        record = VersionRecord(version, FILLING, now_ms, created_by, comment)
        return _Change(version, f"create {version}", records={service: [record]})

    return (yield from _changing(prefix, service, decide, now_ms))


def promote(prefix: str, service: str, version: int, *, now_ms: int) -> Operation[Switch]:
    """Have the service read this version from now on."""
    first = _First(service, f"promoted to {version}")

    def decide(seen: _Seen) -> _Change[Switch]:
        records, current = seen.own_records, seen.current
        if is_retired(records, version):
            raise VersionRetired(
                f"version {version} of {service} is retired and no longer written: create a new one"
            )
        _require_known(seen, version)
        if current == version:
            return _Change(Switch(service, version, version, changed=False))
        first.check(current)
        known = records.get(version, VersionRecord(version, FILLING))
        changed = [replace(known, state=LIVE, promoted_at_ms=now_ms, previous=current)]
        if current is not None and current not in records:
            # The version that was read by default has no record, and writers write only the current
            # version and those with records. With one it stays fresh for a rollback until somebody
            # retires it.
            changed.append(VersionRecord(current, LIVE))
        switch = Switch(service, version, current, changed=True)
        return _Change(switch, f"promote {version}", pointer=version, records={service: changed})

    return (yield from _changing(prefix, service, decide, now_ms))


def rollback(prefix: str, service: str, *, now_ms: int) -> Operation[Switch]:
    """Have the service read the version again that it read before."""
    first = _First(service, "rolled back")

    def decide(seen: _Seen) -> _Change[Switch]:
        current = seen.current
        first.check(current)
        target = rollback_target(seen.own_records, current)
        if target is None:
            raise VersionNotFound(
                f"{service} reads version {current}, and there is no version before it to go back "
                "to: promote the one that you want",
                name=service,
            )
        switch = Switch(service, target, current, changed=True)
        return _Change(switch, f"rollback {target}", pointer=target)

    return (yield from _changing(prefix, service, decide, now_ms))


def mark_retired(
    prefix: str, service: str, version: int, *, force: bool, now_ms: int
) -> Operation[Marked]:
    """Mark a version as retired, so that nobody writes or promotes it; its keys stay for now.

    Raises VersionInUse if a service reads the version. With `force` it may be one that a rollback
    would go back to; then it is retired for every service that would do so.
    """

    def decide(seen: _Seen) -> _Change[Marked]:
        _require_known(seen, version)
        for member in seen.family:
            # Raises if a pointer is not a valid version: that service may read any version.
            seen.pointers.current(member, prefix)
        readers = [name for name, current in seen.currents.items() if current == version]
        if readers:
            raise VersionInUse(
                f"version {version} is read by {', '.join(readers)}: promote another one first",
                services=readers,
            )
        needing = [
            name
            for name, current in seen.currents.items()
            if rollback_target(seen.records[name], current) == version
        ]
        if needing and not force:
            raise VersionInUse(
                f"{', '.join(needing)} would go back to version {version} in a rollback: retire it "
                "with --force (force=True) when that is no longer wanted",
                services=needing,
            )
        changed = {}
        for name in {service: None, **dict.fromkeys(needing)}:
            record = seen.records[name].get(version, VersionRecord(version, LIVE))
            if record.state != RETIRED:
                changed[name] = [replace(record, state=RETIRED, retired_at_ms=now_ms)]
        marked = _marked(seen, version, changed)
        return _Change(marked, f"retire {version}", records=changed)

    return (yield from _changing(prefix, service, decide, now_ms))


def note_reclaimed(prefix: str, service: str, version: int, *, now_ms: int) -> Operation[None]:
    """Note that the keys of a retired version are gone."""

    def decide(seen: _Seen) -> _Change[None]:
        record = seen.own_records.get(version)
        if record is None or record.state != RETIRED:
            return _Change(None)
        done = replace(record, reclaimed_at_ms=now_ms)
        return _Change(None, f"reclaimed {version}", records={service: [done]})

    return (yield from _changing(prefix, service, decide, now_ms))


@dataclass(frozen=True, slots=True)
class _Seen:
    """The state that a decision is made on.

    `family` is the service itself, and then the services that share an entity with it.
    """

    registry: Registry
    registry_revision: int
    family: tuple[ServiceDefinition, ...]
    pointers: Pointers
    records: Records

    @property
    def service(self) -> str:
        return self.family[0].name

    @property
    def current(self) -> int | None:
        """The version that the service reads; None if its pointer is not a valid version."""
        return self.currents.get(self.service)

    @property
    def currents(self) -> dict[str, int]:
        """The version that each service reads, without those whose pointer is not valid."""
        chosen = self.pointers.chosen
        found = ((item.name, chosen.get(item.name, item.version)) for item in self.family)
        return {name: version for name, version in found if isinstance(version, int)}

    @property
    def own_records(self) -> Mapping[int, VersionRecord]:
        return self.records[self.service]


@dataclass(frozen=True, slots=True)
class _Change(Generic[T]):
    """A decision: what to store, if anything, and the result that the caller gets then."""

    result: T
    message: str = ""
    pointer: int | None = None
    records: Mapping[str, list[VersionRecord]] | None = None

    @property
    def is_empty(self) -> bool:
        return self.pointer is None and not self.records


class _First:
    """The version that the service read at the first look, on which the caller's wish is based."""

    def __init__(self, service: str, what: str) -> None:
        self._service = service
        self._what = what
        self._seen: list[int | None] = []

    def check(self, current: int | None) -> None:
        """Raise VersionConflict if the service reads another version now."""
        if not self._seen:
            self._seen.append(current)
        expected = self._seen[0]
        if current != expected:
            raise VersionConflict(
                f"{self._service} was switched from version {expected} to {current} in the "
                f"meantime, and was not {self._what}: look at `fscore version list "
                f"{self._service}`, then decide again",
                expected=expected,
                found=current,
            )


def _changing(
    prefix: str, service: str, decide: Callable[[_Seen], _Change[T]], now_ms: int
) -> Operation[T]:
    for _ in range(_ATTEMPTS):
        seen = yield from _looking(prefix, service)
        change = decide(seen)
        if change.is_empty:
            return change.result
        stored = yield _command(prefix, seen, change, now_ms)
        if int(stored) == 1:
            return change.result
    raise VersionConflict(
        f"the versions of services that share entities with {service} keep changing: try again"
    )


def _looking(prefix: str, service: str) -> Operation[_Seen]:
    stored = yield from store.load(prefix)
    registry = stored.registry
    entities = set(entities_of(registry, service))
    sharing = [
        other
        for name, other in registry.services.items()
        if name != service and not entities.isdisjoint(entities_of(registry, name))
    ]
    family = (registry.services[service], *sharing)
    names = [member.name for member in family]
    pointers = yield from read_pointers(prefix, names)
    records = yield from read_records(prefix, names)
    return _Seen(registry, stored.revision, family, pointers, records)


def _command(prefix: str, seen: _Seen, change: _Change[T], now_ms: int) -> Command:
    names = [member.name for member in seen.family]
    keys = [
        store.registry_key(prefix),
        revision_key(prefix),
        *(pointer_key(prefix, name) for name in names),
    ]
    arguments: list[str | int] = [seen.registry_revision, seen.pointers.revision, len(names)]
    arguments += [seen.pointers.chosen.get(name, "") for name in names]
    # A server that was emptied counts from the beginning. The clock keeps it from coming back to a
    # revision that clients know.
    arguments.append(max(seen.pointers.revision + 1, now_ms))
    arguments.append("" if change.pointer is None else change.pointer)
    arguments.append(f"{seen.service} {change.message}")
    for name, records in (change.records or {}).items():
        keys.append(records_key(prefix, name))
        for record in records:
            arguments += [len(keys), record.version, record.to_json()]
    return ("EVAL", _STORE, len(keys), *keys, *arguments)


def _require_known(seen: _Seen, version: int) -> None:
    known = {*seen.own_records, seen.family[0].version, seen.current}
    if version not in known:
        numbers = sorted(number for number in known if number is not None)
        raise VersionNotFound(
            f"{seen.service} has no version {version}; there are "
            f"{', '.join(map(str, numbers))}: create one first",
            name=str(version),
            suggestions=map(str, numbers),
        )


def _marked(seen: _Seen, version: int, changed: Mapping[str, list[VersionRecord]]) -> Marked:
    """Sort the service's entities by whether another service still has this version of them."""
    records = {
        name: {**known, **{record.version: record for record in changed.get(name, ())}}
        for name, known in seen.records.items()
    }
    removed, kept = [], {}
    for entity in entities_of(seen.registry, seen.service):
        having = tuple(
            name
            for name, current in seen.currents.items()
            if version in live_of(current, records[name])
            and entity in entities_of(seen.registry, name)
        )
        if having:
            kept[entity] = having
        else:
            removed.append(entity)
    return Marked(tuple(removed), kept)
