"""Writing rows to Redis, with retries, and reports of what was written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import fscore
from fscore import Ordering, WriteResult
from fscore.errors import DeadlineExceeded, Overloaded, Unavailable

__all__ = ["ClientWriter", "ViewReport", "Writer", "write"]

# Seconds between attempts to write; together longer than a server takes to restart.
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 4.0)


class Writer(Protocol):
    """The part of a client that loads and pushes use."""

    def write(
        self, view: str, rows: Mapping[str, Any], /, *, ordering: Ordering = "arrival"
    ) -> WriteResult: ...


class ClientWriter:
    """A client that writes one version only, or every live version if `version` is None."""

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
    """How many rows were written to one view, and in which `unit` they are counted.

    A load counts `entities` of a feature view or of flags, and `events` of a series. A push counts
    `rows` instead of entities, because several rows may be of one entity.

    `expired` entities are older than the view's TTL and will not be served as PRESENT. `unchanged`
    rows were there before, or came too late for a series.
    """

    view: str
    unit: Literal["entities", "events", "rows"]
    rows: int
    expired: int = 0
    unchanged: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON data."""
        found: dict[str, Any] = {"view": self.view, self.unit: self.rows}
        if self.unit == "entities":
            return found | {"expired": self.expired}
        return found | {"unchanged": self.unchanged}


def write(
    client: Writer, view: str, columns: Mapping[str, Any], ordering: Ordering = "arrival"
) -> WriteResult:
    """Write rows; retry after a failure that may pass. Writing the same rows twice is safe."""
    for pause in _PAUSES:
        try:
            return client.write(view, columns, ordering=ordering)
        except (Unavailable, DeadlineExceeded, Overloaded):
            time.sleep(pause)
    return client.write(view, columns, ordering=ordering)
