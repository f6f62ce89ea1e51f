"""Asynchronous contestants: redis.asyncio, valkey-glide, and a bare protocol with hiredis."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, cast

import hiredis
import redis.asyncio

from bench.measure.servers import Server
from bench.measure.workload import Workload
from bench.peers import Matrix, Unavailable
from bench.peers.commands import Commands


class RedisAsyncio:
    """redis.asyncio with the hiredis parser: a pipeline without MULTI over its connection pool."""

    name = "redis.asyncio + hiredis"

    def __init__(self, server: Server, workload: Workload, transport: str) -> None:
        self._client = redis.asyncio.Redis.from_url(server.url(transport))
        self._workload = workload
        self._asked = workload.asked
        self._raw = [field.encode() for field in workload.asked]

    @classmethod
    async def open(cls, server: Server, workload: Workload, transport: str) -> RedisAsyncio:
        return cls(server, workload, transport)

    async def __call__(self, ids: list[int]) -> Matrix:
        workload = self._workload
        pipeline = self._client.pipeline(transaction=False)
        if workload.command == "HGETALL":
            for identifier in ids:
                pipeline.hgetall(workload.key(identifier))
            fields = self._raw
            return [[float(row[field]) for field in fields] for row in await pipeline.execute()]
        for identifier in ids:
            pipeline.hmget(workload.key(identifier), self._asked)
        return [list(map(float, row)) for row in await pipeline.execute()]

    async def close(self) -> None:
        await self._client.aclose()


class Glide:
    """valkey-glide: a non-atomic batch."""

    name = "valkey-glide"

    def __init__(self, client: Any, batch: Any, workload: Workload) -> None:
        self._client = client
        self._batch = batch
        self._workload = workload
        self._asked: list[Any] = list(workload.asked)
        self._raw = [field.encode() for field in workload.asked]

    @classmethod
    async def open(cls, server: Server, workload: Workload, transport: str) -> Glide:
        try:
            from glide import Batch, GlideClient, GlideClientConfiguration, NodeAddress
        except ImportError as error:
            raise Unavailable("valkey-glide is not installed") from error
        path = server.path if transport == "unix" else None
        address = NodeAddress("127.0.0.1", server.port, unix_socket_path=path)
        settings = GlideClientConfiguration([address], request_timeout=30_000)
        return cls(await GlideClient.create(settings), Batch, workload)

    async def __call__(self, ids: list[int]) -> Matrix:
        workload = self._workload
        batch = self._batch(is_atomic=False)
        if workload.command == "HGETALL":
            for identifier in ids:
                batch.hgetall(workload.key(identifier))
            fields = self._raw
            rows = await self._client.exec(batch, raise_on_error=True)
            return [[float(row[field]) for field in fields] for row in rows]
        for identifier in ids:
            batch.hmget(workload.key(identifier), self._asked)
        rows = await self._client.exec(batch, raise_on_error=True)
        return [list(map(float, row)) for row in rows]

    async def close(self) -> None:
        await self._client.close()


class BareProtocol(asyncio.Protocol):
    """One connection with hiredis.Reader, which sends the writes of one loop turn together.

    The callers' futures are in a queue, because replies come in the order of the commands.
    """

    name = "bare uvloop protocol + hiredis"

    def __init__(self, workload: Workload) -> None:
        self._commands = Commands(workload)
        self._reader = hiredis.Reader()
        self._waiting: deque[tuple[asyncio.Future[list[Any]], int]] = deque()
        self._rows: list[Any] = []
        self._pending: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None

    @classmethod
    async def open(cls, server: Server, workload: Workload, transport: str) -> BareProtocol:
        loop = asyncio.get_running_loop()
        if transport == "unix":
            _, protocol = await loop.create_unix_connection(lambda: cls(workload), server.path)
        else:
            _, protocol = await loop.create_connection(
                lambda: cls(workload), "127.0.0.1", server.port
            )
        return protocol

    async def __call__(self, ids: list[int]) -> Matrix:
        future = self._loop.create_future()
        self._waiting.append((future, len(ids)))
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(self._commands.encode(ids))
        return self._commands.decode(await future)

    def _flush(self) -> None:
        assert self._transport is not None
        self._transport.write(b"".join(self._pending))
        self._pending.clear()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        reader, rows, waiting = self._reader, self._rows, self._waiting
        reader.feed(data)
        future, count = waiting[0]
        while (row := reader.gets()) is not False:
            rows.append(row)
            if len(rows) == count:
                if not future.done():
                    future.set_result(rows)
                waiting.popleft()
                self._rows = rows = []
                if not waiting:
                    break
                future, count = waiting[0]

    async def close(self) -> None:
        assert self._transport is not None
        self._transport.close()


class UnjoinedProtocol(BareProtocol):
    """The same with a send for each call, as a first version is usually written."""

    name = "bare uvloop protocol + hiredis, a send a call"

    async def __call__(self, ids: list[int]) -> Matrix:
        assert self._transport is not None
        future = self._loop.create_future()
        self._waiting.append((future, len(ids)))
        self._transport.write(self._commands.encode(ids))
        return self._commands.decode(await future)
