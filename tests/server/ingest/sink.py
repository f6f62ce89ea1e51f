from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from fscore import WriteResult


class Sink:
    """Collects what a load writes: rows by view and entity; lists of rows for `listed` views."""

    def __init__(self, listed: Collection[str] = ()) -> None:
        self._listed = listed
        self.views: dict[str, dict[Any, dict[str, Any]]] = {}
        self.listed: dict[str, list[dict[str, Any]]] = {}
        self.batches: list[int] = []

    def write(
        self,
        view: str,
        rows: Mapping[str, Any],
        /,
        *,
        ordering: Literal["arrival", "event_time"] = "arrival",
    ) -> WriteResult:
        assert ordering == "arrival"
        names = list(rows)
        self.batches.append(len(rows[names[0]]))
        for values in zip(*rows.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            if view in self._listed:
                self.listed.setdefault(view, []).append(row)
                continue
            table = self.views.setdefault(view, {})
            assert row[names[0]] not in table
            table[row[names[0]]] = row
        return WriteResult(self.batches[-1])
