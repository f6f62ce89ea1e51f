"""Results as JSON for programs and as tables for people, both under bench/results/."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from bench.measure.machine import describe, headline
from bench.measure.servers import data_folder


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table with aligned columns, which reads well unrendered too."""
    text = [list(map(str, head)), *(list(map(_cell, row)) for row in rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(head))]
    lines = [
        "| "
        + " | ".join(
            _align(cell, width, i) for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in text
    ]
    rule = (
        "|"
        + "|".join("-" * (width + 1) + ("-" if i == 0 else ":") for i, width in enumerate(widths))
        + "|"
    )
    return "\n".join([lines[0], rule, *lines[1:]])


def save(name: str, title: str, data: dict[str, Any], text: str) -> str:
    """Write `<name>.json` and `<name>.md`; return the text of the latter."""
    whole = f"## {title}\n\n{headline()}\n\n{text}\n"
    folder = data_folder()
    (folder / f"{name}.json").write_text(json.dumps({"machine": describe(), **data}, indent=1))
    (folder / f"{name}.md").write_text(whole)
    return whole


def bar(what: str, figure: float, limit: float, unit: str, *, at_most: bool) -> dict[str, Any]:
    """Return one of the project's bars: the measured figure, the limit, and whether it holds."""
    holds = figure <= limit if at_most else figure >= limit
    return {
        "what": what,
        "figure": figure,
        "limit": limit,
        "unit": unit,
        "at_most": at_most,
        "holds": holds,
    }


def bars_table(bars: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            b["what"],
            f"{b['figure']:.2f} {b['unit']}".strip(),
            f"{'at most' if b['at_most'] else 'at least'} {b['limit']:g} {b['unit']}".strip(),
            "holds" if b["holds"] else "MISSED",
        )
        for b in bars
    ]
    return table(("bar", "measured", "limit", ""), rows)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return (
            f"{value:,.0f}"
            if abs(value) >= 100
            else f"{value:.1f}"
            if abs(value) >= 10
            else f"{value:.2f}"
        )
    return "" if value is None else str(value)


def _align(cell: str, width: int, column: int) -> str:
    return cell.ljust(width) if column == 0 else cell.rjust(width)
