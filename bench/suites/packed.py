"""Compare 30 doubles as packed rows and as hashes: memory, and Redis's CPU per read.

`python -m bench.suites.packed`. The reads are those that fscore sends: MGET of packed rows, and
HMGET and HGETALL of hashes. Both hash plans are forced, so that the better one is measured and not
assumed. The reads are recorded once and their answers are compared; then the bytes are sent again
(see bench/measure/redis_cpu.py).
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np

from bench.measure import definitions, report
from bench.measure.core import Core, spec_of
from bench.measure.redis_cpu import Cost, Recorded, costs, middle
from bench.measure.servers import KINDS, Server, running
from bench.measure.timing import median_ratio
from bench.measure.workload import POPULATION, Layout, Workload, fill

STORED = 30
ASKED = (30, 10)
ENTITIES = (1, 10, 100)
BAR_SHAPE = (10, 30)
# How many entities one send reads, by one read or by several that are sent together.
ENTITIES_A_SEND = 320
PLANS = ("hash, HMGET", "hash, HGETALL", "packed, MGET")


@dataclass(frozen=True)
class Options:
    kinds: tuple[str, ...] = KINDS
    rounds: int = 5
    seconds: float = 0.1


@dataclass(frozen=True)
class Memory:
    """Bytes of one entity: by MEMORY USAGE, and by the growth of `used_memory`."""

    usage: float
    growth: float


@dataclass(frozen=True)
class Shape:
    """One size of read: the rounds of each plan; `joined` reads share a send."""

    entities: int
    asked: int
    joined: bool
    rounds: dict[str, list[Cost]]

    def over_best(self, figure: str) -> float:
        """Return the ratio of packed rows to the better hash plan, the median over rounds."""
        best = min(PLANS[:2], key=lambda plan: middle(self.rounds[plan], figure))
        sides = ([getattr(x, figure) for x in self.rounds[plan]] for plan in (PLANS[2], best))
        return median_ratio(*sides)


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    parts = [
        f"{STORED} doubles with all their digits in each row; {options.rounds} interleaved rounds; "
        "medians. `all` is the server's CPU by INFO, `in commands` what its statistics count "
        f"inside of commands. Reads that leave together are as many as make {ENTITIES_A_SEND} "
        "entities."
    ]
    data: dict[str, Any] = {"options": asdict(options), "servers": {}}
    for kind in options.kinds:
        with running(kind) as server:
            memory = {layout: _memory(server, layout) for layout in get_args(Layout)}
            definitions.apply(server, [STORED], layouts=get_args(Layout))
            shapes = [
                _shape(server, entities, asked, joined, options)
                for asked in ASKED
                for entities in ENTITIES
                for joined in (False, True)
            ]
            title = f"{server.kind} {server.version}"
        bars = _bars(title, memory, shapes)
        found += bars
        parts.append(f"### {title}\n\n{_memory_table(memory)}\n\n{_table(shapes)}")
        data["servers"][title] = {
            "memory": {layout: asdict(one) for layout, one in memory.items()},
            "shapes": [asdict(shape) for shape in shapes],
        }
    parts.append(f"### Bars\n\n{report.bars_table(found)}")
    data["bars"] = found
    return report.save("packed", "Packed rows against hashes", data, "\n\n".join(parts)), found


def _memory(server: Server, layout: Layout) -> Memory:
    workload = Workload(1, STORED, STORED, layout=layout)
    # The first key of a database allocates its tables, which belong to no entity.
    server.control.call("SET", "first", "1")
    before = int(server.info("memory")["used_memory"])
    fill(server, STORED, layout)
    growth = int(server.info("memory")["used_memory"]) - before
    some = [
        server.control.call("MEMORY", "USAGE", workload.key(i), "SAMPLES", 0) for i in range(200)
    ]
    return Memory(statistics.fmean(some), growth / POPULATION)


def _shape(server: Server, entities: int, asked: int, joined: bool, options: Options) -> Shape:
    recorded = {plan: _record(server, plan, entities, asked, joined) for plan in PLANS}
    return Shape(entities, asked, joined, costs(server, recorded, options.rounds, options.seconds))


def _record(server: Server, plan: str, entities: int, asked: int, joined: bool) -> Recorded:
    layout, _, command = plan.partition(", ")
    workload = Workload(entities, asked, STORED, layout="packed" if layout == "packed" else "hash")
    spec = spec_of(workload)
    if layout == "hash":
        # The plan follows from the number of fields: HMGET reads few of many, HGETALL reads all.
        spec["entities"][0]["fields_total"] = 600 if command == "HMGET" else asked
    core = Core(server, spec=spec)
    # Packed rows are always read in one way, so the plan has no strategy to choose.
    if core.plan.strategies != ([command] if layout == "hash" else []):
        raise SystemExit(f"the plan for {plan} reads by {core.plan.strategies}")
    reads = workload.distinct(ENTITIES_A_SEND // entities if joined else 1)
    core.record(reads)
    recorded, tables = core.record(reads)
    for ids, table in zip(reads, tables, strict=True):
        if not np.array_equal(table.to_numpy(), workload.expected(ids)):
            raise SystemExit(f"{plan} answers {workload.name} wrongly")
    core.close()
    return recorded


def _bars(
    title: str, memory: dict[Layout, Memory], shapes: Sequence[Shape]
) -> list[dict[str, Any]]:
    packed, hashed = memory["packed"], memory["hash"]
    found = [
        report.bar(
            f"{title}: memory by {what}, packed over hash", ratio * 100, 50, "%", at_most=True
        )
        for what, ratio in (
            ("MEMORY USAGE", packed.usage / hashed.usage),
            ("used_memory", packed.growth / hashed.growth),
        )
    ]
    for shape in shapes:
        if (shape.entities, shape.asked) == BAR_SHAPE and shape.joined:
            what = (
                f"{title}: Redis CPU of {shape.entities} x {shape.asked}, over the best hash plan"
            )
            ratio = shape.over_best("cpu")
            found.append(report.bar(what, ratio * 100, 35, "%", at_most=True))
    return found


def _memory_table(memory: dict[Layout, Memory]) -> str:
    rows = [(layout, one.usage, one.growth) for layout, one in memory.items()]
    return report.table(("bytes of one entity", "MEMORY USAGE", "used_memory"), rows)


def _table(shapes: Sequence[Shape]) -> str:
    head = ["Redis CPU µs a read", "leaves"]
    head += [f"{plan}: {what}" for plan in PLANS for what in ("all", "in commands")]
    rows = []
    for shape in shapes:
        row: list[object] = [f"{shape.entities} x {shape.asked} of {STORED}"]
        row.append("with others" if shape.joined else "alone")
        for plan in PLANS:
            row += [middle(shape.rounds[plan], figure) for figure in ("cpu", "commands")]
        rows.append([*row, f"{shape.over_best('cpu'):.0%}"])
    return report.table([*head, "packed over best"], rows)


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.packed", description=__doc__)
    parser.add_argument("--server", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="CPU a sample")
    given = parser.parse_args(argv)
    kinds = KINDS if given.server == "both" else (given.server,)
    return Options(kinds, given.rounds, given.seconds)


if __name__ == "__main__":
    print(run(parse())[0])
