"""What `client.versions` of both clients has in common: everything but waiting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fscore.client.core import ClientCore
from fscore.errors import InvalidKeys
from fscore.interop.rows import now_ms
from fscore.operations import registry as store
from fscore.operations.registry import Operation, T
from fscore.operations.scan import PacedOperation, patiently, require_identity
from fscore.versions import changes
from fscore.versions import records as versions
from fscore.versions.removal import Progress, reclaim


@dataclass(frozen=True, slots=True)
class Retirement:
    """What retiring a version did: how many keys were removed, of which entities.

    `kept` has the entities whose keys stay, each with the other services that still have this
    version of them; they go when those retire it too.
    """

    service: str
    version: int
    removed: int
    entities: tuple[str, ...]
    kept: Mapping[str, tuple[str, ...]]


class VersionCalls:
    """The operations behind the calls; each change ends with a look, so that the client sees it."""

    def __init__(self, core: ClientCore) -> None:
        self._core = core
        self._prefix = core.settings.key_prefix

    def _creating(self, service: str, comment: str, created_by: str) -> Operation[int]:
        return self._noticed(
            changes.create(
                self._prefix, service, comment=comment, created_by=created_by, now_ms=now_ms()
            )
        )

    def _promoting(self, service: str, version: int) -> Operation[changes.Switch]:
        return self._noticed(changes.promote(self._prefix, service, version, now_ms=now_ms()))

    def _rolling_back(self, service: str) -> Operation[changes.Switch]:
        return self._noticed(changes.rollback(self._prefix, service, now_ms=now_ms()))

    def _retiring(
        self, service: str, version: int, force: bool, rate: float, progress: Progress | None
    ) -> PacedOperation[Retirement]:
        # Before anything is changed: a user who may not remove keys fails here.
        yield from require_identity()
        mark = changes.mark_retired(self._prefix, service, version, force=force, now_ms=now_ms())
        marked = yield from store.refusing(self._noticed(mark))
        removed = yield from reclaim(
            self._prefix,
            marked.entities,
            version,
            rate=rate,
            # Every client has looked twice by then.
            settle=2 * self._core.settings.registry_poll,
            progress=progress,
        )
        note = changes.note_reclaimed(self._prefix, service, version, now_ms=now_ms())
        # What was stored and is sent again finds another revision, and is decided again.
        yield from patiently(store.refusing(self._noticed(note)))
        return Retirement(service, version, removed, marked.entities, marked.kept)

    def _listing(self, service: str | None) -> Operation[tuple[versions.ServiceVersions, ...]]:
        yield from self._core._refreshing()
        registry = self._core.registry
        if service is None:
            services = list(registry.services)
        else:
            versions.entities_of(registry, service)  # raises where there is no such service
            services = [service]
        return (yield from versions.read_versions(self._prefix, registry, services))

    def _noticed(self, operation: Operation[T]) -> Operation[T]:
        result = yield from operation
        yield from self._core._refreshing()
        return result


def checked_rate(rate: float) -> float:
    """Return the keys a second that may be removed; InvalidKeys where that is not above 0."""
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not rate > 0:
        raise InvalidKeys(f"rate is {rate!r}; it must be a number of keys a second above 0")
    return rate
