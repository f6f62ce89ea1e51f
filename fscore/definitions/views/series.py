"""Series views: the events of an entity in order of time, and features over windows of them.

>>> from fscore import Entity, Float64, Int64, List, Payload, SeriesView, String, window
>>> user = Entity("user", join_keys={"user_id": String})
>>> class Clicks(SeriesView, entity=user, retention="30d"):
...     product: String = Payload()
...     price: Float64 = Payload("amount")
...     clicks_30m: Int64 = window.count("30m")
...     spent_7d: Float64 = window.sum("price", "7d")
...     last_5_products: List[String] = window.last(5, "product")
>>> Clicks.clicks_30m
Clicks.clicks_30m
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from fscore.definitions.entity import Entity
from fscore.definitions.markers import Annotation
from fscore.definitions.views.declaring import (
    View,
    ViewDeclaration,
    ViewKind,
    duration_option,
)
from fscore.model.data_type import DataType
from fscore.model.mapping import Where, checked_where
from fscore.model.source import EventSource
from fscore.model.views import PayloadField, Repeats, SeriesViewDefinition
from fscore.model.window import WindowFunction

__all__ = ["Payload", "SeriesView"]


@dataclass(frozen=True, slots=True)
class PayloadOptions:
    """The arguments of `Payload(...)`."""

    column: Any


def Payload(column: str | None = None) -> Any:
    """Declare a field of the events of a series: `price: Float64 = Payload("amount")`.

    `column` is the source's column that holds it; None means the column of the field's own name.
    Fields have scalar types. They are not features: window functions read them by name.
    """
    return PayloadOptions(column)


class SeriesViewKind(ViewKind):
    """The kind of views that store events in a sorted set."""

    base = "SeriesView"
    model = SeriesViewDefinition
    options = (
        *("source", "where", "retention", "max_events", "repeats", "event_id", "tile"),
        "tile_retention",
    )
    member = "window"
    follows_from = WindowFunction
    other_lines = (PayloadOptions,)
    example = 'a window function like window.count("30m")'

    def settings(self, options: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Read which events are kept, for how long, and which of them count as repeats."""
        where, mistakes = checked_where(options.get("where"))
        problems.extend(mistakes)
        retention_ms = duration_option(options, "retention", problems)
        tile_ms = duration_option(options, "tile", problems)
        tile_retention_ms = duration_option(options, "tile_retention", problems)
        max_events = options.get("max_events")
        if max_events == 0:
            problems.append("max_events must be a positive integer, or None, not 0")
        return {
            "payload": (),
            "where": where,
            "retention_ms": retention_ms,
            "max_events": 0 if max_events is None else max_events,
            "repeats": options.get("repeats", "count"),
            "event_id": options.get("event_id"),
            "tile_ms": tile_ms,
            "tile_retention_ms": tile_retention_ms or (retention_ms if tile_ms else 0),
        }

    def takes(
        self, declared: ViewDeclaration, name: str, annotation: Annotation, value: Any
    ) -> bool:
        """Take a line that declares a payload field."""
        if not isinstance(value, PayloadOptions):
            return False
        column = name if value.column is None else value.column
        data_type = annotation.data_type or DataType("String")
        declared.settings["payload"] += (PayloadField(name, data_type, column),)
        return True

    def complete(self, declared: ViewDeclaration) -> None:
        """Exempt features that read a field of unknown type from the check."""
        fields = {part.name for part in declared.settings["payload"]} & declared.unjudged
        for feature in declared.features.values():
            window = feature.options.follows_from
            if isinstance(window, WindowFunction) and window.field in fields:
                declared.unjudged.add(feature.name)


class SeriesView(View):
    """Base class of series views; subclass it to declare one.

    `Payload()` lines are the fields of an event, in the order in which they are stored. Lines with
    a function of `fscore.window` are features. `entity`, `source`, `owner`, `description`, `tags`
    and `name` are as in `FeatureView`. Durations are as in its `ttl`. The other arguments of the
    class statement are:

    - `where` selects the rows of the source that are events, as in mappings.
    - `retention` is how long events are kept, at least the longest window; None keeps them for
      ever.
    - `max_events` is how many events of an entity are kept, the newest; None keeps all.
    - `repeats="count"` keeps every event; `"collapse"` keeps only the newest event of each payload.
    - `event_id` is a column whose value distinguishes events of the same time and payload.
    - `tile` is the length of pre-aggregated buckets, from which long windows are read.
    - `tile_retention` is how long tiles are kept; None keeps them as long as events.

    An invalid argument raises nothing in the class statement; `Registry` reports it with everything
    else that is wrong.
    """

    __fscore_kind__: ClassVar[ViewKind] = SeriesViewKind()

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            entity: Entity,
            source: EventSource | None = None,
            where: Where | None = None,
            retention: str | timedelta | None = None,
            max_events: int | None = None,
            repeats: Repeats = "count",
            event_id: str | None = None,
            tile: str | timedelta | None = None,
            tile_retention: str | timedelta | None = None,
            owner: str = "",
            description: str = "",
            tags: Mapping[str, str] | None = None,
            name: str | None = None,
        ) -> None:
            """Declare the arguments for editors; the metaclass reads them."""
