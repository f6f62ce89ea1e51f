"""Versions of an entity's data: which there are, and which one each feature service reads.

Nothing here does I/O: operations are generators (see `fscore.operations.operation`). Redis has

    {prefix}feature_version:<service>   pointer: the version that the service reads; if it is
                                        absent, the version of the service's definition
    {prefix}fscore:versions:<service>   hash, version -> JSON of `VersionRecord`
    {prefix}fscore:versions             revision: a number that grows with every change of these

Every change is published on a pub/sub channel that has the name of the revision's key. Readers look
only at the pointers and the revision. Writers also read the hashes when the revision has changed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NoReturn, Self

from fscore.errors import ConfigError
from fscore.model.entities import ServiceDefinition
from fscore.model.views import FeatureViewDefinition
from fscore.operations.operation import Operation, together
from fscore.registry.registry import Registry
from fscore.specs.resolve import resolve

FILLING: Final = "filling"
"""State of a version that writers fill, and that no service has read yet."""
LIVE: Final = "live"
"""State of a version that was promoted at some time; writers fill it until it is retired."""
RETIRED: Final = "retired"
"""State of a version that nobody may write or promote; its keys are being removed, or are gone."""

FIRST: Final = 1
"""The version of views that no service reads, and of services whose definition names none."""
LARGEST: Final = 2**63 - 1

_VERSION = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def revision_key(prefix: str) -> str:
    """Return the key of the revision of all versions, which is also the name of its channel."""
    return f"{prefix}fscore:versions"


def records_key(prefix: str, service: str) -> str:
    """Return the key of a service's list of versions."""
    return f"{prefix}fscore:versions:{service}"


