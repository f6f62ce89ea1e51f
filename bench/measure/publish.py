"""Write the report of a run, and copy some results into the documentation.

`python -m bench publish` takes the last results of the parts `http` and `rates`, and writes the
table between the markers in README.md and docs/performance.md and the plot into docs/images/.
If there is a result of the part `profile`, its tables and flame graph go into docs too.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from bench.measure import plots, report
from bench.measure.servers import data_folder
from bench.peers import contestants as who
from bench.suites import profile
from bench.suites.http import BAR_CONNECTIONS

ROOT = Path(__file__).parents[2]
IMAGE = "docs/images/http.svg"
FLAME = "docs/images/profile.svg"
PROFILE_PAGE = "docs/performance.md"
PAGES = {"README.md": IMAGE, "docs/performance.md": IMAGE.removeprefix("docs/")}
RATE = 20_000


def results() -> dict[str, Any]:
    """Return the results of the last run of each part."""
    found = {}
    for path in sorted(data_folder().glob("*.json")):
        found[path.stem] = json.loads(path.read_text())
    return found


def write_report(parts: list[str]) -> Path:
    """Write `bench/results/report.md`: plots first, then the texts of these parts."""
    folder = data_folder()
    images = plots.draw({k: v for k, v in results().items() if k in parts}, folder)
    texts = [(folder / f"{part}.md") for part in [*parts, "bars"]]
    pieces = ["# Benchmarks"]
    pieces += [f"![{image.stem}]({image.name})" for image in images]
    pieces += [text.read_text().strip() for text in texts if text.exists()]
    path = folder / "report.md"
    path.write_text("\n\n".join(pieces) + "\n")
    return path


def publish() -> list[str]:
    """Write results into the documentation; return the changed files as paths in the repository."""
    found = results()
    missing = [part for part in ("http", "rates") if part not in found]
    if missing and "profile" not in found:
        part = missing[0]
        raise SystemExit(f"there is no result of the part {part!r} yet: python -m bench {part}")
    written: list[str] = []
    if not missing:
        plots.publish(found, ROOT / IMAGE)
        written += [IMAGE, *PAGES]
        table = _table(found["http"], found["rates"])
        machine = _machine(found["http"]["machine"])
        for page, image in PAGES.items():
            picture = f"![Latency by rate, and CPU by size of request]({image})"
            _replace(page, "bench", f"{table}\n\n{picture}\n\n{machine}")
    if "profile" in found:
        written += _publish_profile(found["profile"])
    return written


def _publish_profile(found: Any) -> list[str]:
    drawn = data_folder() / profile.FLAME
    (ROOT / FLAME).parent.mkdir(parents=True, exist_ok=True)
    (ROOT / FLAME).write_text(_still(drawn.read_text()))
    cases, cores = found["cases"], found["machine"]["cores"]
    picture = f"![Flame graph of {cases[0]['title']}]({FLAME.removeprefix('docs/')})"
    parts = (
        picture,
        profile.stage_table(cases),
        profile.server_table(cases),
        profile.limit_table(cases, cores),
        _machine(found["machine"]),
    )
    _replace(PROFILE_PAGE, "profile", "\n\n".join(parts))
    return [FLAME, PROFILE_PAGE]


def _still(drawing: str) -> str:
    """Return a flame graph without its script, which pages do not run."""
    without = re.sub(r"<script.*?</script>", "", drawing, flags=re.DOTALL)
    return re.sub(r' onload="[^"]*"|<text id="(search|unzoom)".*?</text>', "", without)


def _replace(page: str, name: str, text: str) -> None:
    """Put the text between the markers of this name."""
    opening, closing = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    path = ROOT / page
    before, begin, rest = path.read_text().partition(opening)
    _, end, after = rest.partition(closing)
    if not begin or not end:
        raise SystemExit(f"{page} has no place for the table: {opening} … {closing}")
    path.write_text(f"{before}{opening}\n{text}\n{closing}{after}")


def _table(http: Any, rates: Any) -> str:
    cells = {
        (cell["entities"], cell["features"]): cell["loads"]
        for cell in http["cells"]
        if cell["connections"] == BAR_CONNECTIONS
    }
    if (1, 10) not in cells:
        raise SystemExit(f"the last run of http had no 1 x 10 from {BAR_CONNECTIONS} connections")
    others = [shape for shape in cells if shape != (1, 10)]
    head = ["", f"1 {plots.TIMES} 10, requests/s", "p99 ms", "server CPU µs"]
    head += [f"{entities} {plots.TIMES} {features}, requests/s" for entities, features in others]
    head += [f"p50, p99, p99.9 ms at {RATE:,}/s"]
    steady = {
        name: run for name, runs in rates["runs"].items() for run in runs if run["asked"] == RATE
    }
    rows = []
    for name in cells[1, 10]:
        loads = cells[1, 10][name]
        row: list[object] = [name, _middle(loads, "rate"), _middle(loads, "p99_us") / 1000]
        row.append(_middle(loads, "server_cpu_us"))
        row += [_middle(cells[shape][name], "rate") for shape in others]
        row.append(_steady(steady.get(name)))
        rows.append(row)
    return report.table(head, rows)


def _steady(run: Any) -> str:
    if run is None:
        return ""
    if run["rate"] < 0.99 * run["asked"]:
        return f"answers {run['rate']:,.0f}/s"
    return ", ".join(f"{run[figure]:.1f}" for figure in ("p50", "p99", "p999"))


def _machine(facts: dict[str, Any]) -> str:
    versions = {**facts["versions"], **facts.get("peers", {})}
    wanted = (
        *("redis-server", "wrk", "go", "go-redis", "rueidis", "hyper", "redis-rs"),
        *("starlette", "uvicorn", "uvloop", "feast"),
    )
    named = ", ".join(f"{name} {versions[name]}" for name in wanted if name in versions)
    return (
        f"{facts['cores']} cores of {facts['cpu']}, shared by server, Redis and load generator; "
        f"Linux {facts['kernel']}, Python {facts['python']}, {named}. "
        f"{BAR_CONNECTIONS} connections; `{who.FSCORE}` is one process."
    )


def _middle(loads: list[dict[str, float]], figure: str) -> float:
    return float(statistics.median(load[figure] for load in loads))
