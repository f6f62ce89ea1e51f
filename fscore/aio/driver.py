"""Carries out the steps of operations, on one connection that all callers of the loop share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fscore._fscore import FeatureTable, ReadPlan, WriteBatch
from fscore.aio.node import Node
from fscore.client.options import Deadline, Keys, Read, ReadOptions, Write
from fscore.connection.endpoint import Endpoint
from fscore.operations.operation import Command, Operation, Pause, Step, T, drive_async

if TYPE_CHECKING:
    from fscore.config import RedisSettings

_BATCHES_IN_FLIGHT = 4


class Driver:
    """The connection to one server."""

    def __init__(self, endpoint: Endpoint, settings: RedisSettings) -> None:
        self.node = Node(endpoint, settings)
        self._write_timeout = settings.write_timeout
        self._closed = False
        self._most_bytes = settings.max_bytes_in_flight // 2

    @property
    def server(self) -> dict[str, Any]:
        """What the server says it is; empty before the first connection."""
        return self.node.server

    async def run(self, operation: Operation[T], timeout: float | None = None) -> T:
        """Run an operation within `timeout` seconds.

        Without `timeout`, each of its steps has the deadline `write_timeout`.
        """
        deadline = None if timeout is None else Deadline(timeout)

        async def carry_out(step: Step) -> Any:
            left = self._write_timeout if deadline is None else deadline.left()
            match step:
                case tuple():
                    return await self.command(step, left)
                case list():
                    return await self.node.pipeline(step, left)
                case Pause():
                    await asyncio.sleep(step.seconds)
                    return time.monotonic()
                case Read():
                    return await self.read(step.plan, step.keys, step.options, left)
                case Write():
                    return await self._write(step)
            raise TypeError(f"{step!r} is not a step that this driver carries out")

        return await drive_async(operation, carry_out, lambda: self._closed)

    async def command(
        self, command: Command | tuple[Any, ...], timeout: float | None = None
    ) -> Any:
        """Send any one command and return its reply; an error reply is raised."""
        left = self._write_timeout if timeout is None else timeout
        return await self.node.command(list(command), left)

    async def read(
        self, plan: ReadPlan, keys: Keys, options: ReadOptions, timeout: float
    ) -> FeatureTable:
        """Read the features of these keys by a plan."""
        return await self.node.read(plan, keys, options, timeout)

    async def _write(self, step: Write) -> list[int]:
        """Send a few batches at a time; return how many rows of each changed something."""
        changed: list[int] = []
        for some in _in_waves(step.batches, self._most_bytes):
            sent = (self.node.write(batch, step.timeout) for batch in some)
            changed += [outcome[0] for outcome in await asyncio.gather(*sent)]
        return changed

    async def close(self) -> None:
        """Close the connection; requests under way end with Unavailable."""
        self._closed = True
        await self.node.close()


def _in_waves(batches: Sequence[WriteBatch], most_bytes: int) -> Iterator[list[WriteBatch]]:
    """Yield a few batches at a time.

    They are enough to keep the server busy, and few enough to limit memory and to let other callers
    send. A batch that must follow its predecessors is alone.
    """
    wave: list[WriteBatch] = []
    for batch in batches:
        held = sum(one.bytes for one in wave)
        most = 1 if batch.in_order else _BATCHES_IN_FLIGHT
        if wave and (len(wave) == most or held + batch.bytes > most_bytes):
            yield wave
            wave = []
        wave.append(batch)
    if wave:
        yield wave
