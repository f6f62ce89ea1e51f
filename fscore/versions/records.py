"""Versions of an entity's data: which there are, and which one each feature service reads.

Nothing here does I/O: operations are generators. In Redis stand

    {prefix}feature_version:<service>   the version that it reads; its definition's where absent
    {prefix}fscore:versions:<service>   hash, version -> JSON of `VersionRecord`
    {prefix}fscore:versions             a number that grows with every change of the others

and a change is told on the pub/sub channel that is called like the last. Readers look at the
pointers and that number alone; whoever writes rows reads the hashes too when the number has
changed.
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
"""Made, and written from then on; no service has read it yet."""
LIVE: Final = "live"
"""Promoted at some time, and written until it is retired."""
RETIRED: Final = "retired"
"""Neither written nor to be promoted; its keys are being removed, or are gone."""

FIRST: Final = 1
"""The version of what no service reads, and of services whose definition names none."""
LARGEST: Final = 2**63 - 1

_VERSION = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)


def revision_key(prefix: str) -> str:
    """Return the key of the number that grows with every change; its channel is called alike."""
    return f"{prefix}fscore:versions"


def records_key(prefix: str, service: str) -> str:
    """Return the key of a service's list of versions."""
    return f"{prefix}fscore:versions:{service}"


def pointer_key(prefix: str, service: str) -> str:
    """Return the key that says which version a service reads."""
    return f"{prefix}feature_version:{service}"


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What is known of one version of a service. Moments are epoch milliseconds.

    `state` is "filling", "live" or "retired". `previous` is the version that was read before this
    one was promoted, to which a rollback goes. A version that fscore has not made, such as 1, has
    no `created_at_ms`.
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
        """Return what is stored; the version itself is the hash's field."""
        return json.dumps(self.to_dict(), separators=(",", ":"), ensure_ascii=False)

    def to_dict(self) -> dict[str, Any]:
        """Return what is stored, as plain data."""
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
        """Read what `to_json` wrote, or somebody else with `state` alone; ValueError, TypeError."""
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

    `current` is the one that it reads, `previous` the one that a rollback goes to, if there is one.
    """

    service: str
    current: int
    previous: int | None
    versions: tuple[VersionRecord, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the form for machines: that of the HTTP catalogue and of `--json`."""
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

    A pointer that is no version stands as its text: requests of that service say so, and nobody
    else's are concerned.
    """

    revision: int = 0
    chosen: Mapping[str, int | str] = field(default_factory=dict)

    def current(self, service: ServiceDefinition, prefix: str) -> int:
        """Return the version that a service reads; ConfigError where its pointer is none."""
        chosen = self.chosen.get(service.name, service.version)
        if isinstance(chosen, str):
            raise ConfigError(
                f"{pointer_key(prefix, service.name)} holds {chosen[:40]!r}, which is no version: "
                f"run `fscore version promote {service.name} VERSION`"
            )
        return chosen


def read_pointers(prefix: str, services: Iterable[str]) -> Operation[Pointers]:
    """Read which version each of the services reads."""
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
    """Read the lists of versions of the services."""
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
    """Read everything that is known of the versions of these services."""
    records = yield from read_records(prefix, services)
    # After the lists: a version that is pointed at is then one of theirs.
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
    """Return the version before the current one, passing over those that were retired since."""
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
    """Return the entities of whose rows a service reads a version; FeatureServiceNotFound.

    Series and flags have no versions: what happened has happened.
    """
    read = (view.definition for view in resolve(registry, service).views)
    names = (view.entity for view in read if isinstance(view, FeatureViewDefinition))
    return tuple(dict.fromkeys(names))


def live_versions(
    registry: Registry, pointers: Pointers, records: Records, view: str, prefix: str
) -> tuple[int, ...]:
    """Return the versions that a row of a view is written to, in ascending order.

    Those that a service which reads the view's entity points at, and all of its others that are not
    retired: one that is being filled, and those to which it may go back. Empty for series and
    flags, which have none.
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
    """Return the versions that rows are written to for the sake of one service."""
    return {current, *(version for version in records if not is_retired(records, version))}


def parse_version(found: Any) -> int | None:
    """Return a stored number from 1 to 2**63 - 1; None for any other text."""
    text = text_of(found)
    version = int(text) if _VERSION.fullmatch(text) else 0
    return version if 1 <= version <= LARGEST else None


def text_of(found: Any) -> str:
    """Return a stored text, however it arrived."""
    return found.decode(errors="replace") if isinstance(found, bytes) else str(found)


def damaged(key: str, why: str) -> NoReturn:
    """Raise the ConfigError of a stored value that is not fscore's."""
    raise ConfigError(f"the versions in {key} cannot be used: {why}. Mend it, or delete it.")


def _records(key: str, reply: Any) -> dict[int, VersionRecord]:
    # A map in RESP3; in RESP2 a list in which fields and values alternate.
    pairs = reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
    records = {}
    for name, text in pairs:
        version = parse_version(name)
        if version is None:
            damaged(key, f"its field {text_of(name)[:40]!r} is no version")
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
