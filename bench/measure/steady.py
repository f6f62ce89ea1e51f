"""Load an HTTP server at a constant rate, and measure the latencies of its answers.

Each latency counts from the time when its request was due. So a pause of the server also delays the
requests that should have been sent meanwhile (coordinated omission). The generator is
bench/measure/constant_rate; oha, which is well known, is there to compare with.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.measure import build
from bench.measure.load import written
from bench.peers.contestants import Contestant, Request

WARMUP_SECONDS = 1.0
# Allowed beyond a run's length: for connecting, warming up, and waiting for the last answers.
SPARE_SECONDS = 60.0


@dataclass(frozen=True)
class Pace:
    """How fast, over how many connections, and for how long requests are sent."""

    rate: int
    connections: int
    seconds: float


@dataclass(frozen=True)
class Steady:
    """Latencies in milliseconds at a constant rate, each counted from when its request was due."""

    asked: float
    rate: float
    p50: float
    p90: float
    p99: float
    p999: float
    longest: float
    # How late the generator itself sent requests: p99.9 and maximum; None if it does not say.
    late_p999: float | None
    late_longest: float | None
    server_cpu_us: float
    not_ok: int


def steady(
    generator: str, contestant: Contestant, requests: Sequence[Request], pace: Pace
) -> Steady:
    """Send each request when it is due, whether or not the ones before it are answered."""
    return GENERATORS[generator](contestant, requests, pace)


def _constant_rate(contestant: Contestant, requests: Sequence[Request], pace: Pace) -> Steady:
    server = contestant.server
    with written(requests) as file:
        command = [
            str(build.constant_rate()), "--address", f"127.0.0.1:{server.port}",
            "--requests", file, "--rate", str(pace.rate), "--connections", str(pace.connections),
            "--seconds", f"{pace.seconds:g}", "--warmup", f"{WARMUP_SECONDS:g}",
        ]  # fmt: skip
        cpu = server.cpu_seconds()
        said = _run(command, pace.seconds, contestant)
        cpu = server.cpu_seconds() - cpu
    latency, lateness = said["latency_ms"], said["lateness_ms"]
    requests_in_all = said["answered"] + said["not_ok"] + pace.rate * WARMUP_SECONDS
    return Steady(
        asked=pace.rate,
        rate=said["rate"],
        p50=latency["p50"],
        p90=latency["p90"],
        p99=latency["p99"],
        p999=latency["p999"],
        longest=latency["max"],
        late_p999=lateness["p999"],
        late_longest=lateness["max"],
        server_cpu_us=cpu / requests_in_all * 1e6,
        not_ok=said["not_ok"] + said["unanswered"],
    )


def _oha(contestant: Contestant, requests: Sequence[Request], pace: Pace) -> Steady:
    """Send GETs by oha, which stalls while it copies its growing list of results: see the docs."""
    server = contestant.server
    with tempfile.TemporaryDirectory(prefix="fscore-oha-") as folder:
        base = f"http://127.0.0.1:{server.port}"
        urls = Path(folder) / "urls"
        urls.write_text(
            "".join(f"{base}{path}\n" for method, path, _ in requests if method == "GET")
        )

        def load(rate: int, seconds: float) -> Any:
            command = [
                str(build.oha()), "--no-tui", "--output-format", "json", "--latency-correction",
                "-q", str(rate), "-c", str(pace.connections), "-z", f"{seconds:g}s",
                "--urls-from-file", str(urls),
            ]  # fmt: skip
            return _run(command, seconds, contestant)

        load(min(pace.rate, 2000), WARMUP_SECONDS)
        cpu = server.cpu_seconds()
        said = load(pace.rate, pace.seconds)
        cpu = server.cpu_seconds() - cpu
    answered = sum(said["statusCodeDistribution"].values())
    good = said["statusCodeDistribution"].get("200", 0)
    percentiles = {name: (value or 0) * 1e3 for name, value in said["latencyPercentiles"].items()}
    # oha reports requests that were under way when the time was up as errors; they are not.
    failed = sum(
        count
        for error, count in said["errorDistribution"].items()
        if "aborted due to deadline" not in error
    )
    return Steady(
        asked=pace.rate,
        rate=good / said["summary"]["total"],
        p50=percentiles["p50"],
        p90=percentiles["p90"],
        p99=percentiles["p99"],
        p999=percentiles["p99.9"],
        longest=(said["summary"]["slowest"] or 0) * 1e3,
        late_p999=None,
        late_longest=None,
        server_cpu_us=cpu / max(answered, 1) * 1e6,
        not_ok=answered - good + failed,
    )


def _run(command: list[str], seconds: float, contestant: Contestant) -> Any:
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + SPARE_SECONDS)
    if done.returncode:
        name = Path(command[0]).name
        raise SystemExit(f"{name} failed against {contestant.name}: {done.stderr[-400:]}")
    return json.loads(done.stdout)


GENERATORS: dict[str, Callable[[Contestant, Sequence[Request], Pace], Steady]] = {
    "constant-rate": _constant_rate,
    "oha": _oha,
}
