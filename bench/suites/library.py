"""Compare fscore as a library with other clients: `python -m bench.suites.library`.

Every contestant reads the same entities from the same server and returns the same floats, which is
checked before anything is timed. They run in interleaved rounds (see bench/measure/timing.py).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.measure import definitions, report, timing
from bench.measure.servers import KINDS, Server, running
from bench.measure.tap import tapped
from bench.measure.timing import Sample, figures, median, median_difference, median_ratio
from bench.measure.workload import Workload, fill
from bench.peers import Asynchronous, Blocking, Unavailable
from bench.peers.aio import BareProtocol, Glide, RedisAsyncio, UnjoinedProtocol
from bench.peers.blocking import BareHiredis, Floor, RedisPy
from bench.peers.cython_decoder import CythonHiredis
from bench.peers.fscore_clients import FscoreAsyncio, FscoreBlocking

ENTITIES = (1, 10, 100)
FEATURES = (10, 30, 100)
CALLERS = (1, 32)
# The cell that the bars of docs/performance.md are about.
BAR_CELL = (10, 10)
COLUMNS = ("p50 µs", "mean µs", "p99 µs", "calls/s", "client CPU µs", "server CPU µs")


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    transport: str = "tcp"
    command: str = "HMGET"
    rounds: int = 5
    seconds: float = 0.3
    entities: tuple[int, ...] = ENTITIES
    features: tuple[int, ...] = FEATURES
    stored: int | None = None
    drivers: tuple[str, ...] = ("blocking", "asyncio")

    def workloads(self) -> list[Workload]:
        return [
            Workload(entities, features, self.stored or features, self.command)
            for features in self.features
            for entities in self.entities
        ]

    def rounds_of(self, workload: Workload) -> int:
        """Return the number of rounds: twice as many for the cell that the bars are about."""
        return self.rounds * (2 if (workload.entities, workload.features) == BAR_CELL else 1)


@dataclass(frozen=True)
class Cell:
    """One workload, one driver, one number of callers: the rounds of each contestant."""

    driver: str
    callers: int
    workload: Workload
    rounds: dict[str, list[Sample]]


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    """Measure every cell; return the text of the report and the bars."""
    workloads = options.workloads()
    cells: list[Cell] = []
    absent: dict[str, str] = {}
    with running(options.kind) as server:
        widths = sorted({workload.stored for workload in workloads})
        for stored in widths:
            fill(server, stored)
        definitions.apply(server, widths)
        title = f"Library: {server.kind} {server.version} over {options.transport}"
        for workload in workloads:
            if "blocking" in options.drivers:
                cells.append(_blocking(server, workload, options, absent))
        if "asyncio" in options.drivers:
            with asyncio.Runner(loop_factory=_uvloop()) as runner:
                for workload in workloads:
                    for callers in CALLERS:
                        cell = _asyncio(server, workload, options, callers, absent)
                        cells.append(runner.run(cell))
    found = bars(cells)
    text = _text(cells, found, absent, options)
    data = {
        "options": asdict(options),
        "absent": absent,
        "bars": found,
        "cells": [asdict(cell) for cell in cells],
    }
    return report.save("library", title, data, text), found


def _blocking(server: Server, workload: Workload, options: Options, absent: dict[str, str]) -> Cell:
    with contextlib.ExitStack() as stack:
        contestants: list[Blocking] = []
        for build in (FscoreBlocking, RedisPy, BareHiredis, CythonHiredis):
            try:
                contestant: Blocking = build(server, workload, options.transport)
            except Unavailable as error:
                absent[build.name] = str(error)
                continue
            stack.callback(contestant.close)
            contestants.append(contestant)
        for contestant in contestants:
            for ids in workload.batches():
                check(contestant.name, contestant(ids), workload, ids)
        floor = _floor(server, workload, options.transport)
        stack.callback(floor.close)
        contestants.append(floor)
        rounds: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
        for _ in range(options.rounds_of(workload)):
            for contestant in contestants:
                with _quiet():
                    sample = timing.time_blocking(
                        contestant, workload.endless(), options.seconds, server
                    )
                rounds[contestant.name].append(sample)
    return Cell("blocking", 1, workload, rounds)


def _floor(server: Server, workload: Workload, transport: str) -> Floor:
    """Record what fscore sends while it reads, and make a floor that replays it."""
    with tapped(server.path) as tap:
        watched = FscoreBlocking(server, workload, transport, url=f"unix://{tap.path}")
        exchange = tap.record(workload.batches(), watched)
        watched.close()
    return Floor(server, exchange, transport)


async def _asyncio(
    server: Server, workload: Workload, options: Options, callers: int, absent: dict[str, str]
) -> Cell:
    contestants: list[Asynchronous] = []
    try:
        for client in (FscoreAsyncio, RedisAsyncio, Glide, BareProtocol, UnjoinedProtocol):
            try:
                contestants.append(await client.open(server, workload, options.transport))
            except Unavailable as error:
                absent[client.name] = str(error)
        for contestant in contestants:
            for ids in workload.batches():
                check(contestant.name, await contestant(ids), workload, ids)
        rounds: dict[str, list[Sample]] = {contestant.name: [] for contestant in contestants}
        for _ in range(options.rounds_of(workload)):
            for contestant in contestants:
                with _quiet():
                    sample = await timing.time_callers(
                        contestant, workload.endless(), options.seconds, server, callers
                    )
                rounds[contestant.name].append(sample)
    finally:
        for contestant in contestants:
            await contestant.close()
    return Cell("asyncio", callers, workload, rounds)


def check(name: str, answer: object, workload: Workload, ids: list[int]) -> None:
    """Exit without timing anything if a contestant's answers are wrong."""
    matrix = np.asarray(answer)
    if matrix.dtype != np.float64 or not np.array_equal(matrix, workload.expected(ids)):
        raise SystemExit(f"{name} answers {workload.name} wrongly for ids {ids[:3]}…")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Collect garbage first, so that a run does not pay for the contestant before it."""
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _uvloop() -> Any:
    try:
        import uvloop
    except ImportError:
        raise SystemExit("the asyncio comparison needs uvloop: make bench installs it") from None
    return uvloop.new_event_loop


def bars(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    """Return the project's bars at 10 x 10 that these cells can answer."""
    found: list[dict[str, Any]] = []
    for cell in cells:
        workload, rounds = cell.workload, cell.rounds
        if (workload.entities, workload.features) != BAR_CELL:
            continue
        if cell.driver == "blocking":
            p50 = {name: figures(samples, "p50") for name, samples in rounds.items()}
            ratio = median_ratio(p50[FscoreBlocking.name], p50[RedisPy.name])
            above = median_difference(p50[FscoreBlocking.name], p50[Floor.name])
            found += [
                report.bar(f"blocking: p50 over {RedisPy.name}", ratio, 0.45, "", at_most=True),
                report.bar("blocking: p50 above the floor", above, 25, "µs", at_most=True),
            ]
        if cell.driver == "asyncio" and cell.callers == 32:
            rates = {name: figures(samples, "rate") for name, samples in rounds.items()}
            for peer, limit in ((RedisAsyncio.name, 10), (BareProtocol.name, 3)):
                ratio = median_ratio(rates[FscoreAsyncio.name], rates[peer])
                what = f"asyncio, 32 callers: calls/s over {peer}"
                found.append(report.bar(what, ratio, limit, "x", at_most=False))
    return found


