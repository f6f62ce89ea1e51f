from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Sink:
    """Keeps what a load writes, as rows by view and entity."""

    def __init__(self) -> None:
        self.views: dict[str, dict[Any, dict[str, Any]]] = {}
        self.batches: list[int] = []

    def write(self, view: str, rows: Mapping[str, list[Any]], /) -> None:
        table = self.views.setdefault(view, {})
        names = list(rows)
        self.batches.append(len(rows[names[0]]))
        for values in zip(*rows.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            assert row[names[0]] not in table
            table[row[names[0]]] = row
