"""Compare `fscore serve` with other servers under wrk, as fast as each can.

`python -m bench.suites.http`.

All read the same Redis and answer the same requests with the same values, which is checked first.
They are loaded one after the other, in rounds. Servers, Redis and wrk share the machine's cores.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure import definitions, report
from bench.measure.load import Load, ceiling, need_wrk
from bench.measure.servers import KINDS, running
from bench.measure.timing import median_ratio
from bench.measure.workload import Workload, fill
from bench.peers import Unavailable
from bench.peers import contestants as who
from bench.peers.contestants import Contestant

SHAPES = ((1, 10), (10, 10), (100, 50))
# The number of connections that the bars are about.
BAR_CONNECTIONS = 128
# The other servers have no deadline. To work off a queue of 128 large requests takes any server
# longer than fscore's default of 50 ms, so refusals would be measured instead of answers.
DEADLINE_MS = 5_000

Bars = list[dict[str, Any]]


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rounds: int = 3
    seconds: int = 3
    connections: tuple[int, ...] = (32, 128)
    shapes: tuple[tuple[int, int], ...] = SHAPES
    contestants: tuple[str, ...] = tuple(who.GROUPS)
    workers: int = 1


@dataclass(frozen=True)
class Cell:
    """One shape of request over one number of connections: the rounds of each contestant."""

    entities: int
    features: int
    connections: int
    loads: dict[str, list[Load]]

    @property
    def title(self) -> str:
        return f"{self.entities} x {self.features}, {self.connections} connections"

    def ratio(self, figure: str, over: str, under: str) -> float | None:
        """Return two contestants' ratio, the median over rounds; None if one is absent."""
        if over not in self.loads or under not in self.loads:
            return None
        above, below = ([getattr(x, figure) for x in self.loads[name]] for name in (over, under))
        return median_ratio(above, below) if all(below) else None

    def middle(self, figure: str, name: str) -> float:
        return statistics.median(getattr(load, figure) for load in self.loads[name])

    def fastest(self, family: dict[str, str]) -> str | None:
        """Return which of a client's ways to read hashes answers the most requests here."""
        there = [name for read, name in family.items() if read != "packed" and name in self.loads]
        return max(there, key=lambda name: self.middle("rate", name), default=None)


def run(options: Options) -> tuple[str, Bars]:
    try:
        need_wrk()
    except Unavailable as reason:
        return f"Left out: {reason}", []
    widths = sorted({features for _, features in options.shapes})
    cells: list[Cell] = []
    with running(options.kind) as redis, contextlib.ExitStack() as stack:
        for width in widths:
            fill(redis, width)
            fill(redis, width, "packed")
        definitions.apply(redis, widths, layouts=("hash", "packed"))
        title = f"HTTP: {redis.kind} {redis.version}, wrk with 1 thread"
        wanted = options.contestants
        servers, absent = who.started(redis, widths, wanted, stack, options.workers, DEADLINE_MS)
        for entities, features in options.shapes:
            workload = Workload(entities, features, features)
            sizes = who.compare(servers, workload)
            requests = {each.name: each.requests(workload) for each in servers}
            for connections in options.connections:
                cell = Cell(entities, features, connections, {each.name: [] for each in servers})
                for _ in range(options.rounds):
                    for each in servers:
                        load = ceiling(
                            each, redis, requests[each.name],
                            min(connections, each.most_connections), options.seconds,
                            sizes[each.name],
                        )  # fmt: skip
                        cell.loads[each.name].append(load)
                cells.append(cell)
        late = _unavailable(servers)
    found = [bar for cell in cells for bar in bars(cell)]
    data = {
        "options": asdict(options),
        "absent": absent,
        "bars": found,
        "fscore_values_unavailable": late,
        "cells": [asdict(cell) for cell in cells],
    }
    return report.save("http", title, data, _text(cells, found, absent, late, options)), found


def bars(cell: Cell) -> Bars:
    """Return the project's bars that this cell can answer.

    "go-redis" stands for the faster of its two ways to read hashes. fscore's packed rows are
    compared with that too, because an ordinary Go service has no such layout.
    """
    if cell.connections != BAR_CONNECTIONS or who.FSCORE not in cell.loads:
        return []
    shape, found = (cell.entities, cell.features), Collected(cell)
    go = cell.fastest(who.GO_REDIS)
    if shape == (1, 10):
        found.ratio("requests/s over go-redis", "rate", who.FSCORE, go, 3.0)
        found.figure("p99", cell.middle("p99_us", who.FSCORE) / 1000, 5, "ms")
        found.figure("server CPU a request", cell.middle("server_cpu_us", who.FSCORE), 20, "µs")
        found.ratio("Redis CPU over go-redis's", "redis_cpu_us", who.FSCORE, go, 0.4, at_most=True)
        vector, rust = who.FEAST_VECTOR, who.RUST
        found.ratio("requests per CPU second over Feast's precomputed", "per_cpu_second",
                    who.FSCORE, vector, 20)  # fmt: skip
        found.ratio("requests per CPU second over bare Rust's", "per_cpu_second",
                    who.FSCORE, rust, 0.6)  # fmt: skip
    if shape == (10, 10):
        found.ratio("requests/s over go-redis", "rate", who.FSCORE, go, 2.5)
    if shape in ((10, 10), (100, 50)):
        found.ratio("packed: requests/s over go-redis", "rate", who.FSCORE_PACKED, go, 5)
        found.ratio("packed: requests per CPU second over bare Rust's", "per_cpu_second",
                    who.FSCORE_PACKED, who.RUST_PACKED, 0.6)  # fmt: skip
    return found.bars


