"""Run all benchmarks, or some parts: `python -m bench [part …] [--quick]`.

Each part except micro also runs by itself, with options of its own: see for example
`python -m bench.suites.library --help`. Results are printed and kept under bench/results/, with
plots and a report of the run, report.md.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.measure import publish, report
from bench.measure.servers import KINDS, data_folder
from bench.suites import (
    frames,
    growth,
    hash_plan,
    http,
    library,
    packed,
    profile,
    rates,
    roundtrip,
    snapshot,
    users,
    writes,
)

Bars = list[dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description=f"{__doc__}\n{_listed()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", metavar="part", help="default: all but publish")
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--quick", action="store_true", help="shorter runs, for a first look")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    given = parser.parse_args()
    parts = [part for part in given.parts or PARTS if part != PUBLISH]
    unknown = [part for part in parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}, {PUBLISH}")
    found: Bars = []
    for part in parts:
        print(f"== {part}", flush=True)
        text, bars = PARTS[part][0](given.server, given.quick)
        print(text, flush=True)
        found += bars
    if parts:
        print(report.save("bars", "All bars", {"bars": found}, report.bars_table(found)))
        print(f"the report: {publish.write_report(parts)}")
    if PUBLISH in given.parts:
        print(f"written: {', '.join(publish.publish())}")
    return 1 if given.strict and not all(bar["holds"] for bar in found) else 0


def _listed() -> str:
    """Return the list of parts for --help, with the question that each part answers."""
    lines = [f"  {name:10} {question}" for name, (_, question) in PARTS.items()]
    lines.append(
        f"  {PUBLISH:10} the last http and rates into README and docs, and the last profile"
    )
    return "\n".join(["parts:", *lines])


def _library(kind: str, quick: bool) -> tuple[str, Bars]:
    options = library.Options(kind=kind)
    if quick:
        options = dataclasses.replace(
            options, rounds=3, seconds=0.15, entities=(1, 10), features=(10,)
        )
    return library.run(options)


def _growth(kind: str, quick: bool) -> tuple[str, Bars]:
    options = growth.Options(kind=kind)
    if quick:
        options = dataclasses.replace(options, rounds=3, seconds=0.03)
    return growth.run(options)


def _writes(kind: str, quick: bool) -> tuple[str, Bars]:
    options = writes.Options(kind=kind)
    if quick:
        options = dataclasses.replace(options, rounds=3, rows=5_000)
    return writes.run(options)


def _frames(kind: str, quick: bool) -> tuple[str, Bars]:
    options = frames.Options(kind=kind)
    if quick:
        options = dataclasses.replace(options, rounds=3, seconds=0.1, rows=5_000, feast=False)
    return frames.run(options)


def _http(kind: str, quick: bool) -> tuple[str, Bars]:
    options = http.Options(kind=kind)
    if quick:
        options = dataclasses.replace(options, rounds=1, seconds=1, connections=(128,))
    return http.run(options)


def _rates(kind: str, quick: bool) -> tuple[str, Bars]:
    options = rates.Options(kind=kind)
    if quick:
        options = dataclasses.replace(options, seconds=2, bar_seconds=3)
    return rates.run(options)


def _users(kind: str, quick: bool) -> tuple[str, Bars]:
    options = users.Options(kind=kind)
    return users.run(dataclasses.replace(options, seconds=10) if quick else options)


def _profile(kind: str, quick: bool) -> tuple[str, Bars]:
    options = profile.Options(kind=kind)
    if quick:
        options = dataclasses.replace(
            options, rounds=1, seconds=1, sampled=2, shapes=profile.SHAPES[:1]
        )
    return profile.run(options)


def _roundtrip(kind: str, quick: bool) -> tuple[str, Bars]:
    options = roundtrip.Options(kind=kind)
    return roundtrip.run(dataclasses.replace(options, rounds=3) if quick else options)


def _packed(kind: str, quick: bool) -> tuple[str, Bars]:
    """Run on Redis and Valkey, whatever the kind, because the bars are about both."""
    return packed.run(packed.Options(rounds=3, seconds=0.02) if quick else packed.Options())


def _snapshot(kind: str, quick: bool) -> tuple[str, Bars]:
    return snapshot.run(snapshot.Options(rounds=3, seconds=0.02) if quick else snapshot.Options())


def _hash_plan(kind: str, quick: bool) -> tuple[str, Bars]:
    totals = (5, 10, 30, 100) if quick else hash_plan.TOTALS
    return hash_plan.run(kind, 3, 0.01 if quick else 0.02, totals), []


def _micro(kind: str, quick: bool) -> tuple[str, Bars]:
    """Run the micro benchmarks; pytest-benchmark repeats them and prints its own tables."""
    folder = Path(__file__).parent
    command = [
        sys.executable, "-m", "pytest", str(folder / "suites" / "micro"), "-q",
        "--benchmark-sort=name",
        "--benchmark-columns=median,iqr,min,rounds",
        f"--benchmark-json={data_folder() / 'micro.json'}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the micro benchmarks failed:\n{done.stdout}{done.stderr}")
    (data_folder() / "micro.txt").write_text(done.stdout)
    return done.stdout, []


PUBLISH = "publish"
PARTS: dict[str, tuple[Callable[[str, bool], tuple[str, Bars]], str]] = {
    "library": (_library, "a read by fscore against the same read by other Python clients"),
    "roundtrip": (_roundtrip, "a read by direct import against a client in C, over a unix socket"),
    "growth": (_growth, "does the CPU of a value stay the same as requests grow"),
    "writes": (_writes, "what a row costs to write, against a bare socket that sends HSET"),
    "frames": (_frames, "reads into and writes from NumPy, Arrow, pandas and Polars"),
    "http": (_http, "servers in Go, Rust and Python, and Feast's, as fast as each can"),
    "rates": (_rates, "latency at constant rates, coordinated omission corrected"),
    "users": (_users, "100 users to 1,000 and back, by locust"),
    "profile": (_profile, "where the CPU of a plain read goes in `fscore serve`, by perf"),
    "packed": (_packed, "packed rows against hashes: memory, and Redis's CPU per read"),
    "snapshot": (_snapshot, "Redis's CPU per atomic snapshot, by each way to take one"),
    "hash_plan": (_hash_plan, "what HMGET and HGETALL cost the server"),
    "micro": (_micro, "encoding, decoding and rendering, each by itself"),
}

if __name__ == "__main__":
    raise SystemExit(main())
