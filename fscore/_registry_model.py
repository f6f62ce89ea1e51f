"""The parts of a registry as plain frozen data, and their JSON.

Declarations (the classes that people write) are compiled into these; clients that read the registry
from Redis get these without ever seeing the Python files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

from fscore.source import FeatureMapping, FileSource
from fscore.types import DataType

LAYOUTS = ("hash",)
"""The layouts that this version reads and writes."""


@dataclass(frozen=True, slots=True)
class EntityDefinition:
    """An entity; `join_keys` are (name, `Int64` or `String`) in the order of the Redis key."""

    name: str
    join_keys: tuple[tuple[str, str], ...]
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the registry's form."""
        return {
            "join_keys": [list(pair) for pair in self.join_keys],
            "description": self.description,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Self:
        """Read the registry's form."""
        join_keys = tuple((key, kind) for key, kind in data["join_keys"])
        return cls(name, join_keys, data["description"], data["tags"])


@dataclass(frozen=True, slots=True)
class FeatureDefinition:
    """A feature; `default` is a normalized value of its type, or None."""

    name: str
    type: DataType
    default: Any = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    mapping: FeatureMapping | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the registry's form."""
        return {
            "name": self.name,
            "type": str(self.type),
            "default": self.type.to_json(self.default),
            "description": self.description,
            "tags": dict(self.tags),
            "mapping": None if self.mapping is None else self.mapping.to_json(),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the registry's form."""
        data_type = DataType.parse(data["type"])
        default = None if data["default"] is None else data_type.from_json(data["default"])
        mapping = None if data["mapping"] is None else FeatureMapping.from_json(data["mapping"])
        return cls(data["name"], data_type, default, data["description"], data["tags"], mapping)


@dataclass(frozen=True)
class ViewDefinition:
    """A feature view; `ttl_ms` 0 means that nothing expires; features in declared order."""

    name: str
    entity: str
    features: tuple[FeatureDefinition, ...]
    ttl_ms: int = 0
    owner: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    layout: str = "hash"
    source: FileSource | None = None

    def feature(self, name: str) -> FeatureDefinition | None:
        """Return the feature of that name."""
        return self._by_name.get(name)

    @cached_property
    def _by_name(self) -> dict[str, FeatureDefinition]:
        return {feature.name: feature for feature in self.features}

    def to_json(self) -> dict[str, Any]:
        """Return the registry's form."""
        return {
            "entity": self.entity,
            "ttl_ms": self.ttl_ms,
            "owner": self.owner,
            "description": self.description,
            "tags": dict(self.tags),
            "layout": self.layout,
            "source": None if self.source is None else self.source.to_json(),
            "features": [feature.to_json() for feature in self.features],
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Self:
        """Read the registry's form."""
        return cls(
            name,
            data["entity"],
            tuple(FeatureDefinition.from_json(feature) for feature in data["features"]),
            ttl_ms=data["ttl_ms"],
            owner=data["owner"],
            description=data["description"],
            tags=data["tags"],
            layout=data["layout"],
            source=None if data["source"] is None else FileSource.from_json(data["source"]),
        )


@dataclass(frozen=True, slots=True)
class ServiceFeature:
    """One output of a service; `alias` is None where the feature keeps its name."""

    view: str
    feature: str
    alias: str | None = None

    @property
    def output(self) -> str:
        """The name in the service's output."""
        return self.feature if self.alias is None else self.alias

    def to_json(self) -> dict[str, Any]:
        """Return the registry's form."""
        return {"view": self.view, "feature": self.feature, "alias": self.alias}


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A feature service; features in the order of the model's input."""

    name: str
    features: tuple[ServiceFeature, ...]
    version: int = 1
    owner: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the registry's form."""
        return {
            "features": [feature.to_json() for feature in self.features],
            "version": self.version,
            "owner": self.owner,
            "description": self.description,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Self:
        """Read the registry's form."""
        features = tuple(
            ServiceFeature(item["view"], item["feature"], item["alias"])
            for item in data["features"]
        )
        return cls(
            name, features, data["version"], data["owner"], data["description"], data["tags"]
        )
