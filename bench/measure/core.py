"""fscore's core by itself: bytes out and bytes in, without sockets, through the extension module.

The asyncio driver's `Connection` has no socket of its own. So replies that were captured from a
server once can be fed to it again and again, and only encoding and decoding are timed.
"""

from __future__ import annotations

from typing import Any

from bench.measure.definitions import registry
from bench.measure.redis_cpu import Recorded
from bench.measure.resp import Connection as Socket
from bench.measure.servers import Server
from bench.measure.workload import EVENT_TIME, Workload
from fscore import resolve
from fscore._fscore import Connection, FeatureTable, ReadPlan

# The most bytes that one read of a socket brings, in the asyncio and in the blocking driver.
CHUNK = 1 << 16


def spec_of(workload: Workload) -> dict[str, Any]:
    """Return the spec from which the plan of this workload is compiled."""
    asked = [f"{workload.view}:{name}" for name in workload.asked]
    defined = registry([workload.stored], layouts=[workload.layout])
    return resolve(defined, None, asked, None).to_spec()


class Core:
    """The state machine of one ready connection, and a plan."""

    def __init__(
        self, server: Server, workload: Workload | None = None, *, spec: Any = None
    ) -> None:
        if spec is None:
            assert workload is not None, "a core needs a workload or what its plan is made from"
            spec = spec_of(workload)
        self.plan = ReadPlan(spec, "")
        self.connection = Connection(0.0)
        self.connection.connected(0.0)
        with_socket = Socket.unix(server.path)
        self._socket = with_socket.sock
        while not self.connection.ready:
            self._exchange()

    @property
    def strategy(self) -> str:
        return self.plan.strategies[0]

    def capture(self, ids: list[int]) -> list[bytes]:
        """Read these ids from the server; return the reply in chunks, as a driver gets it."""
        self.submit(ids)
        self._send()
        chunks: list[bytes] = []
        settled: list[Any] = []
        while not settled:
            chunks.append(self._socket.recv(CHUNK))
            settled = self.connection.receive(chunks[-1], 0.0)
        whole = b"".join(chunks)
        return [whole[start : start + CHUNK] for start in range(0, len(whole), CHUNK)]

    def record(
        self, reads: list[list[int]], *, snapshot: bool = False, as_of: int = EVENT_TIME
    ) -> tuple[Recorded, list[FeatureTable]]:
        """Send these reads together, as those of many callers; return the bytes and the answers."""
        for keys in reads:
            self.connection.submit_read(
                self.plan, keys, 1, as_of, None, 60.0, 0.0, snapshot=snapshot
            )
        payload = self.connection.take_output()
        assert payload is not None
        self._socket.sendall(payload)
        size = 0
        tables: list[FeatureTable] = []
        while len(tables) < len(reads):
            data = self._socket.recv(CHUNK)
            size += len(data)
            for _, table, error in self.connection.receive(data, 0.0):
                if error is not None:
                    raise error
                tables.append(table)
            if self.connection.take_output():
                raise RuntimeError("the reads said more after their replies had begun")
        return Recorded(payload, size, len(reads)), tables

    def submit(self, ids: list[int]) -> None:
        self.connection.submit_read(self.plan, ids, 1, EVENT_TIME, None, 60.0, 0.0)

    def encode(self, ids: list[int]) -> bytes:
        """Return the commands that read these ids; decode their reply before the next call."""
        self.submit(ids)
        output = self.connection.take_output()
        assert output is not None
        return output

    def decode(self, chunks: list[bytes]) -> FeatureTable:
        """Return the table that the bytes of the replies make."""
        for chunk in chunks:
            settled = self.connection.receive(chunk, 0.0)
        ((_, table, error),) = settled
        if error is not None:
            raise error
        return table

    def close(self) -> None:
        self._socket.close()

    def _exchange(self) -> None:
        self._send()
        self.connection.receive(self._socket.recv(CHUNK), 0.0)

    def _send(self) -> None:
        output = self.connection.take_output()
        if output:
            self._socket.sendall(output)