class Collected:
    """Collects the bars of one cell; leaves out bars about an absent contestant."""

    def __init__(self, cell: Cell) -> None:
        self._cell = cell
        self.bars: Bars = []

    def ratio(
        self, what: str, figure: str, over: str, under: str | None, limit: float,
        *, at_most: bool = False,
    ) -> None:  # fmt: skip
        measured = None if under is None else self._cell.ratio(figure, over, under)
        if measured is not None:
            label = f"{self._cell.title}: {what}"
            self.bars.append(report.bar(label, measured, limit, "x", at_most=at_most))

    def figure(self, what: str, measured: float, limit: float, unit: str) -> None:
        label = f"{self._cell.title}: {what}"
        self.bars.append(report.bar(label, measured, limit, unit, at_most=True))


def _unavailable(servers: Sequence[Contestant]) -> int:
    """Return how many values fscore could not read by their deadline, by its own count."""
    for each in servers:
        if each.name == who.FSCORE:
            _, text, _ = each.server.ask("GET", "/metrics")
            return sum(
                round(float(line.rsplit(" ", 1)[1]))
                for line in text.decode().splitlines()
                if line.startswith("fscore_feature_values_total{")
                and 'status="UNAVAILABLE"' in line
            )
    return 0


def _text(
    cells: Sequence[Cell],
    found: Bars,
    absent: dict[str, str],
    late: int,
    options: Options,
) -> str:
    parts = [
        f"{options.rounds} interleaved rounds of {options.seconds} s; medians over rounds; every "
        f"feature of each row is asked for; fscore has {options.workers} process(es), the others "
        "one; the server, Redis and wrk share the machine. fscore has a deadline of "
        f"{DEADLINE_MS / 1000:g} s, after which {late} of its values were UNAVAILABLE over all "
        "runs; the others have none. Feast serves with one worker and --max-requests 0, from 16 "
        "connections at most, Starlette from 32."
    ]
    parts += [f"Left out: {name}: {reason}" for name, reason in absent.items()]
    head = (
        "", "requests/s", "p50 ms", "p99 ms", "server CPU µs", "Redis CPU µs", "a CPU second",
        "not 2xx", "broken", "x fscore's rate",
    )  # fmt: skip
    for cell in cells:
        rows = [_row(cell, name) for name in cell.loads]
        parts.append(f"### {cell.title}\n\n{report.table(head, rows)}")
    if found:
        parts.append(f"### Bars\n\n{report.bars_table(found)}")
    return "\n\n".join(parts)


def _row(cell: Cell, name: str) -> list[object]:
    loads = cell.loads[name]
    return [
        name,
        cell.middle("rate", name),
        cell.middle("p50_us", name) / 1000,
        cell.middle("p99_us", name) / 1000,
        cell.middle("server_cpu_us", name),
        cell.middle("redis_cpu_us", name),
        cell.middle("per_cpu_second", name),
        sum(load.not_ok for load in loads),
        sum(load.broken for load in loads),
        cell.ratio("rate", who.FSCORE, name),
    ]


def shape(text: str) -> tuple[int, int]:
    entities, _, features = text.partition("x")
    return int(entities), int(features)


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.http", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=int, default=Options.seconds)
    parser.add_argument("--connections", type=int, nargs="+", default=list(Options.connections))
    parser.add_argument("--shapes", type=shape, nargs="+", default=list(SHAPES),
                        metavar="ENTITIESxFEATURES")  # fmt: skip
    parser.add_argument("--contestants", choices=who.GROUPS, nargs="+", default=list(who.GROUPS))
    parser.add_argument("--workers", type=int, default=1, help="processes of fscore")
    given = parser.parse_args(argv)
    return Options(
        given.server, given.rounds, given.seconds, tuple(given.connections),
        tuple(given.shapes), tuple(given.contestants), given.workers,
    )  # fmt: skip


if __name__ == "__main__":
    print(run(parse())[0])
