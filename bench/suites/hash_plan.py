"""Measure what HMGET of k of n fields and HGETALL of n fields cost the server.

`python -m bench.suites.hash_plan`.

The read plan of `rust/core` chooses between the two by a rule, and takes the rule's constants from
these figures. Both commands are sent in pipelines of 100 over loopback TCP. The server's own CPU is
read from INFO before and after, so neither the sender's speed nor its wake-ups count.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np

from bench.measure.machine import describe
from bench.measure.redis_cpu import spend
from bench.measure.resp import Connection, encode
from bench.measure.servers import KINDS, Server, data_folder, running

TOTALS = (1, 2, 5, 10, 20, 30, 50, 75, 100, 126, 150, 200, 300, 510, 600)
ASKED = (1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 510, 600)
ENTITIES = 200
PIPELINE = 100
# The cost of an unwanted field to a client: about 15 ns to look up its name or step over it, and
# the bytes of its name and value.
SKIP_NANOSECONDS = 25.0


@dataclass(frozen=True)
class Cost:
    """The server's CPU for one command; asked = 0 stands for HGETALL."""

    fields: int
    asked: int
    layout: str
    nanoseconds: float


def measure(server: Server, rounds: int, seconds: float, totals: Iterable[int]) -> list[Cost]:
    """Return the median server CPU per command; commands of one size run in interleaved rounds."""
    costs: list[Cost] = []
    sender = Connection.tcp("127.0.0.1", server.port)
    limit = int(server.config("hash-max-listpack-entries"))
    for most, total in [(limit, n) for n in totals] + [(0, n) for n in totals if n <= limit]:
        # Small hash tables exist in practice: a single value of more than 64 bytes makes one.
        server.control.call("CONFIG", "SET", "hash-max-listpack-entries", most)
        layout = _fill(server.control, total)
        batches = {k: _batch(total, k) for k in (0, *(k for k in ASKED if k <= total))}
        sizes = {k: _reply_size(server.control, commands) for k, commands in batches.items()}
        samples: dict[int, list[float]] = {k: [] for k in batches}
        repeats = {
            k: _repeats(server, sender, commands, sizes[k], seconds)
            for k, commands in batches.items()
        }
        for _ in range(rounds):
            for k, commands in batches.items():
                cpu = spend(server, sender, b"".join(commands), sizes[k], repeats[k])
                samples[k].append(cpu / (repeats[k] * PIPELINE) * 1e9)
        costs += [Cost(total, k, layout, statistics.median(s)) for k, s in samples.items()]
    server.control.call("CONFIG", "SET", "hash-max-listpack-entries", limit)
    sender.close()
    return costs


def field(index: int) -> str:
    return f"feature_{index:03d}"


def _fill(control: Connection, total: int) -> str:
    control.call("FLUSHALL")
    chooser = random.Random(total)
    for entity in range(ENTITIES):
        values = [part for i in range(total) for part in (field(i), repr(chooser.random() * 100))]
        control.call("HSET", f"user:{{{entity}}}:v1", *values)
    return str(control.call("OBJECT", "ENCODING", "user:{0}:v1").decode())


def _batch(total: int, asked: int) -> list[bytes]:
    """Return a pipeline that asks for random fields in declared order, as a service does."""
    chooser = random.Random(asked)
    commands = []
    for _ in range(PIPELINE):
        key = f"user:{{{chooser.randrange(ENTITIES)}}}:v1"
        if asked == 0:
            commands.append(encode("HGETALL", key))
        else:
            chosen = sorted(chooser.sample(range(total), asked))
            commands.append(encode("HMGET", key, *map(field, chosen)))
    return commands


def _reply_size(control: Connection, commands: list[bytes]) -> int:
    replies = control.pipeline(commands)
    return sum(
        len(b"*%d\r\n" % len(row)) + sum(len(b"$%d\r\n" % len(v)) + len(v) + 2 for v in row)
        for row in replies
    )


def _repeats(
    server: Server, sender: Connection, commands: list[bytes], size: int, seconds: float
) -> int:
    payload = b"".join(commands)
    warm = max(spend(server, sender, payload, size, 5) / 5, 1e-6)
    return max(3, min(2000, round(seconds / warm)))


@dataclass(frozen=True)
class Model:
    """ns: HMGET = fixed + k x (ask + n x step); HGETALL = all_fixed + n x all_field."""

    layout: str
    fixed: float
    ask: float
    step: float
    all_fixed: float
    all_field: float
    worst_error: float


