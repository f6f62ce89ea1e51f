"""What `push` of both clients has in common: everything but waiting.

The events of a call become rows of every view that they fill, and these become batches of commands,
before any is sent.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fscore._fscore import WriteBatch
from fscore.client.core import ClientCore, WriteResult
from fscore.errors import InvalidKeys, InvalidValue, SourceNotFound
from fscore.events.projection import SourceProjection, ViewRows
from fscore.events.reading import read_events
from fscore.interop.rows import now_ms
from fscore.model.names import listed
from fscore.registry.registry import Registry

__all__ = ["PushResult", "encode_push", "project_source"]


@dataclass(frozen=True, slots=True)
class PushResult:
    """What a push did with so many `events`.

    `views` has for each view what was written to it: events of a series, rows of a feature view
    (one for each entity, the newest), entities of which a flag was set. `left_out` has the views
    that events one at a time cannot fill, each with why; loading files fills them.
    """

    events: int
    views: Mapping[str, WriteResult]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EncodedPush:
    """A push that can be sent: for each view its batches, and the versions that they write."""

    events: int
    views: Mapping[str, tuple[list[WriteBatch], tuple[int, ...]]]
    left_out: Mapping[str, str]

    def result(self, views: Mapping[str, WriteResult]) -> PushResult:
        """Return what the push did once it is sent."""
        return PushResult(self.events, views, dict(self.left_out))


def encode_push(
    core: ClientCore, source: str, events: Any, version: int | None, server: Mapping[str, Any]
) -> EncodedPush:
    """Encode everything that these events change; InvalidValue and InvalidKeys name the event."""
    projection = _projected(core, source)
    columns = read_events(events, projection, now_ms())
    encoded = {}
    for rows in projection.rows(columns):
        encoded[rows.view] = (
            _encode(core, source, rows, version, server) if rows.events.size else ([], ())
        )
    return EncodedPush(columns.count, encoded, projection.left_out)


def _projected(core: ClientCore, source: str) -> SourceProjection:
    registry = core.registry
    known, projections = core._projections
    if known is not registry:
        projections = {}
        core._projections = registry, projections
    if source not in projections:
        projections[source] = project_source(registry, source)
    return projections[source]


def _encode(
    core: ClientCore,
    source: str,
    rows: ViewRows,
    version: int | None,
    server: Mapping[str, Any],
) -> tuple[list[WriteBatch], tuple[int, ...]]:
    try:
        return core._encode_write(rows.view, rows.columns, None, version, rows.ordering, server)
    except InvalidValue as error:
        message, event = _placed(error.message, error.row, rows, source)
        column = rows.sources.get(error.feature or "", error.feature)
        raise InvalidValue(f"{message}; column {column}", feature=column, row=event) from None
    except InvalidKeys as error:
        message, event = _placed(error.message, error.row, rows, source)
        column = rows.sources.get(error.join_key or "", error.join_key)
        raise InvalidKeys(f"{message}; column {column}", join_key=column, row=event) from None


def _placed(message: str, row: int | None, rows: ViewRows, source: str) -> tuple[str, int | None]:
    """What is wrong with a row, said of the event that it is of."""
    if row is None:
        return f"events of {source}: {message}", None
    event = int(rows.events[row])
    return f"event {event} of {source}: {message.replace(f' (row {row})', '')}", event


def project_source(registry: Registry, source: str) -> SourceProjection:
    """Return how the events of a source become rows.

    Raises SourceNotFound, and InvalidValue where the events fill no view by themselves.
    """
    sources = {
        view.source.name: view.source for view in registry.views.values() if view.source is not None
    }
    if source not in sources:
        near = difflib.get_close_matches(source, sources, n=3)
        hint = f"did you mean {near[0]}?" if near else f"the sources are {listed(sources)}"
        raise SourceNotFound(
            f"no view has a source named {source!r}; {hint}", name=source, suggestions=near
        )
    chosen = sources[source]
    projection = SourceProjection(
        chosen,
        [view for view in registry.views.values() if view.source == chosen],
        {name: entity.join_keys for name, entity in registry.entities.items()},
    )
    if not projection.views:
        reasons = "; ".join(f"{view}: {why}" for view, why in projection.left_out.items())
        raise InvalidValue(
            f"events of {source} fill no view by themselves, load them from files with "
            f"`fscore load`: {reasons}"
        )
    return projection
