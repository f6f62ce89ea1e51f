"""The asyncio client; best on uvloop.

>>> import fscore.aio
>>> async def ages(url: str) -> list[dict[str, object]]:
...     async with fscore.aio.connect(url) as client:
...         prepared = await client.prepare("recommendation")
...         return (await prepared.get(["user_0000", "user_0001"])).to_dicts()
"""

from __future__ import annotations

from fscore.aio.client import Client, connect
from fscore.aio.prepared import Prepared

__all__ = ["Client", "Prepared", "connect"]

for _export in (Client, Prepared, connect):
    _export.__module__ = "fscore.aio"
