"""Feature tables for people: the first rows and columns as text and as HTML.

The join keys come first. A missing value is shown as its status; a text that could be taken for
one, or for nothing, is shown in quotes. Texts are cut, and escaped if they are not printable.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

from fscore.model.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fscore._fscore import FeatureTable

_TEXT_ROWS, _TEXT_COLUMNS, _TEXT_WIDTH = 10, 8, 80
_HTML_ROWS, _HTML_COLUMNS = 20, 20
# The most characters of a cell, and the most elements of a list in it.
_TEXT_CELL, _HTML_CELL, _ELEMENTS = 24, 60, 8
# Enough of a long text for any cell.
_ENOUGH = 2 * _HTML_CELL

_MUTED = "opacity: 0.7; font-style: italic"


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    type: str
    """The type of a feature, or empty for a join key."""
    right: bool
    """Whether it is aligned on the right, as numbers are."""
    cells: list[tuple[bool, str]]
    """For each row: true and a value, or false and a status."""


def text(table: FeatureTable) -> str:
    """Return a summary, the first rows and columns, and how many more there are."""
    columns = _columns(table, _TEXT_ROWS, _TEXT_COLUMNS, _TEXT_CELL)
    grid = [[column.name, *map(_marked, column.cells)] for column in columns]
    widths = [max(map(_width, cells)) for cells in grid]
    # Two spaces between columns; the bar after the join keys takes one place more.
    while len(widths) > 1 and sum(widths) + 2 * len(widths) - 1 > _TEXT_WIDTH:
        widths.pop()
    shown = list(zip(columns, grid, widths, strict=False))
    lines = [f"<FeatureTable {_summary(table)}>"]
    for line in range(len(grid[0])):
        cells = [_padded(cells[line], width, column.right) for column, cells, width in shown]
        keys = sum(not column.type for column, _, _ in shown)
        parts = ["  ".join(part) for part in (cells[:keys], cells[keys:]) if part]
        lines.append(" | ".join(parts).rstrip())
    more = _more(table, _TEXT_ROWS, [column for column, _, _ in shown])
    return "\n".join([*lines, f"... {more}"] if more else lines)


def html(table: FeatureTable) -> str:
    """Return a table of the first rows and columns, with the summary as its caption."""
    columns = _columns(table, _HTML_ROWS, _HTML_COLUMNS, _HTML_CELL)
    more = _more(table, _HTML_ROWS, columns)
    caption = _summary(table) + (f"; not shown: {more}" if more else "")
    rows = range(min(len(table), _HTML_ROWS))
    return "\n".join(
        [
            "<table>",
            f'<caption style="text-align: left">FeatureTable: {escape(caption)}</caption>',
            "<thead>",
            f"<tr>{''.join(map(_head, columns))}</tr>",
            "</thead>",
            "<tbody>",
            *(f"<tr>{''.join(_data(column, row) for column in columns)}</tr>" for row in rows),
            "</tbody>",
            "</table>",
        ]
    )


def _summary(table: FeatureTable) -> str:
    rows, features = table.shape
    statuses = [
        f"{count} {status.name}"
        for status, count in zip(Status, table.count_statuses(), strict=True)
        if count or status is Status.PRESENT
    ]
    size = f"{_counted(rows, 'row')} x {_counted(features, 'feature')}"
    return ", ".join([size, *statuses, f"version {table.version}"])


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _more(table: FeatureTable, most_rows: int, shown: Iterable[_Column]) -> str:
    """Say how many rows and features are left out."""
    rows, features = table.shape
    left = {
        "more row": rows - most_rows,
        "more feature": features - sum(bool(column.type) for column in shown),
    }
    return ", ".join(_counted(count, what) for what, count in left.items() if count > 0)


def _columns(table: FeatureTable, rows: int, most: int, width: int) -> list[_Column]:
    keys, head = table._head(rows, most)
    columns = [
        _Column(
            _cut(_clean(name), width),
            type="",
            right=all(isinstance(value, int) for value in ids),
            cells=[(True, _cut(_plain(value), width)) for value in ids],
        )
        for name, ids in keys.items()
    ]
    features = zip(table.features, table.types, strict=True)
    for index, (name, spelling) in enumerate(features):
        if len(columns) >= most:
            break
        cells = [
            (there, _cut(_value(value, spelling) if there else value, width))
            for there, value in (row[index] for row in head)
        ]
        right = spelling.startswith(("Int", "Float", "Timestamp"))
        columns.append(_Column(_cut(_clean(name), width), spelling, right, cells))
    return columns[:most]


def _value(value: Any, spelling: str) -> str:
    if not isinstance(value, list):
        return _time(value) if spelling.startswith("Timestamp") else _plain(value)
    elements = [
        _time(element) if "Timestamp" in spelling else _quoted(element)
        for element in value[:_ELEMENTS]
    ]
    return f"[{', '.join([*elements, '…'] if len(value) > _ELEMENTS else elements)}]"


def _time(ms: int) -> str:
    # NumPy has times of any year, Python only those up to 9999.
    return f"{np.datetime64(ms, 'ms')}Z"


def _plain(value: Any) -> str:
    if not isinstance(value, str):
        return _quoted(value)
    value = value[:_ENOUGH]
    if not value or value != value.strip() or value[0] in "<'\"":
        return repr(value)
    return _clean(value)


def _quoted(value: Any) -> str:
    return repr(value[:_ENOUGH] if isinstance(value, str | bytes) else value)


def _clean(value: str) -> str:
    """Return text in which nothing moves the cursor or changes the direction of writing."""
    return value if value.isprintable() else repr(value)[1:-1]


def _cut(cell: str, width: int) -> str:
    if _width(cell) <= width:
        return cell
    while _width(cell) >= width:
        cell = cell[:-1]
    return f"{cell}…"


def _width(cell: str) -> int:
    """Return how many places a terminal gives to printable text."""
    if cell.isascii():
        return len(cell)
    return sum(
        0 if unicodedata.combining(char) else 1 + (unicodedata.east_asian_width(char) in "WF")
        for char in cell
    )


def _padded(cell: str, width: int, right: bool) -> str:
    space = " " * (width - _width(cell))
    return space + cell if right else cell + space


def _marked(cell: tuple[bool, str]) -> str:
    there, shown = cell
    return shown if there else f"<{shown}>"


def _head(column: _Column) -> str:
    below = f"<br><small>{escape(column.type)}</small>" if column.type else ""
    return f'<th scope="col"{_aligned(column)}>{escape(column.name)}{below}</th>'


def _data(column: _Column, row: int) -> str:
    there, shown = column.cells[row]
    shown = escape(shown)
    if not column.type:
        return f'<th scope="row"{_aligned(column)}>{shown}</th>'
    if not there:
        shown = f'<span style="{_MUTED}">{shown}</span>'
    return f"<td{_aligned(column)}>{shown}</td>"


def _aligned(column: _Column) -> str:
    return f' style="text-align: {"right" if column.right else "left"}"'
