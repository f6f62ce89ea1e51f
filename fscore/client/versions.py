"""The calls of `client.versions` as operations, which both clients run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fscore.client.core import Core
from fscore.client.options import checked_version
from fscore.definitions.named import ServiceLike, service_name
from fscore.interop.arguments import (
    checked_callback,
    checked_flag,
    checked_number,
    checked_text,
)
from fscore.interop.rows import now_ms
from fscore.operations.operation import Operation
from fscore.operations.scan import patiently, require_identity
from fscore.versions import changes
from fscore.versions import records as versions
from fscore.versions.removal import Progress, reclaim


@dataclass(frozen=True, slots=True)
class Retirement:
    """The outcome of retiring a version of a service.

    - `removed` is how many keys were removed.
    - `entities` are the entities whose keys were removed.
    - `kept` has the entities whose keys stay, each with the other services that still use this
      version of them. The keys are removed when those services retire the version too.
    """

    service: str
    version: int
    removed: int
    entities: tuple[str, ...]
    kept: Mapping[str, tuple[str, ...]]


def creating(core: Core, service: ServiceLike, comment: str, created_by: str) -> Operation[int]:
    """Make a new version and return its number."""
    made = changes.create(
        core.prefix,
        service_name(service),
        comment=checked_text("comment", comment),
        created_by=checked_text("created_by", created_by),
        now_ms=now_ms(),
    )
    return core.noticed(made)


def promoting(core: Core, service: ServiceLike, version: int) -> Operation[changes.Switch]:
    """Have a service read a version."""
    name, version = service_name(service), checked_version(version)
    return core.noticed(changes.promote(core.prefix, name, version, now_ms=now_ms()))


def rolling_back(core: Core, service: ServiceLike) -> Operation[changes.Switch]:
    """Have a service read the version again that it read before."""
    return core.noticed(changes.rollback(core.prefix, service_name(service), now_ms=now_ms()))


def retiring(
    core: Core,
    service: ServiceLike,
    version: int,
    *,
    force: bool,
    rate: float,
    progress: Progress | None,
) -> Operation[Retirement]:
    """Mark a version as retired, remove its keys, and note that they are gone."""
    name, version = service_name(service), checked_version(version)
    force, rate = checked_flag("force", force), checked_number("rate", rate)
    progress = checked_callback("progress", progress)
    prefix = core.prefix
    # A user without the right to run INFO, which the scan needs, fails before anything is changed.
    yield from require_identity()
    marked = yield from core.noticed(
        changes.mark_retired(prefix, name, version, force=force, now_ms=now_ms())
    )
    # Every client looks for changes twice in this time.
    settle = 2 * core.settings.registry_poll
    removed = yield from reclaim(
        prefix, marked.entities, version, rate=rate, settle=settle, progress=progress
    )
    note = changes.note_reclaimed(prefix, name, version, now_ms=now_ms())
    # This is safe to repeat: if the note was stored and only the reply was lost, the next attempt
    # finds a new revision and decides again.
    yield from patiently(core.noticed(note))
    return Retirement(name, version, removed, marked.entities, marked.kept)


def listing(
    core: Core, service: ServiceLike | None
) -> Operation[tuple[versions.ServiceVersions, ...]]:
    """Read the versions of a service, or of all services."""
    name = None if service is None else service_name(service)
    yield from core.refreshing()
    registry = core.followed.registry
    if name is None:
        services = list(registry.services)
    else:
        versions.entities_of(registry, name)  # raises if there is no such service
        services = [name]
    return (yield from versions.read_versions(core.prefix, registry, services))