def fit(costs: list[Cost], layout: str) -> Model | None:
    """Fit by least squares on relative errors, so that small commands count as much as large."""
    some = [c for c in costs if c.layout == layout and c.asked]
    every = [c for c in costs if c.layout == layout and not c.asked]
    if len(every) < 2:
        return None
    searched = layout != "hashtable"
    rows = [[1.0, c.asked, c.asked * c.fields if searched else 0.0] for c in some]
    fixed, ask, step = _solve(rows, [c.nanoseconds for c in some])
    all_rows = [[1.0, c.fields] for c in every]
    all_fixed, all_field = _solve(all_rows, [c.nanoseconds for c in every])
    guesses = [fixed + k * ask + kn * step for _, k, kn in rows]
    guesses += [all_fixed + n * all_field for _, n in all_rows]
    worst = max(abs(g / c.nanoseconds - 1) for g, c in zip(guesses, some + every, strict=True))
    return Model(layout, fixed, ask, step, all_fixed, all_field, worst)


def _solve(rows: list[list[float]], answers: list[float]) -> list[float]:
    matrix, target = np.array(rows), np.array(answers)
    solution = np.linalg.lstsq(matrix / target[:, None], np.ones(len(target)), rcond=None)[0]
    return [float(part) for part in solution]


def crossover(costs: list[Cost], skip: float = SKIP_NANOSECONDS) -> float | None:
    """Return the k from which HGETALL is cheaper, the client's cost included; None if never."""
    every = next(c for c in costs if not c.asked)
    gains = [
        (c.asked, c.nanoseconds - every.nanoseconds - skip * every.fields) for c in costs if c.asked
    ]
    if gains[0][1] >= 0:
        return float(gains[0][0])
    for (k, gain), (next_k, next_gain) in pairwise(gains):
        if next_gain >= 0:
            return k + (next_k - k) * -gain / (next_gain - gain)
    return None


def table(costs: list[Cost]) -> str:
    """Return a table of the server's CPU in microseconds, a row per n, a column per k."""
    groups: dict[tuple[str, int], list[Cost]] = {}
    for cost in costs:
        groups.setdefault((cost.layout, cost.fields), []).append(cost)
    head = ["n", "encoding", "HGETALL", *(f"k={k}" for k in ASKED), "HGETALL from k", "k/n"]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for (layout, n), group in sorted(
        groups.items(), reverse=True, key=lambda g: (g[0][0], -g[0][1])
    ):
        known = {c.asked: f"{c.nanoseconds / 1000:.2f}" for c in group}
        cells = [str(n), layout, known[0], *(known.get(k, "") for k in ASKED)]
        turn = crossover(group)
        cells += ["never", ""] if turn is None else [f"{turn:.1f}", f"{turn / n:.2f}"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def run(kind: str, rounds: int, seconds: float, totals: Iterable[int] = TOTALS) -> str:
    with running(kind) as server:
        costs = measure(server, rounds, seconds, totals)
        title = f"{kind} {server.version}, listpack up to {_limit(server)} fields"
    layouts = sorted({c.layout for c in costs}, reverse=True)
    models = [m for m in (fit(costs, layout) for layout in layouts) if m]
    result = {
        "machine": describe(),
        "server": title,
        "costs": [asdict(c) for c in costs],
        "models": [asdict(m) for m in models],
    }
    (data_folder() / f"hash_plan_{kind}.json").write_text(json.dumps(result, indent=1))
    lines = [f"Server CPU per command, microseconds: {title}", "", table(costs), ""]
    lines += [
        f"{m.layout}: HMGET = {m.fixed:.0f} + k x ({m.ask:.0f} + {m.step:.2f} n) ns, "
        f"HGETALL = {m.all_fixed:.0f} + {m.all_field:.0f} n ns, "
        f"farthest point {m.worst_error:.0%} off"
        for m in models
    ]
    return "\n".join(lines)


def _limit(server: Server) -> str:
    return server.config("hash-max-listpack-entries")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.03, help="server CPU per sample")
    options = parser.parse_args()
    for kind in KINDS if options.server == "both" else (options.server,):
        print(run(kind, options.rounds, options.seconds), end="\n\n")


if __name__ == "__main__":
    main()
