"""Everything that is measured, in a few minutes: `python -m bench [part …] [--quick]`.

Parts: library, growth, writes, http, hash_plan, micro. Each also runs by itself with options of its
own: `python -m bench.library --help`. Results are printed and kept under bench/results/.
"""

from __future__ import annotations

import argparse
import dataclasses
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench import growth, hash_plan, http, library, report, writes
from bench.servers import KINDS, data_folder

Bars = list[dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--quick", action="store_true", help="shorter runs, for a first look")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a bar is missed")
    given = parser.parse_args()
    unknown = [part for part in given.parts if part not in PARTS]
    if unknown:
        parser.error(f"there is no part {unknown[0]!r}; there are {', '.join(PARTS)}")
    found: Bars = []
    for part in given.parts or PARTS:
        print(f"== {part}", flush=True)
        text, bars = PARTS[part](given.server, given.quick)
        print(text, flush=True)
        found += bars
    if found:
        print(report.save("bars", "All bars", {"bars": found}, report.bars_table(found)))
    return 1 if given.strict and not all(bar["holds"] for bar in found) else 0


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


def _http(kind: str, quick: bool) -> tuple[str, Bars]:
    options = http.Options(kind=kind)
    if quick:
        options = dataclasses.replace(options, rounds=2, seconds=2, connections=(32,))
    return http.run(options)


def _hash_plan(kind: str, quick: bool) -> tuple[str, Bars]:
    totals = (5, 10, 30, 100) if quick else hash_plan.TOTALS
    return hash_plan.run(kind, 3, 0.01 if quick else 0.02, totals), []


def _micro(kind: str, quick: bool) -> tuple[str, Bars]:
    """pytest-benchmark does its own repetition and prints its own tables."""
    folder = Path(__file__).parent
    command = [
        sys.executable, "-m", "pytest", str(folder / "micro"), "-q", "--benchmark-sort=name",
        "--benchmark-columns=median,iqr,min,rounds",
        f"--benchmark-json={data_folder() / 'micro.json'}",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the micro benchmarks failed:\n{done.stdout}{done.stderr}")
    (data_folder() / "micro.txt").write_text(done.stdout)
    return done.stdout, []


PARTS: dict[str, Callable[[str, bool], tuple[str, Bars]]] = {
    "library": _library,
    "growth": _growth,
    "writes": _writes,
    "http": _http,
    "hash_plan": _hash_plan,
    "micro": _micro,
}

if __name__ == "__main__":
    raise SystemExit(main())
