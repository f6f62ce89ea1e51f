"""Draw plots of the results that earlier runs left under bench/results/."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from bench.peers import contestants as who

# People who see fewer colours can tell these apart too (Okabe and Ito).
FAMILIES = (
    ("fscore", "#0072B2"),
    ("Go net/http + go-redis", "#D55E00"),
    ("Go net/http + rueidis", "#E69F00"),
    ("Rust", "#009E73"),
    ("Starlette", "#CC79A7"),
    ("Feast", "#888888"),
)
PERCENTILES = (("p50", "median"), ("p99", "99th percentile"), ("p999", "99.9th percentile"))
BAR_MS = {"p50": 1, "p99": 5, "p999": 10}
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# A bar that is more than this many times longer than the others is cut off, with an arrow.
LONGEST = 1.25
CONNECTIONS = 128
TIMES = "\N{MULTIPLICATION SIGN}"

STYLE: Any = {
    "font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True,
    "grid.color": "#dddddd", "grid.linewidth": 0.6, "axes.axisbelow": True, "legend.frameon": False,
    "svg.hashsalt": "fscore", "figure.dpi": 110, "axes.titlesize": 10, "axes.titleweight": "bold",
}  # fmt: skip


def draw(results: dict[str, Any], folder: Path) -> list[Path]:
    """Write a PNG for each plot whose part has been run; return their paths."""
    plots: tuple[tuple[str, str, Callable[[Any], Figure]], ...] = (
        ("rates", "latency", latency),
        ("http", "cpu", cpu),
        ("http", "throughput", throughput),
        ("growth", "growth", growth),
    )
    written = []
    for part, name, plot in plots:
        if part in results:
            path = folder / f"{name}.png"
            _save(plot(results[part]), path)
            written.append(path)
    return written


def publish(results: dict[str, Any], path: Path) -> None:
    """Draw the documentation's plot: latencies by rate above CPU by size of request."""
    with pyplot.rc_context(STYLE):
        figure = pyplot.figure(figsize=(11, 8.2), layout="constrained")
        halves: Any = figure.subfigures(2, 1, height_ratios=(0.9, 1.15))
        above, below = halves
        _latency(above, results["rates"])
        _bars(below, results["http"], ("server_cpu_us", "redis_cpu_us"), "CPU of a request, µs")
    _save(figure, path)


def latency(rates: Any) -> Figure:
    """Draw percentiles of latency by rate, a line for each server."""
    with pyplot.rc_context(STYLE):
        figure = pyplot.figure(figsize=(11, 3.9), layout="constrained")
        _latency(figure, rates)
    return figure


def _latency(figure: Any, rates: Any) -> None:
    axes = figure.subplots(1, 3, sharex=True)
    for axis, (figure_name, title) in zip(axes, PERCENTILES, strict=True):
        for number, (name, runs) in enumerate(rates["runs"].items()):
            asked = [run["asked"] / 1000 for run in runs]
            values = [run[figure_name] for run in runs]
            marker, color = MARKERS[number % len(MARKERS)], _color(name)
            style = "--" if "HMGET" in name else "-"
            axis.plot(asked, values, style, color=color, linewidth=1.6, label=name, zorder=3)
            for x, y, run in zip(asked, values, runs, strict=True):
                behind = run["rate"] < 0.99 * run["asked"]
                face = "white" if behind else color
                axis.plot(x, y, marker, color=color, markerfacecolor=face, markersize=5, zorder=4)
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.set_xticks(
            sorted({run["asked"] / 1000 for runs in rates["runs"].values() for run in runs})
        )
        axis.axhline(BAR_MS[figure_name], color="#444444", linewidth=0.8, linestyle=":")
        axis.set_title(title)
        axis.set_xlabel("thousand requests/s asked for")
        axis.set_ylim(bottom=0.1)
    axes[0].set_ylabel("ms from when each was due")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=8)
    note = "dotted: fscore's bar at 20,000/s; hollow: the server did not keep up"
    figure.suptitle(
        f"Latency at a constant rate, one entity {TIMES} 10 features ({note})", fontsize=9
    )


def cpu(http: Any) -> Figure:
    return _alone(http, ("server_cpu_us", "redis_cpu_us"), "CPU of a request, µs")


def throughput(http: Any) -> Figure:
    return _alone(http, ("rate",), "requests a second")