def pointer_key(prefix: str, service: str) -> str:
    """Return the key that says which version a service reads."""
    return f"{prefix}feature_version:{service}"


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of a service. Times are epoch milliseconds.

    - `state` is "filling", "live" or "retired".
    - `previous` is the version that the service read before this one was promoted; a rollback goes
      back to it.
    - `created_at_ms` is None if `versions.create` did not make the version, as with version 1.
    - `promoted_at_ms`, `retired_at_ms` and `reclaimed_at_ms` (all keys are removed) are None if
      that has not happened.
    """

    version: int
    state: str
    created_at_ms: int | None = None
    created_by: str = ""
    comment: str = ""
    promoted_at_ms: int | None = None
    previous: int | None = None
    retired_at_ms: int | None = None
    reclaimed_at_ms: int | None = None

    def to_json(self) -> str:
        """Return the JSON that is stored; the version's number is the field of the hash."""
        return json.dumps(self.to_dict(), separators=(",", ":"), ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the stored JSON as plain data."""
        return {
            "state": self.state,
            "created_at": self.created_at_ms,
            "created_by": self.created_by,
            "comment": self.comment,
            "promoted_at": self.promoted_at_ms,
            "previous": self.previous,
            "retired_at": self.retired_at_ms,
            "reclaimed_at": self.reclaimed_at_ms,
        }

    @classmethod
    def from_json(cls, version: int, text: str | bytes) -> Self:
        """Read the JSON of `to_json`; only `state` is required.

        Raises ValueError or TypeError if the text is something else.
        """
        found = json.loads(text)
        if not isinstance(found, dict) or not isinstance(found.get("state"), str):
            raise ValueError("it has no state")
        return cls(
            version,
            found["state"],
            _moment(found, "created_at"),
            str(found.get("created_by", "")),
            str(found.get("comment", "")),
            _moment(found, "promoted_at"),
            _moment(found, "previous"),
            _moment(found, "retired_at"),
            _moment(found, "reclaimed_at"),
        )


Records = Mapping[str, Mapping[int, VersionRecord]]
"""Versions by service and number."""


@dataclass(frozen=True, slots=True)
class ServiceVersions:
    """The versions of one feature service, in ascending order.

    `current` is the version that the service reads, `previous` the one that a rollback would go
    back to, or None.
    """

    service: str
    current: int
    previous: int | None
    versions: tuple[VersionRecord, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, as the HTTP catalogue and `--json` show it."""
        return {
            "service": self.service,
            "version": self.current,
            "previous": self.previous,
            "versions": [
                {"version": record.version, **record.to_dict()} for record in self.versions
            ],
        }


@dataclass(frozen=True, slots=True)
class Pointers:
    """The pointers of all services, as one look found them.

    A pointer that is not a valid version is kept as its text. So only requests of that service
    fail.
    """

    revision: int = 0
    chosen: Mapping[str, int | str] = field(default_factory=dict)

    def current(self, service: ServiceDefinition, prefix: str) -> int:
        """Return the version that a service reads; ConfigError if its pointer is not valid."""
        chosen = self.chosen.get(service.name, service.version)
        if isinstance(chosen, str):
            raise ConfigError(
                f"{pointer_key(prefix, service.name)} holds {chosen[:40]!r}, which is not a valid "
                f"version: run `fscore version promote {service.name} VERSION`"
            )
        return chosen


def read_pointers(prefix: str, services: Iterable[str]) -> Operation[Pointers]:
    """Read which version each of these services reads."""
    names = list(services)
    key = revision_key(prefix)
    found, *pointers = yield ("MGET", key, *(pointer_key(prefix, name) for name in names))
    revision = 0 if found is None else parse_version(found)
    if revision is None:
        damaged(key, f"it is {text_of(found)[:40]!r}, not a number")
    chosen = {
        name: parse_version(pointer) or text_of(pointer)
        for name, pointer in zip(names, pointers, strict=True)
        if pointer is not None
    }
    return Pointers(revision, chosen)


def read_records(prefix: str, services: Sequence[str]) -> Operation[Records]:
    """Read the records of the versions of these services."""
    if not services:
        return {}
    keys = [records_key(prefix, name) for name in services]
    replies = yield from together([("HGETALL", key) for key in keys])
    return {
        name: _records(key, reply) for name, key, reply in zip(services, keys, replies, strict=True)
    }


def read_versions(
    prefix: str, registry: Registry, services: Sequence[str]
) -> Operation[tuple[ServiceVersions, ...]]:
    """Read the versions of these services: their records and their pointers."""
    records = yield from read_records(prefix, services)
    # Pointers are read after the lists, so that the lists have the versions that are pointed at.
    pointers = yield from read_pointers(prefix, services)
    found = []
    for name in services:
        current = pointers.current(registry.services[name], prefix)
        known = {current: VersionRecord(current, LIVE), **records[name]}
        found.append(
            ServiceVersions(
                name,
                current,
                rollback_target(records[name], current),
                tuple(known[version] for version in sorted(known)),
            )
        )
    return tuple(found)


def rollback_target(records: Mapping[int, VersionRecord], current: int | None) -> int | None:
    """Return the version before the current one, passing over versions that were retired since.

    None if there is none.
    """
    passed: set[int] = set()
    version = current
    while version is not None and version not in passed:
        passed.add(version)
        record = records.get(version)
        version = None if record is None else record.previous
        if version is not None and version not in passed and not is_retired(records, version):
            return version
    return None


def is_retired(records: Mapping[int, VersionRecord], version: int) -> bool:
    """Whether a version may no longer be read or written."""
    record = records.get(version)
    return record is not None and record.state == RETIRED


def entities_of(registry: Registry, service: str) -> tuple[str, ...]:
    """Return the entities whose rows a service reads in its version.

    Entities of which it reads only series and flags are left out, because past events have no
    versions. Raises FeatureServiceNotFound.
    """
    read = (view.definition for view in resolve(registry, service).views)
    names = (view.entity for view in read if isinstance(view, FeatureViewDefinition))
    return tuple(dict.fromkeys(names))


def live_versions(
    registry: Registry, pointers: Pointers, records: Records, view: str, prefix: str
) -> tuple[int, ...]:
    """Return the versions that a row of a view is written to, in ascending order.

    These are, for every service that reads the view's entity, the version that it reads and all its
    other versions that are not retired: one that is being filled, and those to which the service
    may go back. Empty for series and flags, which have no versions.
    """
    definition = registry.views[view]
    if not isinstance(definition, FeatureViewDefinition):
        return ()
    live: set[int] = set()
    for name, service in registry.services.items():
        if definition.entity in entities_of(registry, name):
            live |= live_of(pointers.current(service, prefix), records.get(name, {}))
    return tuple(sorted(live)) or (FIRST,)


def live_of(current: int, records: Mapping[int, VersionRecord]) -> set[int]:
    """Return the versions of one service that rows are written to."""
    return {current, *(version for version in records if not is_retired(records, version))}


def parse_version(found: Any) -> int | None:
    """Return a stored number from 1 to 2**63 - 1; None for any other text."""
    text = text_of(found)
    version = int(text) if _VERSION.fullmatch(text) else 0
    return version if 1 <= version <= LARGEST else None


def text_of(found: Any) -> str:
    """Return a reply as text, which may be bytes or already text."""
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)


def damaged(key: str, why: str) -> NoReturn:
    """Raise ConfigError, because a stored value is not in fscore's format."""
    raise ConfigError(f"the versions in {key} cannot be used: {why}. Correct it, or delete it.")


def _records(key: str, reply: Any) -> dict[int, VersionRecord]:
    # RESP3 answers a map; RESP2 a list in which fields and values alternate.
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    records = {}
    for name, text in pairs:
        version = parse_version(name)
        if version is None:
            damaged(key, f"its field {text_of(name)[:40]!r} is not a valid version")
        try:
            records[version] = VersionRecord.from_json(version, text)
        except (TypeError, ValueError) as error:
            damaged(key, f"its field {version} cannot be read ({error})")
    return records


def _moment(found: Mapping[str, Any], name: str) -> int | None:
    value = found.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise ValueError(f"its {name} is {value!r}")
