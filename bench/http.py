"""`fscore serve` against Starlette + redis.asyncio under wrk: `python -m bench.http`.

Both servers read the same Redis and answer the same requests, with the same JSON, which is checked
first. They are loaded one after the other, in rounds; everything shares the machine's cores.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench import definitions, report
from bench.process import HttpServer, serving
from bench.servers import KINDS, Server, free_port, running
from bench.timing import median_ratio
from bench.workload import Workload, fill

OURS = "fscore serve"
PEER = "Starlette + redis.asyncio"
ENTITIES = (1, 10)
FEATURES = 10
BAR = 2.5
# An answer's size varies with its digits, but its mean over the same requests hardly does.
SIZE_TOLERANCE = 0.02


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rounds: int = 3
    seconds: int = 3
    connections: tuple[int, ...] = (32, 128)
    stored: int = FEATURES


@dataclass(frozen=True)
class Load:
    """What wrk and the processes' clocks said of one run."""

    rate: float
    p50_us: float
    p99_us: float
    server_cpu_us: float
    redis_cpu_us: float
    not_ok: int
    broken: int


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    results: dict[tuple[int, int], dict[str, list[Load]]] = {}
    with running(options.kind) as redis:
        _prepare(redis, options)
        title = f"HTTP: {redis.kind} {redis.version}, wrk with 1 thread"
        with _fscore(redis) as ours, _peer(redis, options) as peer:
            for entities in ENTITIES:
                workload = Workload(entities, FEATURES, options.stored)
                requests = _requests(workload)
                size = _compare(requests, ours, peer)
                for connections in options.connections:
                    loads: dict[str, list[Load]] = {OURS: [], PEER: []}
                    for _ in range(options.rounds):
                        for server in (ours, peer):
                            load = _load(server, redis, requests, connections, options, size)
                            loads[server.name].append(load)
                    results[entities, connections] = loads
            late = _unavailable(ours)
    bars = [
        report.bar(
            f"{entities} x {FEATURES}, {connections} connections: requests/s over the peer",
            _rate_ratio(loads),
            BAR,
            "x",
            at_most=False,
        )
        for (entities, connections), loads in results.items()
    ]
    data = {
        "options": asdict(options),
        "bars": bars,
        "fscore_values_unavailable": late,
        "loads": [
            {"entities": entities, "connections": connections, "server": name, "rounds": runs}
            for (entities, connections), loads in results.items()
            for name, runs in ((n, [asdict(load) for load in some]) for n, some in loads.items())
        ],
    }
    return report.save("http", title, data, _text(results, bars, late, options)), bars


def _prepare(redis: Server, options: Options) -> None:
    fill(redis, options.stored)
    definitions.apply(redis, [options.stored], asked=FEATURES)


def _fscore(redis: Server) -> Any:
    port = free_port()
    command = [sys.executable, "-m", "fscore_server.cli", "serve", "--port", str(port)]
    return serving(OURS, [*command, "--redis-url", redis.url()], port, "/health/ready")


def _peer(redis: Server, options: Options) -> Any:
    port = free_port()
    command = [
        sys.executable, "-m", "bench.peers.starlette_redis", "--redis-url", redis.url(),
        "--port", str(port), "--features", str(FEATURES), "--stored", str(options.stored),
    ]  # fmt: skip
    workload = Workload(1, FEATURES, options.stored)
    return serving(PEER, command, port, _get(workload, 0))


def _get(workload: Workload, identifier: int) -> str:
    service = f"{definitions.SERVICE}{workload.stored}"
    return f"/v1/features?{workload.entity}_id={identifier}&service={service}"


def _requests(workload: Workload) -> list[tuple[str, str, str]]:
    """Method, path and body: GET for one entity, POST for several."""
    batches = [ids for _ in range(4) for ids in workload.batches()]
    if workload.entities == 1:
        return [("GET", _get(workload, identifier), "") for (identifier,) in batches]
    service = f"{definitions.SERVICE}{workload.stored}"
    join_key = f"{workload.entity}_id"
    bodies = [{"service": service, "entities": {join_key: ids}} for ids in batches]
    return [("POST", "/v1/features", json.dumps(body, separators=(",", ":"))) for body in bodies]


def _compare(
    requests: list[tuple[str, str, str]], ours: HttpServer, peer: HttpServer
) -> dict[str, float]:
    """Both servers' answers must be equal; returns the mean size of each one's responses."""
    sizes: dict[str, float] = {ours.name: 0.0, peer.name: 0.0}
    for request in requests:
        answers = []
        for server in (ours, peer):
            status, body, size = server.ask(*request)
            if status != 200:
                raise SystemExit(
                    f"{server.name} answers {request[1]} with {status}: {body[:300]!r}"
                )
            answers.append(json.loads(body))
            sizes[server.name] += size / len(requests)
        if answers[0] != answers[1]:
            raise SystemExit(f"the servers' answers to {request} differ: {answers}")
    return sizes


