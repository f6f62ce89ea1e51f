"""`client.versions` of the asyncio client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fscore.client.versions import Retirement, VersionCalls, checked_rate
from fscore.config import RECLAIM_RATE
from fscore.versions.changes import Switch
from fscore.versions.records import ServiceVersions
from fscore.versions.removal import Progress

if TYPE_CHECKING:
    from fscore.aio.client import Client


class Versions(VersionCalls):
    """The versions of feature services; see the blocking client's `versions`."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._client = client

    async def create(self, service: str, *, comment: str = "", created_by: str = "") -> int:
        """Make a new version and return its number; see the blocking client."""
        return await self._client._run(self._creating(service, comment, created_by))

    async def promote(self, service: str, version: int) -> Switch:
        """Have every request for the service that pins no version read this one."""
        return await self._client._run(self._promoting(service, version))

    async def rollback(self, service: str) -> Switch:
        """Have requests read the version again that was read before the current one."""
        return await self._client._run(self._rolling_back(service))

    async def retire(
        self,
        service: str,
        version: int,
        *,
        force: bool = False,
        rate: float = RECLAIM_RATE,
        progress: Progress | None = None,
    ) -> Retirement:
        """End a version and remove its keys, `rate` a second; see the blocking client."""
        retiring = self._retiring(service, version, force, checked_rate(rate), progress)
        return await self._client._run_paced(retiring)

    async def list(
        self, service: str | None = None, *, timeout: float | None = None
    ) -> tuple[ServiceVersions, ...]:
        """Read which versions there are of a service, or of all, sorted by name."""
        return await self._client._run(self._listing(service), timeout)
