"""Interleaved rounds, and medians of the ratios within a round.

The machine's speed drifts by tens of percent within minutes. So each round runs every contestant
once (A B C, A B C, …), and a ratio is taken between two runs of the same round. The median of those
ratios is reported: the drift affects both sides of each ratio alike.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

from bench.measure.servers import Server

MICRO = 1e6


@dataclass(frozen=True)
class Sample:
    """One contestant in one round; times are microseconds per call."""

    mean: float
    p50: float
    p99: float
    rate: float
    client_cpu: float
    server_cpu: float


class Clock:
    """Wall time, CPU of this process (all its threads) and CPU of the server, over a block."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._server_cpu = server.cpu_seconds()
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def sample(self, durations: list[float]) -> Sample:
        wall = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        server_cpu = self._server.cpu_seconds() - self._server_cpu
        calls = len(durations)
        durations.sort()
        return Sample(
            mean=statistics.fmean(durations) * MICRO,
            p50=durations[calls // 2] * MICRO,
            p99=durations[min(calls - 1, calls * 99 // 100)] * MICRO,
            rate=calls / wall,
            client_cpu=cpu / calls * MICRO,
            server_cpu=server_cpu / calls * MICRO,
        )


def time_blocking(
    call: Callable[[list[int]], object], ids: Iterator[list[int]], seconds: float, server: Server
) -> Sample:
    """Make calls one after another for about `seconds`."""
    now = time.perf_counter
    durations: list[float] = []
    clock = Clock(server)
    end = now() + seconds
    before = now()
    while before < end:
        call(next(ids))
        after = now()
        durations.append(after - before)
        before = after
    return clock.sample(durations)


async def time_callers(
    call: Callable[[list[int]], Awaitable[object]],
    ids: Iterator[list[int]],
    seconds: float,
    server: Server,
    callers: int,
) -> Sample:
    """Run this many callers, each with one call under way at a time, for about `seconds`."""
    now = time.perf_counter
    durations: list[float] = []
    clock = Clock(server)
    end = now() + seconds

    async def caller() -> None:
        before = now()
        while before < end:
            await call(next(ids))
            after = now()
            durations.append(after - before)
            before = after

    await asyncio.gather(*(caller() for _ in range(callers)))
    return clock.sample(durations)


def median_ratio(over: list[float], under: list[float]) -> float:
    """Return the median of the ratios of two contestants' figures, round by round."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))


def median_difference(of: list[float], less: list[float]) -> float:
    return statistics.median(a - b for a, b in zip(of, less, strict=True))


def figures(samples: list[Sample], name: str) -> list[float]:
    return [getattr(sample, name) for sample in samples]


def median(samples: list[Sample], name: str) -> float:
    return statistics.median(figures(samples, name))
