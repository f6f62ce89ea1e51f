"""Compare a read of one entity by direct import over a unix socket with a client in C.

`python -m bench.suites.roundtrip`. The C client (bench/peers/hiredis_client.c) sends the command
that fscore sends, and hiredis parses the reply; nothing is converted. fscore's call goes on to a
NumPy matrix with a status for each value. The difference is the cost of fscore.
"""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import build, definitions, report, timing
from bench.measure.resp import commands_of
from bench.measure.servers import KINDS, Server, running
from bench.measure.tap import Exchange, tapped
from bench.measure.timing import median_difference
from bench.measure.workload import Workload, fill
from bench.peers import Blocking, Unavailable
from bench.peers.blocking import Floor, RedisPy
from bench.peers.fscore_clients import FscoreBlocking

FEATURES = 10
C_CLIENT = "hiredis in C"
BAR_US = 15


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rounds: int = 9
    seconds: float = 0.3


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    workload = Workload(1, FEATURES, FEATURES)
    title = "Round trip over a unix socket"
    try:
        program = build.c_program("hiredis_client")
    except Unavailable as reason:
        return f"Left out: {C_CLIENT}: {reason}", []
    with running(options.kind) as server:
        fill(server, FEATURES)
        definitions.apply(server, [FEATURES])
        exchange = _watched(server, workload)
        lines = _lines(exchange, workload)
        _check(program, server, lines, workload)
        clients: list[Blocking] = [
            FscoreBlocking(server, workload, "unix"),
            Floor(server, exchange, "unix"),
            RedisPy(server, workload, "unix"),
        ]
        for ids in workload.batches():
            for each in (clients[0], clients[2]):
                if not np.array_equal(np.asarray(each(ids)), workload.expected(ids)):
                    raise SystemExit(f"{each.name} answers {workload.name} wrongly")
        p50: dict[str, list[float]] = {name: [] for name in (C_CLIENT, *(x.name for x in clients))}
        p99: dict[str, list[float]] = {name: [] for name in p50}
        for _ in range(options.rounds):
            for name, (middle, high) in _round(program, server, lines, clients, workload, options):
                p50[name].append(middle)
                p99[name].append(high)
        for each in clients:
            each.close()
        title = f"{title}: {server.kind} {server.version}"
    above = median_difference(p50[FscoreBlocking.name], p50[C_CLIENT])
    what = f"unix socket, {workload.name}: p50 above {C_CLIENT}"
    bars = [report.bar(what, above, BAR_US, "µs", at_most=True)]
    rows = [
        (name, *(float(np.median(figure[name])) for figure in (p50, p99)),
         median_difference(p50[name], p50[C_CLIENT]))
        for name in p50
    ]  # fmt: skip
    table = report.table(("", "p50 µs", "p99 µs", f"p50 above {C_CLIENT}"), rows)
    text = (
        f"{options.rounds} interleaved rounds of {options.seconds:g} s; {workload.name}; all but "
        f"{RedisPy.name} send {lines[0].split(chr(9), 1)[0]}.\n\n{table}\n\n"
        f"### Bars\n\n{report.bars_table(bars)}"
    )
    data = {"options": asdict(options), "bars": bars, "p50": p50, "p99": p99}
    return report.save("roundtrip", title, data, text), bars


def _watched(server: Server, workload: Workload) -> Exchange:
    with tapped(server.path) as tap:
        watched = FscoreBlocking(server, workload, "unix", url=f"unix://{tap.path}")
        exchange = tap.record(workload.batches(), watched)
        watched.close()
    return exchange


def _lines(exchange: Exchange, workload: Workload) -> list[str]:
    """Return each batch's command as a line, with its arguments separated by tabs."""
    lines = []
    for ids in workload.batches():
        (command,) = commands_of(exchange.calls[tuple(ids)][0])
        lines.append("\t".join(argument.decode() for argument in command))
    return lines


def _check(program: Path, server: Server, lines: list[str], workload: Workload) -> None:
    """Check that the values are among the reply's elements, in order."""
    said = _ask(program, server, lines, 0).splitlines()
    for ids, line in zip(workload.batches(), said, strict=True):
        wanted = [repr(value) for value in workload.expected(ids)[0].tolist()]
        found = [element for element in line.split("\t") if element in set(wanted)]
        if found != wanted:
            raise SystemExit(f"{C_CLIENT} answers {workload.name} wrongly: {line}")


def _round(
    program: Path,
    server: Server,
    lines: list[str],
    clients: Sequence[Blocking],
    workload: Workload,
    options: Options,
) -> list[tuple[str, tuple[float, float]]]:
    """Time all contestants one after the other; return p50 and p99 of each in microseconds."""
    _, *nanoseconds = map(float, _ask(program, server, lines, options.seconds).split())
    found = [(C_CLIENT, (nanoseconds[0] / 1000, nanoseconds[1] / 1000))]
    for each in clients:
        sample = timing.time_blocking(each, workload.endless(), options.seconds, server)
        found.append((each.name, (sample.p50, sample.p99)))
    return found


def _ask(program: Path, server: Server, lines: list[str], seconds: float) -> str:
    command = [str(program), server.path, f"{seconds:g}"]
    text = "\n".join(lines) + "\n"
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=60 + seconds)
    if done.returncode:
        raise SystemExit(f"{C_CLIENT} failed: {done.stderr}")
    return done.stdout


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.roundtrip", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="per contestant")
    given = parser.parse_args(argv)
    return Options(given.server, given.rounds, given.seconds)


if __name__ == "__main__":
    print(run(parse())[0])
