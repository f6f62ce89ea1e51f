"""`client.versions` of the asyncio client."""

from __future__ import annotations

from fscore.aio.driver import Driver
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

    Arguments, errors and results are those of the blocking client's `versions`.
    """

    def __init__(self, core: Core, driver: Driver) -> None:
        self._core = core
        self._driver = driver

    async def create(self, service: ServiceLike, *, comment: str = "", created_by: str = "") -> int:
        """Make a new version and return its number; from then on writers fill it too."""
        return await self._driver.run(calls.creating(self._core, service, comment, created_by))

    async def promote(self, service: ServiceLike, version: int) -> Switch:
        """Have every request for the service read this version, unless it pins another."""
        return await self._driver.run(calls.promoting(self._core, service, version))

    async def rollback(self, service: ServiceLike) -> Switch:
        """Promote the version again that was read before the current one."""
        return await self._driver.run(calls.rolling_back(self._core, service))

    async def retire(
        self,
        service: ServiceLike,
        version: int,
        *,
        force: bool = False,
        rate: float = RECLAIM_RATE,
        progress: Progress | None = None,
    ) -> Retirement:
        """End a version: nobody writes or promotes it any more, and its keys are removed."""
        retiring = calls.retiring(
            self._core, service, version, force=force, rate=rate, progress=progress
        )
        return await self._driver.run(retiring)

    async def list(
        self, service: ServiceLike | None = None, *, timeout: float | None = None
    ) -> tuple[ServiceVersions, ...]:
        """Read the versions of a service, or of all services, sorted by the service's name."""
        timeout = None if timeout is None else checked_timeout(timeout)
        return await self._driver.run(calls.listing(self._core, service), timeout)
