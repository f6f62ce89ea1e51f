"""Blocking contestants: redis-py, a socket with hiredis, and the floor."""

from __future__ import annotations

import hiredis
import redis

from bench.measure.resp import encode
from bench.measure.servers import Server
from bench.measure.tap import Exchange
from bench.measure.workload import Workload
from bench.peers import Matrix
from bench.peers.commands import Commands, connect

MARK = b"end-of-the-handshake"


class RedisPy:
    """redis-py with the hiredis parser: a pipeline without MULTI, as its documentation shows."""

    name = "redis-py + hiredis"

    def __init__(self, server: Server, workload: Workload, transport: str) -> None:
        self._client = redis.Redis.from_url(server.url(transport))
        self._workload = workload
        self._asked = workload.asked
        self._raw = [field.encode() for field in workload.asked]

    def __call__(self, ids: list[int]) -> Matrix:
        workload = self._workload
        pipeline = self._client.pipeline(transaction=False)
        if workload.command == "HGETALL":
            for identifier in ids:
                pipeline.hgetall(workload.key(identifier))
            fields = self._raw
            return [[float(row[field]) for field in fields] for row in pipeline.execute()]
        for identifier in ids:
            pipeline.hmget(workload.key(identifier), self._asked)
        return [list(map(float, row)) for row in pipeline.execute()]

    def close(self) -> None:
        self._client.close()


class BareHiredis:
    """A socket and hiredis.Reader, nothing else: no pool, no retries, no errors, no types."""

    name = "bare socket + hiredis"

    def __init__(self, server: Server, workload: Workload, transport: str) -> None:
        self._socket = connect(server, transport)
        self._reader = hiredis.Reader()
        self._commands = Commands(workload)
        self._buffer = bytearray(1 << 16)

    def __call__(self, ids: list[int]) -> Matrix:
        self._socket.sendall(self._commands.encode(ids))
        reader, buffer = self._reader, self._buffer
        rows = []
        missing = len(ids)
        while missing:
            size = self._socket.recv_into(buffer)
            # Its type stub does not know that it takes any buffer.
            reader.feed(buffer, 0, size)  # type: ignore[arg-type]
            while missing and (row := reader.gets()) is not False:
                rows.append(row)
                missing -= 1
        return self._commands.decode(rows)

    def close(self) -> None:
        self._socket.close()


class Floor:
    """A bare socket that exchanges the same bytes as fscore did; nothing is decoded."""

    name = "floor: the same bytes, bare socket"

    def __init__(self, server: Server, exchange: Exchange, transport: str) -> None:
        self._socket = connect(server, transport)
        self._exchange = exchange
        self._buffer = bytearray(1 << 16)
        # The size of a greeting varies, such as with the connection number: read up to a mark.
        self._socket.sendall(exchange.handshake + encode("ECHO", MARK))
        said = b""
        while not said.endswith(MARK + b"\r\n"):
            said += self._socket.recv(1 << 16)

    def __call__(self, ids: list[int]) -> Matrix:
        request, size = self._exchange.calls[tuple(ids)]
        self._socket.sendall(request)
        self._discard(size)
        return ()

    def _discard(self, left: int) -> None:
        receive, buffer = self._socket.recv_into, self._buffer
        while left > 0:
            got = receive(buffer)
            if not got:
                raise ConnectionError("the server closed the floor's connection")
            left -= got

    def close(self) -> None:
        self._socket.close()