def _text(
    cells: Sequence[Cell], found: list[dict[str, Any]], absent: dict[str, str], options: Options
) -> str:
    parts = [
        f"{options.rounds} interleaved rounds of {options.seconds:g} s each (twice as many at "
        f"{BAR_CELL[0]} x {BAR_CELL[1]}); medians over rounds; "
        f"peers read by {options.command}; each hash has {options.stored or 'exactly the asked'} "
        "features (and one event time)."
    ]
    parts += [f"Left out: {name}: {reason}" for name, reason in absent.items()]
    for cell in cells:
        callers = (
            f", {cell.callers} caller{'s' * (cell.callers > 1)}" if cell.driver == "asyncio" else ""
        )
        parts.append(f"### {cell.driver}{callers}: {cell.workload.name}\n\n{_cell_table(cell)}")
    if found:
        parts.append(f"### Bars\n\n{report.bars_table(found)}")
    return "\n\n".join(parts)


def _cell_table(cell: Cell) -> str:
    """Return a cell's table; its last column is fscore's rate divided by the contestant's."""
    ours = FscoreBlocking.name if cell.driver == "blocking" else FscoreAsyncio.name
    head = ("", *COLUMNS, "x fscore's time")
    rows = []
    for name, samples in cell.rounds.items():
        names = ("p50", "mean", "p99", "rate", "client_cpu", "server_cpu")
        row: list[object] = [name, *(median(samples, figure) for figure in names)]
        row.append(median_ratio(figures(cell.rounds[ours], "rate"), figures(samples, "rate")))
        rows.append(row)
    return report.table(head, rows)


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.library", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--transport", choices=("tcp", "unix"), default="tcp")
    parser.add_argument("--peer-command", choices=("HMGET", "HGETALL"), default="HMGET")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="per contestant")
    parser.add_argument("--entities", type=int, nargs="+", default=list(ENTITIES))
    parser.add_argument("--features", type=int, nargs="+", default=list(FEATURES))
    parser.add_argument("--stored", type=int, help="features in each hash (default: the asked)")
    parser.add_argument("--driver", choices=("blocking", "asyncio"), action="append")
    given = parser.parse_args(argv)
    return Options(
        kind=given.server,
        transport=given.transport,
        command=given.peer_command,
        rounds=given.rounds,
        seconds=given.seconds,
        entities=tuple(given.entities),
        features=tuple(given.features),
        stored=given.stored,
        drivers=tuple(given.driver or ("blocking", "asyncio")),
    )


if __name__ == "__main__":
    print(run(parse())[0])
