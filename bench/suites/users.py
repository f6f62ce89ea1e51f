"""Load `fscore serve` by locust, 100 users to 1,000 and back: `python -m bench.suites.users`.

Each user asks about once a second, mostly for one entity, otherwise for ten (see
bench/measure/locustfile.py). Locust is written in Python and shares the machine, so its latencies
include its own waiting.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.measure import build, definitions, report
from bench.measure.servers import KINDS, running
from bench.measure.workload import POPULATION, Workload, fill
from bench.peers import Unavailable
from bench.peers import contestants as who

FEATURES = 10
BAR_MS = 8


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    seconds: float = 45
    workers: int = 1


@dataclass(frozen=True)
class Row:
    """Locust's figures for one kind of request; times are in milliseconds."""

    name: str
    requests: int
    failures: int
    rate: float
    p50: float
    p95: float
    p99: float


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    try:
        locust = build.virtualenv("locust") / "locust"
    except Unavailable as reason:
        return f"Left out: locust: {reason}", []
    workload = Workload(1, FEATURES, FEATURES)
    with running(options.kind) as redis, contextlib.ExitStack() as stack:
        fill(redis, FEATURES)
        fill(redis, FEATURES, "packed")
        definitions.apply(redis, [FEATURES], layouts=("hash", "packed"))
        servers, _ = who.started(redis, [FEATURES], ["fscore"], stack, options.workers)
        who.compare(servers, workload)
        rows = _locust(locust, servers[0], workload, options)
        title = f"Users: {redis.kind} {redis.version}, locust"
    total = rows[-1]
    bars = [
        report.bar("100 to 1,000 users and back: p95", total.p95, BAR_MS, "ms", at_most=True),
        report.bar("100 to 1,000 users and back: failures", total.failures, 0, "", at_most=True),
    ]
    head = ("", "requests", "failures", "requests/s", "p50 ms", "p95 ms", "p99 ms")
    table = report.table(head, [tuple(asdict(row).values()) for row in rows])
    text = (
        f"{options.seconds:g} s up and down, about one request a second from each user.\n\n"
        f"{table}\n\n### Bars\n\n{report.bars_table(bars)}"
    )
    data = {"options": asdict(options), "bars": bars, "rows": [asdict(row) for row in rows]}
    return report.save("users", title, data, text), bars


def _locust(
    locust: Path, server: who.Contestant, workload: Workload, options: Options
) -> list[Row]:
    environment = {
        "BENCH_JOIN_KEY": workload.join_key,
        "BENCH_SERVICE": workload.service,
        "BENCH_POPULATION": str(POPULATION),
        "BENCH_SECONDS": str(options.seconds),
    }
    with tempfile.TemporaryDirectory(prefix="fscore-locust-") as folder:
        command = [
            str(locust), "-f", str(Path(__file__).parents[1] / "measure" / "locustfile.py"),
            "--headless",
            "--host", f"http://127.0.0.1:{server.server.port}", "--csv", f"{folder}/run",
            "--only-summary", "--exit-code-on-error", "0",
        ]  # fmt: skip
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            env=os.environ | environment,
            timeout=options.seconds + 60,
        )
        if done.returncode:
            raise SystemExit(f"locust failed: {done.stderr[-600:]}")
        with open(f"{folder}/run_stats.csv", newline="") as file:
            return [_row(line) for line in csv.DictReader(file)]


def _row(line: dict[str, str]) -> Row:
    return Row(
        line["Name"],
        int(line["Request Count"]),
        int(line["Failure Count"]),
        float(line["Requests/s"]),
        *(float(line[column]) for column in ("50%", "95%", "99%")),
    )


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.users", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--seconds", type=float, default=Options.seconds)
    parser.add_argument("--workers", type=int, default=1, help="processes of fscore")
    given = parser.parse_args(argv)
    return Options(given.server, given.seconds, given.workers)


if __name__ == "__main__":
    print(run(parse())[0])
