"""Load an HTTP server with as many requests as it can answer, by wrk."""

from __future__ import annotations

import contextlib
import json
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure.servers import Server
from bench.peers import Unavailable
from bench.peers.contestants import Contestant, Request

# An answer's size varies with its digits, but the mean over many requests hardly varies.
SIZE_TOLERANCE = 0.02
IDLE_SECONDS = 60.0


@dataclass(frozen=True)
class Load:
    """One run's figures, from the load generator and from the processes' clocks."""

    rate: float
    p50_us: float
    p99_us: float
    server_cpu_us: float
    redis_cpu_us: float
    # CPU of the load generator itself.
    client_cpu_us: float
    not_ok: int
    broken: int
    request_bytes: float
    response_bytes: float

    @property
    def per_cpu_second(self) -> float:
        """Requests that one second of the server's CPU answers."""
        return 1e6 / self.server_cpu_us


def need_wrk() -> None:
    if shutil.which("wrk") is None:
        raise Unavailable("wrk is not installed: apt-get install wrk")


def ceiling(
    contestant: Contestant,
    redis: Server,
    requests: Sequence[Request],
    connections: int,
    seconds: int,
    size: float,
) -> Load:
    """Measure the most requests it can answer; `size` is the mean size of a right response.

    Exits if responses under load have another size, which shows that they are other answers.
    """
    server = contestant.server
    with written(requests) as file:
        _wrk(contestant, file, connections, 1)
        said, cpu, redis_cpu = _measured(contestant, redis, file, connections, seconds)
        if said["requests"] < connections:
            # A slow server: the requests under way at the end would distort so short a run.
            seconds *= 5
            said, cpu, redis_cpu = _measured(contestant, redis, file, connections, seconds)
    # A server without any answer counts as one with a single answer, so that nothing divides by 0.
    calls = max(said["requests"], 1)
    # An answer without its values, or with their statuses beside them, has another size.
    off = said["bytes"] / calls / size - 1
    if said["requests"] and not said["not_ok"] and abs(off) > SIZE_TOLERANCE:
        raise SystemExit(f"{server.name}'s answers under load differ in size by {off:.1%}: {said}")
    return Load(
        # A refusal is quick; only answers count.
        rate=(calls - said["not_ok"]) / said["seconds"],
        p50_us=said["p50_us"],
        p99_us=said["p99_us"],
        server_cpu_us=cpu / calls * 1e6,
        redis_cpu_us=redis_cpu / calls * 1e6,
        client_cpu_us=said["cpu_seconds"] / calls * 1e6,
        not_ok=said["not_ok"],
        broken=said["broken"],
        request_bytes=said["request_bytes"],
        response_bytes=said["bytes"] / calls,
    )


def driven(
    contestant: Contestant, requests: Sequence[Request], connections: int, seconds: int
) -> int:
    """Load the server while something else is measured; return how many requests it answered."""
    with written(requests) as file:
        return int(_wrk(contestant, file, connections, seconds)["requests"])


@contextlib.contextmanager
def written(requests: Sequence[Request]) -> Iterator[str]:
    """Write the requests to a file that wrk.lua and bench/measure/constant_rate read."""
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        file.write("".join("\t".join(request) + "\n" for request in requests))
        file.flush()
        yield file.name


def _measured(
    contestant: Contestant, redis: Server, requests: str, connections: int, seconds: int
) -> tuple[dict[str, Any], float, float]:
    """Run wrk; return its figures, and the CPU seconds of the server and of Redis."""
    _until_idle(contestant)
    cpu, redis_cpu = contestant.server.cpu_seconds(), redis.cpu_seconds()
    said = _wrk(contestant, requests, connections, seconds)
    return said, contestant.server.cpu_seconds() - cpu, redis.cpu_seconds() - redis_cpu


def _until_idle(contestant: Contestant) -> None:
    """Wait until the server is done with requests whose sender has gone."""
    before = -1.0
    deadline = time.monotonic() + IDLE_SECONDS
    while (now := contestant.server.cpu_seconds()) - before > 0.03:
        if time.monotonic() > deadline:
            raise SystemExit(f"{contestant.name} is still busy {IDLE_SECONDS:g} s after its load")
        before = now
        time.sleep(0.2)


def _wrk(contestant: Contestant, requests: str, connections: int, seconds: int) -> dict[str, Any]:
    script = str(Path(__file__).parent / "wrk.lua")
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", script,
        f"http://127.0.0.1:{contestant.server.port}", "--", requests,
    ]  # fmt: skip
    before = _children_cpu()
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 60)
    cpu = _children_cpu() - before
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        raise SystemExit(f"wrk failed against {contestant.name}: {done.stderr or done.stdout}")
    said: dict[str, Any] = json.loads(lines[-1])
    return said | {"cpu_seconds": cpu}


def _children_cpu() -> float:
    """Return the CPU seconds of child processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
