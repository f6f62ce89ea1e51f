"""The asyncio client; best on uvloop.

>>> import fscore.aio
>>> async def ages(url: str) -> list[dict[str, object]]:
...     async with fscore.aio.connect(url) as client:
...         prepared = await client.prepare("recommendation")
...         return (await prepared.get(["user_0000", "user_0001"])).to_dicts()
"""

from __future__ import annotations

from fscore.aio.client import Client, Connecting, connect
from fscore.aio.prepared import Prepared
from fscore.aio.versions import Versions

__all__ = ["Client", "Connecting", "Prepared", "Versions", "connect"]

for _export in (Client, Connecting, Prepared, Versions, connect):
    _export.__module__ = "fscore.aio"
