"""Latency at constant rates of one entity's features over HTTP: `python -m bench.suites.rates`.

GETs are sent at equal intervals, and each latency counts from the time when its request was due. So
a pause of the server also delays the requests that should have been sent meanwhile (coordinated
omission). The report also shows how late the load generator itself was, because the server is not
to blame if the machine gives the generator no core. If a server cannot keep up with a rate, the
report shows the rate that it answered; its latencies then only say how long it was overloaded.
"""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure import build, definitions, report
from bench.measure.servers import KINDS, running
from bench.measure.steady import GENERATORS, Pace, Steady, steady
from bench.measure.workload import Workload, fill
from bench.peers import Unavailable
from bench.peers import contestants as who

FEATURES = 10
RATES = (5_000, 10_000, 20_000, 30_000)
BAR_RATE = 20_000
BARS = (("p50", 1), ("p99", 5), ("p999", 10))
# Packed rows of one entity hardly differ from hashes, so they are left out of each group.
DEFAULT = ("fscore", "go-redis", "rueidis", "rust")
LEFT_OUT = (who.FSCORE_PACKED, who.RUST_PACKED, who.GO_REDIS["packed"], who.RUEIDIS["packed"])
KEPT_UP = 0.99


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rates: tuple[int, ...] = RATES
    seconds: float = 10
    # For how many seconds fscore is loaded at the rate that the bars are about.
    bar_seconds: float = 60
    connections: int = 128
    contestants: tuple[str, ...] = DEFAULT
    workers: int = 1
    generator: str = "constant-rate"


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    try:
        build.oha() if options.generator == "oha" else build.constant_rate()
    except Unavailable as reason:
        return f"Left out: {reason}", []
    workload = Workload(1, FEATURES, FEATURES)
    found: dict[str, list[Steady]] = {}
    with running(options.kind) as redis, contextlib.ExitStack() as stack:
        fill(redis, FEATURES)
        fill(redis, FEATURES, "packed")
        definitions.apply(redis, [FEATURES], layouts=("hash", "packed"))
        servers, absent = who.started(
            redis, [FEATURES], options.contestants, stack, options.workers
        )
        who.compare(servers, workload)
        chosen = [each for each in servers if each.name not in LEFT_OUT and each.feast is None]
        for rate in options.rates:
            for each in chosen:
                barred = each.name == who.FSCORE and rate == BAR_RATE
                seconds = options.bar_seconds if barred else options.seconds
                pace = Pace(rate, options.connections, seconds)
                run = steady(options.generator, each, each.requests(workload), pace)
                found.setdefault(each.name, []).append(run)
        title = f"Latency at constant rates: {redis.kind} {redis.version}, {options.generator}"
    bars = _bars(found)
    data = {
        "options": asdict(options),
        "absent": absent,
        "bars": bars,
        "runs": {name: [asdict(one) for one in runs] for name, runs in found.items()},
    }
    return report.save("rates", title, data, _text(found, bars, absent, options)), bars


def _bars(found: dict[str, list[Steady]]) -> list[dict[str, Any]]:
    return [
        report.bar(f"{BAR_RATE:,} requests/s, 1 x {FEATURES}: {figure.replace('999', '99.9')}",
                   getattr(one, figure), limit, "ms", at_most=True)
        for one in found.get(who.FSCORE, [])
        if one.asked == BAR_RATE
        for figure, limit in BARS
    ]  # fmt: skip


def _text(
    found: dict[str, list[Steady]],
    bars: list[dict[str, Any]],
    absent: dict[str, str],
    options: Options,
) -> str:
    parts = [
        f"1 x {FEATURES}, {options.connections} connections, {options.seconds:g} s a run "
        f"({options.bar_seconds:g} s of fscore at {BAR_RATE:,}); latencies from when each request "
        "was due, ms. Server, Redis and load generator share the machine."
    ]
    parts += [f"Left out: {name}: {reason}" for name, reason in absent.items()]
    head = (
        *("", "asked/s", "answered/s", "p50", "p90", "p99", "p99.9", "longest"),
        *("generator late, p99.9", "longest", "server CPU µs", "failed"),
    )
    rows: list[list[object]] = []
    for name, runs in found.items():
        for one in runs:
            behind = "" if one.rate >= KEPT_UP * one.asked else " (behind)"
            row = [name + behind, one.asked, one.rate, one.p50, one.p90, one.p99, one.p999]
            row += [one.longest, one.late_p999, one.late_longest, one.server_cpu_us, one.not_ok]
            rows.append(row)
    parts.append(report.table(head, rows))
    if bars:
        parts.append(f"### Bars\n\n{report.bars_table(bars)}")
    return "\n\n".join(parts)


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.rates", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--rates", type=int, nargs="+", default=list(RATES))
    parser.add_argument("--seconds", type=float, default=Options.seconds)
    parser.add_argument("--bar-seconds", type=float, default=Options.bar_seconds)
    parser.add_argument("--connections", type=int, default=Options.connections)
    parser.add_argument("--contestants", choices=who.GROUPS, nargs="+", default=list(DEFAULT))
    parser.add_argument("--workers", type=int, default=1, help="processes of fscore")
    parser.add_argument("--generator", choices=GENERATORS, default=Options.generator)
    given = parser.parse_args(argv)
    return Options(
        given.server, tuple(given.rates), given.seconds, given.bar_seconds, given.connections,
        tuple(given.contestants), given.workers, given.generator,
    )  # fmt: skip


if __name__ == "__main__":
    print(run(parse())[0])
