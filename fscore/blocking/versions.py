"""`client.versions` of the blocking client."""

from __future__ import annotations

from fscore.blocking.driver import Driver
from fscore.client import versions as calls
from fscore.client.core import Core
from fscore.client.versions import Retirement
from fscore.config import RECLAIM_RATE
from fscore.versions.changes import Switch
from fscore.versions.records import ServiceVersions
from fscore.versions.removal import Progress


class Versions:
    """The versions of feature services: made, switched over to, switched back from, retired.

    A service is named as in the definitions; FeatureServiceNotFound where there is none. See
    docs/concepts/versions.md.
    """

    def __init__(self, core: Core, driver: Driver) -> None:
        self._core = core
        self._driver = driver

    def create(self, service: str, *, comment: str = "", created_by: str = "") -> int:
        """Make a new version and return its number; whoever writes rows then fills it too.

        It is the next number that is free for every service that shares an entity with this one.
        Clients that write look once per `registry_poll`, so all of them fill it that much later.
        """
        return self._driver.run(calls.creating(self._core, service, comment, created_by))

    def promote(self, service: str, version: int) -> Switch:
        """Have every request for the service that pins no version read this one.

        Raises VersionNotFound, VersionRetired, and VersionConflict where somebody else switched the
        service meanwhile.
        """
        return self._driver.run(calls.promoting(self._core, service, version))

    def rollback(self, service: str) -> Switch:
        """Have requests read the version again that was read before the current one was promoted.

        Raises VersionNotFound where there is none that is not retired, and VersionConflict.
        """
        return self._driver.run(calls.rolling_back(self._core, service))

    def retire(
        self,
        service: str,
        version: int,
        *,
        force: bool = False,
        rate: float = RECLAIM_RATE,
        progress: Progress | None = None,
    ) -> Retirement:
        """End a version: nobody writes or promotes it any more, and its keys are removed.

        The keys go at `rate` a second, after twice `registry_poll`, by when whoever writes has
        heard of it; `progress` is told how far that is. The call lasts until a whole scan of the
        server's keys finds none of them. Where it is interrupted, call it again: what is left is
        removed.

        Raises VersionInUse where a service reads the version that shares an entity with this one,
        or would go back to it in a rollback, which `force` allows; VersionNotFound; ConfigError
        when there are always new keys, because somebody goes on writing the version.
        """
        retiring = calls.retiring(
            self._core, service, version, force=force, rate=rate, progress=progress
        )
        return self._driver.run(retiring)

    def list(
        self, service: str | None = None, *, timeout: float | None = None
    ) -> tuple[ServiceVersions, ...]:
        """Read which versions there are of a service, or of all, sorted by name.

        `timeout` in seconds is for all of it.
        """
        return self._driver.run(calls.listing(self._core, service), timeout)
