"""Show where the CPU of a plain read goes in `fscore serve`: `python -m bench.suites.profile`.

wrk loads the server as in bench.suites.http. Runs without perf give the CPU of a request, a run
under perf gives the share of each stage, and another one counts the system calls. Bare servers in
Rust are measured beside it: no server can spend less in the kernel than they do.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from bench.measure import build, definitions, perf, report, stages
from bench.measure.load import Load, ceiling, driven, need_wrk
from bench.measure.servers import KINDS, Server, data_folder, running
from bench.measure.workload import Layout, Workload, fill
from bench.peers import Unavailable
from bench.peers import contestants as who
from bench.peers.contestants import Contestant, Request
from bench.suites.http import BAR_CONNECTIONS, DEADLINE_MS, Bars

# The load starts this long before the samples are taken, and ends this long after.
MARGIN_SECONDS = 0.5
FLAME = "profile.svg"
TIMES = "\N{MULTIPLICATION SIGN}"

Shape = tuple[int, int, Layout]
SHAPES: tuple[Shape, ...] = ((1, 10, "hash"), (1, 10, "packed"), (100, 50, "packed"))


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rounds: int = 3
    seconds: int = 2
    sampled: int = 5
    shapes: tuple[Shape, ...] = SHAPES


@dataclass(frozen=True)
class Profile:
    """A server under one load. Shares are parts of 1; calls and bytes are per request."""

    server: str
    loads: list[Load]
    samples: int
    stages: dict[str, float]
    shares: dict[str, float]
    calls: dict[str, float]
    # Received from Redis, and sent to it.
    redis_bytes: tuple[float, float]


@dataclass(frozen=True)
class Case:
    """One shape of request: profiles of fscore, and of the bare server if there is one."""

    title: str
    size: str
    profiles: list[Profile]


def run(options: Options) -> tuple[str, Bars]:
    try:
        need_wrk()
        perf.need_perf()
        build.flamegraph()
        environment = build.with_symbols()
    except Unavailable as reason:
        return f"Left out: {reason}", []
    widths = sorted({features for _, features, _ in options.shapes})
    cases: list[Case] = []
    with running(options.kind) as redis, contextlib.ExitStack() as stack:
        for width in widths:
            fill(redis, width)
            fill(redis, width, "packed")
        definitions.apply(redis, widths, layouts=("hash", "packed"))
        title = f"Profile: {redis.kind} {redis.version}, wrk with 1 thread"
        servers, absent = who.started(
            redis, widths, ["fscore", "rust"], stack, 1, DEADLINE_MS, environment
        )
        for shape in options.shapes:
            found = [each for each in servers if each.layout == shape[2]]
            cases.append(_case(redis, found, shape, options, first=not cases))
    data = {
        "options": asdict(options),
        "absent": absent,
        "cases": [asdict(case) for case in cases],
    }
    return report.save("profile", title, data, _text(cases, absent, options)), []


def _case(
    redis: Server, servers: Sequence[Contestant], shape: Shape, options: Options, *, first: bool
) -> Case:
    entities, features, layout = shape
    size = f"{entities} {TIMES} {features}"
    title = f"{size} packed" if layout == "packed" else size
    workload = Workload(entities, features, features)
    sizes = who.compare(servers, workload)
    requests = {each.name: each.requests(workload) for each in servers}
    loads: dict[str, list[Load]] = {each.name: [] for each in servers}
    for _ in range(options.rounds):
        for each in servers:
            loads[each.name].append(
                ceiling(each, redis, requests[each.name], BAR_CONNECTIONS, options.seconds,
                        sizes[each.name])
            )  # fmt: skip
    profiles = []
    for each in servers:
        calls, redis_bytes = _counted(redis, each, requests[each.name], options.seconds)
        samples = _sampled(each, requests[each.name], options.sampled)
        if each.name in (who.FSCORE, who.FSCORE_PACKED):
            name = FLAME if first else f"profile-{entities}x{features}-{layout}.svg"
            heading = f"{who.FSCORE}, {title}, {BAR_CONNECTIONS} connections"
            perf.draw(samples, heading, data_folder() / name)
        found = Counter(map(stages.stage, samples))
        others = Counter(share for stack in samples for share in stages.shares(stack))
        profiles.append(
            Profile(
                server=each.name,
                loads=loads[each.name],
                samples=len(samples),
                stages={name: found[name] / len(samples) for name in stages.STAGES},
                shares={name: others[name] / len(samples) for name in stages.SHARES},
                calls=calls,
                redis_bytes=redis_bytes,
            )
        )
    return Case(title, size, profiles)


def _counted(
    redis: Server, contestant: Contestant, requests: Sequence[Request], seconds: int
) -> tuple[dict[str, float], tuple[float, float]]:
    """Return system calls of a request, and bytes that the server gets from Redis and sends it."""
    names = ("total_net_output_bytes", "total_net_input_bytes")
    before = redis.info("stats")
    with perf.counting(contestant.server.pid) as calls:
        time.sleep(MARGIN_SECONDS)
        answered = driven(contestant, requests, BAR_CONNECTIONS, seconds)
    after = redis.info("stats")
    received, sent = ((int(after[name]) - int(before[name])) / answered for name in names)
    return {name: count / answered for name, count in calls.counts.items()}, (received, sent)


def _sampled(
    contestant: Contestant, requests: Sequence[Request], seconds: int
) -> list[stages.Stack]:
    whole = seconds + round(2 * MARGIN_SECONDS)
    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(driven, contestant, requests, BAR_CONNECTIONS, whole)
        time.sleep(MARGIN_SECONDS)
        samples = perf.samples(contestant.server.pid, seconds)
        load.result()
    if not samples:
        raise SystemExit(f"perf found {contestant.name} in no stack at all")
    return samples


def stage_table(cases: Sequence[dict[str, Any]]) -> str:
    """Return a table of each stage's microseconds and share, from saved results."""
    shown = [(case["title"], case["profiles"][0]) for case in cases]
    head = ["stage"]
    for title, _ in shown:
        head += [f"{title}, µs", "%"]
    rows = []
    for kind, names in (("stages", stages.STAGES), ("shares", stages.SHARES)):
        for name in names:
            row: list[object] = [name]
            for _, profile in shown:
                share = profile[kind][name]
                row += [_cpu(profile) * share, f"{100 * share:.1f}"]
            rows.append(row)
            if name == stages.OTHER:
                rows.append(["all", *(x for _, p in shown for x in (_cpu(p), "100"))])
    return report.table(head, rows)


