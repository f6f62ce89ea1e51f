"""`client.versions` of the blocking client."""

from __future__ import annotations

from fscore.blocking.driver import Driver
from fscore.client import versions as calls
from fscore.client.core import Core
from fscore.client.options import checked_timeout
from fscore.client.unpicklable import Unpicklable
from fscore.client.versions import Retirement
from fscore.config import RECLAIM_RATE
from fscore.definitions.named import ServiceLike
from fscore.versions.changes import Switch
from fscore.versions.records import ServiceVersions
from fscore.versions.removal import Progress


class Versions(Unpicklable):
    """Creates, promotes, rolls back, retires and lists versions of feature services.

    `Client.versions` is one. A service is given by its name, or as the `FeatureService` itself.
    Every method raises FeatureServiceNotFound if the definitions have no such service, and
    InvalidArgument if an argument is wrong. See docs/concepts/versions.md.
    """

    def __init__(self, core: Core, driver: Driver) -> None:
        self._core = core
        self._driver = driver

    def create(self, service: ServiceLike, *, comment: str = "", created_by: str = "") -> int:
        """Make a new version and return its number; from then on writers fill it too.

        The number is the next one that is free in every service that shares an entity with this
        one. Clients look for new versions once per `registry_poll` seconds, so wait that long
        before you rely on every writer filling it. `comment` and `created_by` are kept in the
        version's record.
        """
        return self._driver.run(calls.creating(self._core, service, comment, created_by))

    def promote(self, service: ServiceLike, version: int) -> Switch:
        """Have every request for the service read this version, unless it pins another.

        Raises VersionNotFound, VersionRetired, and VersionConflict if somebody else switched the
        service meanwhile.
        """
        return self._driver.run(calls.promoting(self._core, service, version))

    def rollback(self, service: ServiceLike) -> Switch:
        """Promote the version again that was read before the current one.

        Versions that were retired meanwhile are passed over. Raises VersionNotFound if there is no
        earlier version to go back to, and VersionConflict if somebody else switched the service
        meanwhile.
        """
        return self._driver.run(calls.rolling_back(self._core, service))

    def retire(
        self,
        service: ServiceLike,
        version: int,
        *,
        force: bool = False,
        rate: float = RECLAIM_RATE,
        progress: Progress | None = None,
    ) -> Retirement:
        """End a version: nobody writes or promotes it any more, and its keys are removed.

        The call waits for twice `registry_poll` seconds, so that every writer learns of it, and
        then removes `rate` keys a second. It returns when a whole scan of the server's keys finds
        none of them. `progress` is called with a `ReclaimProgress` from time to time. If the call
        is interrupted, call it again: it removes the keys that are left.

        Raises VersionNotFound; VersionInUse if a service that shares an entity with this one reads
        the version, or would go back to it in a rollback (`force=True` allows the latter);
        ConfigError if new keys keep appearing because a program still writes the version.
        """
        retiring = calls.retiring(
            self._core, service, version, force=force, rate=rate, progress=progress
        )
        return self._driver.run(retiring)

    def list(
        self, service: ServiceLike | None = None, *, timeout: float | None = None
    ) -> tuple[ServiceVersions, ...]:
        """Read the versions of a service, or of all services, sorted by the service's name.

        `timeout` is in seconds and covers the whole call; without it each command has the deadline
        `write_timeout`.
        """
        timeout = None if timeout is None else checked_timeout(timeout)
        return self._driver.run(calls.listing(self._core, service), timeout)
