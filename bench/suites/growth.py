"""Measure CPU per value as requests grow: `python -m bench.suites.growth`.

Each size is measured twice: the core by itself (encode and decode, replies captured beforehand)
and the whole blocking client (the kernel's part of its sockets included).

Every call costs something before its first value: it takes over the keys, makes a job and hands
back a table. So the plain quotient CPU / values falls with size whatever the code does, and cannot
be flat. A fit of `CPU = fixed + slope x values` separates the fixed cost from the cost of a value.
It is on relative errors, so that every size counts the same. Flat means that this line is within
20 % of every point of the core; the plain quotient is in the table beside it.

The plan reads wide rows by HGETALL, whose replies have the fields' names too, and very wide rows,
which Redis stores as hash tables, by HMGET. A value's cost depends on the command, so each command
has a line of its own. The client's column includes the kernel's wake-ups, which dominate small
calls and depend on the machine's other load.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from bench.measure import definitions, report
from bench.measure.core import Core
from bench.measure.servers import KINDS, Server, running
from bench.measure.workload import Workload, fill
from bench.peers.fscore_clients import FscoreBlocking

COUNTS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
WIDTH = 10
FLAT = 0.20
MEASURED = ("core", "client")


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rounds: int = 7
    seconds: float = 0.1
    counts: tuple[int, ...] = COUNTS


@dataclass(frozen=True)
class Point:
    """CPU of one call in microseconds, and the command that the plan chose."""

    entities: int
    features: int
    strategy: str
    core: float
    client: float

    @property
    def values(self) -> int:
        return self.entities * self.features


@dataclass(frozen=True)
class Line:
    """Microseconds: `fixed` per call, `slope` per value; `worst` is the largest relative error."""

    fixed: float
    slope: float
    worst: float


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    most = max(options.counts)
    workloads = {
        f"entities, {WIDTH} features of {WIDTH}": [
            Workload(n, WIDTH, WIDTH) for n in options.counts
        ],
        "features of 1 entity, all it has": [Workload(1, n, n) for n in options.counts],
        f"features of 1 entity, of {most:,}": [Workload(1, n, most) for n in options.counts],
    }
    with running(options.kind) as server:
        widths = sorted({workload.stored for some in workloads.values() for workload in some})
        for stored in widths:
            fill(server, stored)
        definitions.apply(server, widths)
        title = f"Growth: {server.kind} {server.version}"
        series = {name: _measure(server, some, options) for name, some in workloads.items()}
    found, parts = [], [str(__doc__).split("\n\n", 1)[1].strip()]
    for name, points in series.items():
        parts.append(f"### {name}\n\n{_table(points)}")
        for what, command, line in _lines(points):
            parts.append(
                f"{what}, {command}: {line.fixed:.2f} µs + {line.slope * 1000:.1f} ns a value; "
                f"the farthest point is {line.worst:.0%} off"
            )
            if what == "core":
                label = f"{name}, {command}: CPU off the line"
                found.append(report.bar(label, line.worst * 100, FLAT * 100, "%", at_most=True))
    parts.append(f"### Bars\n\n{report.bars_table(found)}")
    data = {
        "options": asdict(options),
        "bars": found,
        "series": {name: [asdict(p) for p in points] for name, points in series.items()},
    }
    return report.save("growth", title, data, "\n\n".join(parts)), found


def _measure(server: Server, workloads: list[Workload], options: Options) -> list[Point]:
    """Measure all sizes in interleaved rounds (see bench/measure/timing.py for the reason)."""
    subjects = [_Subject(server, workload) for workload in workloads]
    samples: list[tuple[list[float], list[float]]] = [([], []) for _ in subjects]
    for _ in range(options.rounds):
        for subject, (core, client) in zip(subjects, samples, strict=True):
            core.append(_cpu(subject.core_call, options.seconds))
            client.append(_cpu(subject.client_call, options.seconds))
    points = []
    for subject, (core, client) in zip(subjects, samples, strict=True):
        workload = subject.workload
        medians = statistics.median(core), statistics.median(client)
        strategy = subject.core.strategy
        points.append(Point(workload.entities, workload.features, strategy, *medians))
        subject.close()
    return points


class _Subject:
    """One size: the core with its captured reply, and a client with a connection."""

    def __init__(self, server: Server, workload: Workload) -> None:
        self.workload = workload
        self.core = Core(server, workload)
        self._ids = workload.batches()[0]
        self._chunks = self.core.capture(self._ids)
        self._client = FscoreBlocking(server, workload, "tcp")
        expected = workload.expected(self._ids)
        for answer in (self.core_call(), self.client_call()):
            if not np.array_equal(np.asarray(answer), expected):
                raise SystemExit(f"fscore answers {workload.name} wrongly")

    def core_call(self) -> object:
        self.core.encode(self._ids)
        return self.core.decode(self._chunks).to_numpy()

    def client_call(self) -> object:
        return self._client(self._ids)

    def close(self) -> None:
        self.core.close()
        self._client.close()


def _cpu(call: Callable[[], object], seconds: float) -> float:
    """Return this process's CPU per call in microseconds; the first call only warms caches."""
    call()
    calls = 0
    begun = time.perf_counter()
    before = time.process_time()
    while time.perf_counter() - begun < seconds:
        call()
        calls += 1
    return (time.process_time() - before) / calls * 1e6


def fit(points: Sequence[Point], what: str) -> Line:
    """Fit a line by least squares on relative errors, so that every size counts the same."""
    values = np.array([point.values for point in points], dtype=float)
    cpu = np.array([getattr(point, what) for point in points])
    matrix = np.column_stack((np.ones(len(points)), values)) / cpu[:, None]
    fixed, slope = np.linalg.lstsq(matrix, np.ones(len(points)), rcond=None)[0]
    worst = np.abs((fixed + slope * values) / cpu - 1).max()
    return Line(float(fixed), float(slope), float(worst))


def _table(points: Sequence[Point]) -> str:
    head = ["values", "read by"]
    for what in MEASURED:
        head += [f"{what} µs a call", "ns a value", "less the fixed cost", "off the line"]
    lines = {(what, command): line for what, command, line in _lines(points)}
    rows = []
    for point in points:
        row: list[object] = [f"{point.values:,}", point.strategy]
        for what in MEASURED:
            cpu = getattr(point, what)
            row += [cpu, cpu / point.values * 1000]
            line = lines.get((what, point.strategy))
            if line is None:
                row += ["", ""]
                continue
            off = cpu / (line.fixed + line.slope * point.values) - 1
            row += [(cpu - line.fixed) / point.values * 1000, f"{off:+.0%}"]
        rows.append(row)
    return report.table(head, rows)


def _lines(points: Sequence[Point]) -> list[tuple[str, str, Line]]:
    """Return what was measured, the command and the fitted line, if it has three points."""
    found = []
    for what in MEASURED:
        for command in sorted({point.strategy for point in points}):
            some = [point for point in points if point.strategy == command]
            if len(some) >= 3:
                found.append((what, command, fit(some, what)))
    return found


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.growth", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="per point")
    parser.add_argument("--counts", type=int, nargs="+", default=list(COUNTS))
    given = parser.parse_args(argv)
    return Options(given.server, given.rounds, given.seconds, tuple(given.counts))


if __name__ == "__main__":
    print(run(parse())[0])