def server_table(cases: Sequence[dict[str, Any]]) -> str:
    """Return a table of what a request costs the server, Redis and the load generator."""
    head = (
        "", "requests/s", "server CPU µs", "in the kernel µs", "Redis CPU µs", "wrk CPU µs",
        "read", "write", "epoll_wait", "other calls", "bytes in", "out", "from Redis", "to Redis",
    )  # fmt: skip
    rows = []
    for case in cases:
        for profile in case["profiles"]:
            kernel = sum(share for name, share in profile["stages"].items() if "kernel" in name)
            row: list[object] = [f"{profile['server']}, {case['size']}", _middle(profile, "rate")]
            row += [_cpu(profile), _cpu(profile) * kernel]
            row += [_middle(profile, "redis_cpu_us"), _middle(profile, "client_cpu_us")]
            row += [f"{count:.3f}" for count in profile["calls"].values()]
            row += [_middle(profile, "request_bytes"), _middle(profile, "response_bytes")]
            rows.append([*row, *profile["redis_bytes"]])
    return report.table(head, rows)


def limit_table(cases: Sequence[dict[str, Any]], cores: int) -> str:
    """Return a table of the requests that these cores can answer, now and at best.

    At best means that the server spends only its kernel part. Neither the server nor Redis nor wrk
    can use more than one core.
    """
    head = ("", "requests/s", "CPU of all µs", "at most", "server in kernel only", "at most")
    rows = []
    for case in cases:
        for profile in case["profiles"]:
            kernel = sum(share for name, share in profile["stages"].items() if "kernel" in name)
            others = [_middle(profile, figure) for figure in ("redis_cpu_us", "client_cpu_us")]
            row: list[object] = [f"{profile['server']}, {case['size']}", _middle(profile, "rate")]
            for server in (_cpu(profile), _cpu(profile) * kernel):
                spent = [server, *others]
                row += [sum(spent), min(cores * 1e6 / sum(spent), 1e6 / max(spent))]
            rows.append(row)
    return report.table(head, rows)


def _text(cases: Sequence[Case], absent: dict[str, str], options: Options) -> str:
    plain = [asdict(case) for case in cases]
    counts = ", ".join(str(case.profiles[0].samples) for case in cases)
    parts = [
        f"{BAR_CONNECTIONS} connections; CPU is the median of {options.rounds} rounds of "
        f"{options.seconds} s without perf, shares are of the samples of {options.sampled} s "
        f"({counts}), {perf.FREQUENCY} a second of the server's CPU."
    ]
    parts += [f"Left out: {name}: {reason}" for name, reason in absent.items()]
    parts += [f"![Flame graph]({FLAME})", stage_table(plain)]
    parts.append(f"### Everybody's part in a request\n\n{server_table(plain)}")
    parts.append(f"### The limit\n\n{limit_table(plain, os.cpu_count() or 1)}")
    return "\n\n".join(parts)


def _cpu(profile: dict[str, Any]) -> float:
    return _middle(profile, "server_cpu_us")


def _middle(profile: dict[str, Any], figure: str) -> float:
    return statistics.median(load[figure] for load in profile["loads"])


def shape(text: str) -> Shape:
    size, _, layout = text.partition(":")
    entities, _, features = size.partition("x")
    if layout not in ("", "hash", "packed"):
        raise ValueError(layout)
    return int(entities), int(features), "packed" if layout == "packed" else "hash"


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.profile", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=int, default=Options.seconds)
    parser.add_argument("--sampled", type=int, default=Options.sampled,
                        metavar="SECONDS", help="of the run under perf")  # fmt: skip
    parser.add_argument("--shapes", type=shape, nargs="+", default=list(SHAPES),
                        metavar="ENTITIESxFEATURES[:packed]")  # fmt: skip
    given = parser.parse_args(argv)
    return Options(given.server, given.rounds, given.seconds, given.sampled, tuple(given.shapes))


if __name__ == "__main__":
    print(run(parse())[0])
