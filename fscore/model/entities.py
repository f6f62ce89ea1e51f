"""Entities and services as plain frozen data, and their JSON; `model.views` has the views.

The declarations that people write in Python are compiled into these. Clients read them from the
registry in Redis, without the Python files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

JOIN_KEY_TYPES = ("Int64", "String")


@dataclass(frozen=True, slots=True)
class EntityDefinition:
    """An entity. `join_keys` are (name, `Int64` or `String`), in the order of the Redis key."""

    name: str
    join_keys: tuple[tuple[str, str], ...]
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {
            "join_keys": [list(pair) for pair in self.join_keys],
            "description": self.description,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Self:
        """Read the JSON data that the registry stores."""
        join_keys = tuple((key, kind) for key, kind in data["join_keys"])
        return cls(name, join_keys, data["description"], data["tags"])


@dataclass(frozen=True, slots=True)
class ServiceFeature:
    """One output of a service. `alias` is None if the feature keeps its name."""

    view: str
    feature: str
    alias: str | None = None

    @property
    def output(self) -> str:
        """The name in the service's output."""
        return self.feature if self.alias is None else self.alias

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {"view": self.view, "feature": self.feature, "alias": self.alias}


@dataclass(frozen=True, slots=True)
class ServiceDefinition:
    """A feature service, with its features in the order of the model's input."""

    name: str
    features: tuple[ServiceFeature, ...]
    version: int = 1
    owner: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {
            "features": [feature.to_json() for feature in self.features],
            "version": self.version,
            "owner": self.owner,
            "description": self.description,
            "tags": dict(self.tags),
        }

    @classmethod
    def from_json(cls, name: str, data: Any) -> Self:
        """Read the JSON data that the registry stores."""
        features = tuple(
            ServiceFeature(item["view"], item["feature"], item["alias"])
            for item in data["features"]
        )
        return cls(
            name, features, data["version"], data["owner"], data["description"], data["tags"]
        )
