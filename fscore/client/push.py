"""Encodes the events of a push as batches of commands.

All events of a call become rows of the views that they fill, and all rows become batches, before
the first batch is sent. So wrong events raise before anything is stored.
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
    """The outcome of a push.

    - `events` is how many events were pushed.
    - `views` has a `WriteResult` for each view that was written. Its rows are the events of a
      series, the newest event of each entity in a feature view, or the entities of a flag view of
      which a flag was set.
    - `left_out` has the views that single events cannot fill, each with the reason; `fscore load`
      fills them.
    """

    events: int
    views: Mapping[str, WriteResult]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EncodedPush:
    """A push that is ready to be sent: for each view its batches, and their versions."""

    events: int
    views: Mapping[str, Encoded]
    left_out: Mapping[str, str]

    def result(self, views: Mapping[str, WriteResult]) -> PushResult:
        """Return the result of the push from the results of its views."""
        return PushResult(self.events, views, dict(self.left_out))


def encode_push(
    projection: SourceProjection,
    source: str,
    events: Any,
    encode_rows: Callable[[ViewRows], Encoded],
) -> EncodedPush:
    """Encode everything that these events change.

    Raises InvalidValue or InvalidKeys, which name the event.
    """
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
    """Return a row's error message with its event's number in place of its own, and the number."""
    if row is None:
        return f"events of {source}: {message}", None
    event = int(rows.events[row])
    return f"event {event} of {source}: {message.replace(f' (row {row})', '')}", event
