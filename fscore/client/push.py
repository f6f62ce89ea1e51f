"""From the events of a push to batches of commands.

The events of a call become rows of every view that they fill, and these become batches of commands,
before any is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fscore._fscore import WriteBatch
from fscore.client.results import WriteResult
from fscore.errors import InvalidKeys, InvalidValue
from fscore.events.projection import SourceProjection, ViewRows
from fscore.events.reading import read_events
from fscore.interop.rows import now_ms

__all__ = ["Encoded", "PushResult", "encode_push"]

Encoded: TypeAlias = tuple[list[WriteBatch], tuple[int, ...]]
"""Batches of commands, and the versions that they write."""


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did with so many `events`.

    `views` has for each view what was written to it: events of a series, rows of a feature view
    (one for each entity, the newest), entities of which a flag was set. `left_out` has the views
    that events one at a time cannot fill, each with the reason; loading files fills them.
    """

    events: int
    views: Mapping[str, WriteResult]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EncodedPush:
    """A push that can be sent: for each view its batches, and the versions that they write."""

    events: int
    views: Mapping[str, Encoded]
    left_out: Mapping[str, str]

    def result(self, views: Mapping[str, WriteResult]) -> PushResult:
        """Return what the push did once it is sent."""
        return PushResult(self.events, views, dict(self.left_out))


def encode_push(
    projection: SourceProjection,
    source: str,
    events: Any,
    encode_rows: Callable[[ViewRows], Encoded],
) -> EncodedPush:
    """Encode everything that these events change; InvalidValue and InvalidKeys name the event."""
    columns = read_events(events, projection, now_ms())
    encoded: dict[str, Encoded] = {}
    for rows in projection.rows(columns):
        encoded[rows.view] = _encode(rows, source, encode_rows) if rows.events.size else ([], ())
    return EncodedPush(columns.count, encoded, projection.left_out)


def _encode(rows: ViewRows, source: str, encode_rows: Callable[[ViewRows], Encoded]) -> Encoded:
    try:
        return encode_rows(rows)
    except InvalidValue as error:
        message, event = _placed(error.message, error.row, rows, source)
        column = rows.sources.get(error.feature or "", error.feature)
        raise InvalidValue(f"{message}; column {column}", feature=column, row=event) from None
    except InvalidKeys as error:
        message, event = _placed(error.message, error.row, rows, source)
        column = rows.sources.get(error.join_key or "", error.join_key)
        raise InvalidKeys(f"{message}; column {column}", join_key=column, row=event) from None


def _placed(message: str, row: int | None, rows: ViewRows, source: str) -> tuple[str, int | None]:
    """Return what is wrong with a row, said of the event that it is of."""
    if row is None:
        return f"events of {source}: {message}", None
    event = int(rows.events[row])
    return f"event {event} of {source}: {message.replace(f' (row {row})', '')}", event
