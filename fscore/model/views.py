"""The four kinds of views as plain frozen data, and their JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Literal, Self, TypeAlias

from fscore.model.data_type import DataType
from fscore.model.expression import Expression
from fscore.model.mapping import Conditions, FeatureMapping, checked_where, where_json
from fscore.model.source import EventSource
from fscore.model.window import WindowFunction

Layout: TypeAlias = Literal["hash", "packed"]
"""How a feature view stores rows: as a hash field for each feature, or as one compact value."""
Repeats: TypeAlias = Literal["count", "collapse"]
"""Which events a series keeps: every one, or only the newest of each payload."""
LAYOUTS: tuple[Layout, Layout] = ("hash", "packed")
"""The layouts that a feature view may have."""

Tiles = Literal["none", "exact", "granular"]
Columns = tuple[tuple[str, str], ...]
"""Pairs of a name and a type, as the registry spells it."""
Schemas: TypeAlias = Mapping[int, Columns]
"""The columns of packed rows, by the fingerprint in the rows."""


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """A feature. `default` is a normalized value of its type, or None.

    It is computed from a `mapping` in feature views and flag views, from a `window` in series, and
    from an `expression`, as JSON data, in views on request. A `ttl_ms` of 0 means the view's TTL.
    """

    name: str
    type: DataType
    default: Any = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    mapping: FeatureMapping | None = None
    ttl_ms: int = 0
    window: WindowFunction | None = None
    expression: Any = None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that features of all kinds of views share."""
        return {
            "name": self.name,
            "type": str(self.type),
            "default": self.type.to_json(self.default),
            "description": self.description,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_json(cls, data: Any, **follows_from: Any) -> Self:
        """Read the JSON data that features of all kinds share; the rest comes as arguments."""
        data_type = DataType.parse(data["type"])
        default = None if data["default"] is None else data_type.from_json(data["default"])
        return cls(
            data["name"], data_type, default, data["description"], data["tags"], **follows_from
        )


@dataclass(frozen=True)
class ViewDefinition:
    """Base class of the four kinds of views, with features in declared order."""

    kind: ClassVar[str]
    _plain: ClassVar[tuple[str, ...]] = ()
    """The members that only this kind has, and that are in the JSON unchanged."""

    name: str
    entity: str
    features: tuple[FeatureDefinition, ...]
    owner: str = field(default="", kw_only=True)
    description: str = field(default="", kw_only=True)
    tags: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    source: EventSource | None = field(default=None, kw_only=True)

    def feature(self, name: str) -> FeatureDefinition | None:
        """Return the feature of that name, or None."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, FeatureDefinition]:
        return {feature.name: feature for feature in self.features}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {
            "kind": self.kind,
            "entity": self.entity,
            "owner": self.owner,
            "description": self.description,
            "tags": dict(self.tags),
            "source": None if self.source is None else self.source.to_json(),
            "features": [feature.to_json() | self._rest(feature) for feature in self.features],
            **{name: getattr(self, name) for name in self._plain},
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Self:
        """Read the JSON data that the registry stores."""
        return cls(
            name,
            data["entity"],
            tuple(cls._read_feature(feature) for feature in data["features"]),
            owner=data["owner"],
            description=data["description"],
            tags=data["tags"],
            source=None if data["source"] is None else EventSource.from_json(data["source"]),
            **cls._read(data),
        )

    @classmethod
    def _read(cls, data: Any) -> dict[str, Any]:
        """Read the members that only this kind has."""
        return {name: data[name] for name in cls._plain}

    @staticmethod
    def _rest(feature: FeatureDefinition) -> dict[str, Any]:
        """Return the members of a feature that only this kind has."""
        return {"mapping": None if feature.mapping is None else feature.mapping.to_json()}

    @classmethod
    def _read_feature(cls, data: Any) -> FeatureDefinition:
        return FeatureDefinition.from_json(data, mapping=_mapping(data))


@dataclass(frozen=True)
class FeatureViewDefinition(ViewDefinition):
    """A view of features that arrive together as rows. A `ttl_ms` of 0 means that none expires.

    Rows are read in `layout`. During a migration `migrating_from` is the other layout, and rows are
    written in both.
    """

    kind = "features"
    _plain = ("ttl_ms", "layout", "migrating_from")

    ttl_ms: int = 0
    layout: Layout = "hash"
    migrating_from: Layout | None = None

    @property
    def columns(self) -> Columns:
        """The schema of the view's packed rows."""
        return tuple((feature.name, str(feature.type)) for feature in self.features)

    @property
    def layouts(self) -> tuple[Layout, ...]:
        """The layouts in which rows are written; the first is the one that is read."""
        return (self.layout,) if self.migrating_from is None else (self.layout, self.migrating_from)

    @property
    def life_ms(self) -> int:
        """How long after its event time a row has values that are not expired; 0 is for ever."""
        lives = [feature.ttl_ms or self.ttl_ms for feature in self.features]
        return max(lives, default=0) if all(lives) else 0

    @staticmethod
    def _rest(feature: FeatureDefinition) -> dict[str, Any]:
        return {**ViewDefinition._rest(feature), "ttl_ms": feature.ttl_ms}

    @classmethod
    def _read_feature(cls, data: Any) -> FeatureDefinition:
        return FeatureDefinition.from_json(data, mapping=_mapping(data), ttl_ms=data["ttl_ms"])


@dataclass(frozen=True, slots=True)
class PayloadField:
    """A field of the events of a series, and the column of the source that holds it."""

    name: str
    type: DataType
    column: str

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {"name": self.name, "type": str(self.type), "column": self.column}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the JSON data that the registry stores."""
        return cls(data["name"], DataType.parse(data["type"]), data["column"])


@dataclass(frozen=True)
class SeriesViewDefinition(ViewDefinition):
    """A view of an entity's events in a sorted set, with features over windows of them.

    A `retention_ms`, `max_events` or `tile_retention_ms` of 0 means no limit, so nothing is
    dropped. A `tile_ms` of 0 means that there are no tiles.
    """

    kind = "series"
    _plain = (
        *("retention_ms", "max_events", "repeats", "event_id", "tile_ms", "tile_retention_ms"),
    )

    payload: tuple[PayloadField, ...] = ()
    where: Conditions = field(default_factory=dict)
    retention_ms: int = 0
    max_events: int = 0
    repeats: Repeats = "count"
    event_id: str | None = None
    tile_ms: int = 0
    tile_retention_ms: int = 0

    @property
    def columns(self) -> Columns:
        """The payload's names and types, in the order in which an event stores them."""
        return tuple((part.name, str(part.type)) for part in self.payload)

    def length_ms(self, window: WindowFunction) -> int:
        """Return how many milliseconds a function looks back; 0 is no limit."""
        return window.window_ms or self.retention_ms

    def tiles(self, window: WindowFunction | None) -> Tiles:
        """Return which part of a function's window is read from tiles.

        `none`: no part. `exact`: the whole tiles between the edges of the window; the edges are
        read from events, so the result is exact. `granular`: all of it, in whole tiles, because the
        window is longer than events are kept.
        """
        if window is None or not self.tile_ms or not window.tiled:
            return "none"
        length = self.length_ms(window)
        if self.retention_ms and length > self.retention_ms:
            return "granular"
        # A window shorter than two tiles may contain no whole tile. Events that max_events dropped
        # stay in their tile, so tiles and edges would count different events.
        exact = length >= 2 * self.tile_ms and not self.max_events
        return "exact" if exact else "none"

    @property
    def tile_fields(self) -> tuple[str, ...]:
        """The payload fields that tiles aggregate."""
        read = {
            feature.window.field
            for feature in self.features
            if feature.window is not None and self.tiles(feature.window) != "none"
        }
        return tuple(part.name for part in self.payload if part.name in read)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return super().to_json() | {
            "payload": [part.to_json() for part in self.payload],
            "where": where_json(self.where),
        }

    @classmethod
    def _read(cls, data: Any) -> dict[str, Any]:
        where, mistakes = checked_where(data["where"])
        if mistakes:
            raise ValueError("; ".join(mistakes))
        payload = tuple(PayloadField.from_json(part) for part in data["payload"])
        return super()._read(data) | {"payload": payload, "where": where}

    @staticmethod
    def _rest(feature: FeatureDefinition) -> dict[str, Any]:
        return {"window": None if feature.window is None else feature.window.to_json()}

    @classmethod
    def _read_feature(cls, data: Any) -> FeatureDefinition:
        return FeatureDefinition.from_json(data, window=WindowFunction.from_json(data["window"]))


@dataclass(frozen=True)
class FlagViewDefinition(ViewDefinition):
    """A view of booleans in bitmaps, whose bits are numbered by the entity's ids.

    `ids` is the pattern of an id with its number, like `user_%04d`; None if the join key is the
    number itself.
    """

    kind = "flags"
    _plain = ("ids",)

    ids: str | None = None


@dataclass(frozen=True)
class RequestViewDefinition(ViewDefinition):
    """A view of features computed when they are read. `request` has the inputs and their types."""

    kind = "request"

    request: Columns = ()

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return super().to_json() | {"request": [list(part) for part in self.request]}

    @classmethod
    def _read(cls, data: Any) -> dict[str, Any]:
        request = [(name, str(DataType.parse(kind))) for name, kind in data["request"]]
        return {"request": tuple(request)}

    @staticmethod
    def _rest(feature: FeatureDefinition) -> dict[str, Any]:
        return {"expression": feature.expression}

    @classmethod
    def _read_feature(cls, data: Any) -> FeatureDefinition:
        expression = Expression.from_json(data["expression"]).to_json()
        return FeatureDefinition.from_json(data, expression=expression)


VIEW_KINDS: Mapping[str, type[ViewDefinition]] = {
    kind.kind: kind
    for kind in (
        FeatureViewDefinition,
        SeriesViewDefinition,
        FlagViewDefinition,
        RequestViewDefinition,
    )
}


def view_from_json(name: str, data: Any) -> ViewDefinition:
    """Read the JSON data of a view of any kind. Raises ValueError if there is no such kind."""
    kind = VIEW_KINDS.get(data["kind"])
    if kind is None:
        raise ValueError(f"kind must be one of {', '.join(VIEW_KINDS)}, not {data['kind']!r}")
    return kind.from_json(name, data)


def _mapping(data: Any) -> FeatureMapping | None:
    return None if data["mapping"] is None else FeatureMapping.from_json(data["mapping"])
