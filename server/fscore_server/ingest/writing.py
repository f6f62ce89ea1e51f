"""Rows on their way into Redis, and what was written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import fscore
from fscore import WriteResult
from fscore.errors import DeadlineExceeded, Overloaded, Unavailable

__all__ = ["ClientWriter", "ViewReport", "Writer", "write"]

# Seconds between attempts to write: longer in sum than a server takes to start again.
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)

Ordering = Literal["arrival", "event_time"]


class Writer(Protocol):
    """What is needed of a client."""

    def write(
        self, view: str, rows: Mapping[str, Any], /, *, ordering: Ordering = "arrival"
    ) -> WriteResult: ...


class ClientWriter:
    """A client that writes one version alone, or every live one where that is None."""

    def __init__(self, client: fscore.Client, version: int | None) -> None:
        self._client = client
        self._version = version

    def write(
        self, view: str, rows: Mapping[str, Any], /, *, ordering: Ordering = "arrival"
    ) -> WriteResult:
        """Write rows of a view."""
        return self._client.write(view, rows, ordering=ordering, version=self._version)


@dataclass(frozen=True, slots=True)
class ViewReport:
    """What was written to one view: by a load so many `entities` of a feature view or of flags, or
    `events` of a series; by a push `rows` in place of entities, of which several may be of one.

    `expired` entities are older than the view's TTL and will not be served as present; `unchanged`
    is what was there before, or came too late for a series.
    """

    view: str
    unit: Literal["entities", "events", "rows"]
    rows: int
    expired: int = 0
    unchanged: int = 0

    def to_json(self) -> dict[str, Any]:
        """The form for machines."""
        found: dict[str, Any] = {"view": self.view, self.unit: self.rows}
        if self.unit == "entities":
            return found | {"expired": self.expired}
        return found | {"unchanged": self.unchanged}


def write(
    client: Writer, view: str, columns: Mapping[str, Any], ordering: Ordering = "arrival"
) -> WriteResult:
    """Write rows; a failure that may pass is tried again, which is safe as it writes the same."""
    for pause in _PAUSES:
        try:
            return client.write(view, columns, ordering=ordering)
        except (Unavailable, DeadlineExceeded, Overloaded):
            time.sleep(pause)
    return client.write(view, columns, ordering=ordering)