def _alone(http: Any, figures: tuple[str, ...], label: str) -> Figure:
    with pyplot.rc_context(STYLE):
        figure = pyplot.figure(figsize=(11, 4.4), layout="constrained")
        _bars(figure, http, figures, label)
    return figure


def _bars(figure: Any, http: Any, figures: tuple[str, ...], label: str) -> None:
    """Draw a panel for each size of request; several figures are stacked in one bar."""
    most = max(cell["connections"] for cell in http["cells"])
    chosen = CONNECTIONS if any(c["connections"] == CONNECTIONS for c in http["cells"]) else most
    cells = [cell for cell in http["cells"] if cell["connections"] == chosen]
    axes = figure.subplots(1, len(cells), sharey=True, squeeze=False)[0]
    for axis, cell in zip(axes, cells, strict=True):
        names = list(cell["loads"])[::-1]
        parts = [[_middle(cell["loads"][name], part) for name in names] for part in figures]
        totals = [sum(values) for values in zip(*parts, strict=True)]
        limit = LONGEST * _longest_of_most(names, totals)
        _panel(axis, names, parts, totals, limit)
        axis.set_title(f"{cell['entities']} {TIMES} {cell['features']}")
        axis.set_xlabel(label)
    if len(figures) > 1:
        note = "solid: the server's; pale: Redis's; "
        figure.suptitle(f"{label} ({note}{chosen} connections)", fontsize=9)
    else:
        figure.suptitle(f"{label} ({chosen} connections)", fontsize=9)


def _panel(
    axis: Axes, names: list[str], parts: list[list[float]], totals: list[float], limit: float
) -> None:
    colors = [_color(name) for name in names]
    begins = [0.0] * len(names)
    for number, values in enumerate(parts):
        axis.barh(names, values, left=begins, color=colors, alpha=1 if number == 0 else 0.4)
        begins = [begin + value for begin, value in zip(begins, values, strict=True)]
    for place, total in enumerate(totals):
        inside = total > limit
        text = f"{total:,.0f}" + (" →" if inside else "")
        x, align = (limit * 0.985, "right") if inside else (total + limit * 0.015, "left")
        color = "white" if inside else "#333333"
        axis.text(x, place, text, va="center", ha=align, fontsize=8, color=color)
    axis.set_xlim(0, limit * (1 if max(totals) > limit else 1.02))
    axis.grid(axis="y", visible=False)
    axis.tick_params(axis="y", length=0)


def _longest_of_most(names: list[str], totals: list[float]) -> float:
    """Return the longest bar, but without servers that are slower by an order of magnitude.

    Their bars would leave nothing to see of the others.
    """
    outliers = (who.FEAST, who.FEAST_VECTOR, who.STARLETTE)
    usual = [total for name, total in zip(names, totals, strict=True) if name not in outliers]
    return max(usual or totals)


def growth(data: Any) -> Figure:
    """Draw the CPU of a call by its number of values, on two logarithmic scales."""
    with pyplot.rc_context(STYLE):
        figure, axes = pyplot.subplots(1, 2, figsize=(11, 4.2), layout="constrained", sharey=True)
        for axis, what in zip(axes, ("core", "client"), strict=True):
            for number, (name, points) in enumerate(data["series"].items()):
                values = [point["entities"] * point["features"] for point in points]
                spent = [point[what] for point in points]
                color = FAMILIES[number][1]
                axis.plot(values, spent, MARKERS[number] + "-", color=color, label=name,
                          markersize=4, linewidth=1.4)  # fmt: skip
            axis.set_xscale("log")
            axis.set_yscale("log")
            axis.set_title({"core": "the core alone", "client": "the whole blocking client"}[what])
            axis.set_xlabel("values of a call")
        axes[0].set_ylabel("CPU of a call, µs")
        axes[0].legend(fontsize=8)
        figure.suptitle("Growth of CPU with the number of values", fontsize=9)
    return figure


def _middle(loads: list[dict[str, float]], figure: str) -> float:
    values = sorted(load[figure] for load in loads)
    return values[len(values) // 2]


def _color(name: str) -> str:
    return next((color for family, color in FAMILIES if name.startswith(family)), "#000000")


def _save(figure: Figure, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"Date": None} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, facecolor="white")
    pyplot.close(figure)