def _load(
    server: HttpServer,
    redis: Server,
    requests: list[tuple[str, str, str]],
    connections: int,
    options: Options,
    sizes: dict[str, float],
) -> Load:
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.write("".join("\t".join(request) + "\n" for request in requests))
        file.flush()
        _wrk(server, file.name, connections, 1)
        cpu, redis_cpu = server.cpu_seconds(), redis.cpu_seconds()
        said = _wrk(server, file.name, connections, options.seconds)
        cpu, redis_cpu = server.cpu_seconds() - cpu, redis.cpu_seconds() - redis_cpu
    calls = said["requests"]
    # An answer without its values, or with their statuses beside them, has another size.
    off = said["bytes"] / calls / sizes[server.name] - 1
    if not said["not_ok"] and abs(off) > SIZE_TOLERANCE:
        raise SystemExit(f"{server.name}'s answers under load differ in size by {off:.1%}: {said}")
    return Load(
        # A refusal is quick; only answers count.
        rate=(calls - said["not_ok"]) / said["seconds"],
        p50_us=said["p50_us"],
        p99_us=said["p99_us"],
        server_cpu_us=cpu / calls * 1e6,
        redis_cpu_us=redis_cpu / calls * 1e6,
        not_ok=said["not_ok"],
        broken=said["broken"],
    )


def _wrk(server: HttpServer, requests: str, connections: int, seconds: int) -> dict[str, Any]:
    script = str(Path(__file__).parent / "wrk.lua")
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
        f"http://127.0.0.1:{server.port}", "--", requests,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 30)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise SystemExit(f"wrk failed against {server.name}: {done.stderr or done.stdout}")
    said: dict[str, Any] = json.loads(lines[-1])
    return said


def _unavailable(ours: HttpServer) -> int:
    """How many values fscore could not read by their deadline, by its own count."""
    _, text, _ = ours.ask("GET", "/metrics")
    lines = [
        line
        for line in text.decode().splitlines()
        if line.startswith("fscore_feature_values_total{") and 'status="unavailable"' in line
    ]
    return sum(round(float(line.rsplit(" ", 1)[1])) for line in lines)


def _rate_ratio(loads: dict[str, list[Load]]) -> float:
    return median_ratio(*([load.rate for load in loads[name]] for name in (OURS, PEER)))


def _text(
    results: dict[tuple[int, int], dict[str, list[Load]]],
    bars: list[dict[str, Any]],
    late: int,
    options: Options,
) -> str:
    parts = [
        f"{options.rounds} interleaved rounds of {options.seconds} s; medians over rounds; "
        f"{FEATURES} features of {options.stored} in each hash; each server is one process, and "
        "the server, Redis and wrk share the machine. fscore has its default deadline of 50 ms, "
        f"after which {late} of its values were UNAVAILABLE over all runs; the peer has none."
    ]
    head = (
        "", "requests/s", "p50 ms", "p99 ms", "server CPU µs", "Redis CPU µs", "not 2xx", "broken",
    )  # fmt: skip
    for (entities, connections), loads in results.items():
        rows = [_row(name, some) for name, some in loads.items()]
        table = report.table(head, rows)
        title = f"{entities} x {FEATURES}, {connections} connections"
        parts.append(f"### {title}: {_rate_ratio(loads):.2f} x the peer's requests/s\n\n{table}")
    parts.append(f"### Bars\n\n{report.bars_table(bars)}")
    return "\n\n".join(parts)


def _row(name: str, loads: list[Load]) -> list[object]:
    def middle(figure: str, scale: float = 1.0) -> float:
        return sorted(getattr(load, figure) * scale for load in loads)[len(loads) // 2]

    return [
        name,
        middle("rate"),
        middle("p50_us", 1e-3),
        middle("p99_us", 1e-3),
        middle("server_cpu_us"),
        middle("redis_cpu_us"),
        sum(load.not_ok for load in loads),
        sum(load.broken for load in loads),
    ]


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.http", description=__doc__)
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=int, default=Options.seconds)
    parser.add_argument("--connections", type=int, nargs="+", default=list(Options.connections))
    parser.add_argument("--stored", type=int, default=FEATURES, help="features in each hash")
    given = parser.parse_args(argv)
    return Options(
        given.server, given.rounds, given.seconds, tuple(given.connections), given.stored
    )


if __name__ == "__main__":
    print(run(parse())[0])
