"""The contestants. Each takes ids and returns a float per id and feature, in the order asked."""

from __future__ import annotations

from typing import Protocol

import numpy.typing as npt

from bench.measure.servers import Server
from bench.measure.workload import Workload

# Lists of floats or an array; the comparison with what is expected takes either.
Matrix = npt.ArrayLike


class Blocking(Protocol):
    """A client that blocks its thread for the round trip."""

    name: str

    def __call__(self, ids: list[int]) -> Matrix: ...
    def close(self) -> None: ...


class Asynchronous(Protocol):
    """A client for an event loop."""

    name: str

    async def __call__(self, ids: list[int]) -> Matrix: ...
    async def close(self) -> None: ...


class Unavailable(Exception):
    """Raised if something cannot run on this machine; the message is the reason."""


class BlockingFactory(Protocol):
    def __call__(self, server: Server, workload: Workload, transport: str) -> Blocking: ...


class AsynchronousFactory(Protocol):
    async def __call__(
        self, server: Server, workload: Workload, transport: str
    ) -> Asynchronous: ...
