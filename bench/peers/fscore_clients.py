"""fscore's own two clients, through the public API alone."""

from __future__ import annotations

import fscore
import fscore.aio
from bench.measure.servers import Server
from bench.measure.workload import Workload
from bench.peers import Matrix

# Only whole answers are timed: a late read raises an error instead of returning a part.
TIMEOUT = 30.0


class FscoreBlocking:
    """`fscore.connect`, a prepared set, `get(...).to_numpy()`."""

    name = "fscore"

    def __init__(
        self, server: Server, workload: Workload, transport: str, url: str | None = None
    ) -> None:
        self._client = fscore.connect(url or server.url(transport))
        self._prepared = self._client.prepare(features=qualified(workload))

    def __call__(self, ids: list[int]) -> Matrix:
        matrix: Matrix = self._prepared.get(ids, timeout=TIMEOUT, partial=False).to_numpy()
        return matrix

    def close(self) -> None:
        self._client.close()


class FscoreAsyncio:
    """`fscore.aio.connect`, a prepared set, `(await get(...)).to_numpy()`."""

    name = "fscore.aio"

    def __init__(self, client: fscore.aio.Client, prepared: fscore.aio.Prepared) -> None:
        self._client = client
        self._prepared = prepared

    @classmethod
    async def open(cls, server: Server, workload: Workload, transport: str) -> FscoreAsyncio:
        client = await fscore.aio.connect(server.url(transport))
        return cls(client, await client.prepare(features=qualified(workload)))

    async def __call__(self, ids: list[int]) -> Matrix:
        table = await self._prepared.get(ids, timeout=TIMEOUT, partial=False)
        matrix: Matrix = table.to_numpy()
        return matrix

    async def close(self) -> None:
        await self._client.close()


def qualified(workload: Workload) -> list[str]:
    return [f"{workload.view}:{name}" for name in workload.asked]
