"""The registry: all definitions together, checked, as plain data with one canonical JSON form.

>>> from fscore import Entity, FeatureService, FeatureView, Int64, Registry, String
>>> user = Entity("user", join_keys={"user_id": String})
>>> class Profile(FeatureView, entity=user):
...     age: Int64
>>> registry = Registry.from_definitions([FeatureService("ranking", features=[Profile])])
>>> list(registry.entities), list(registry.views), list(registry.services)
(['user'], ['profile'], ['ranking'])
>>> Registry.from_json(registry.to_json()) == registry
True
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self, TypeVar

from fscore.definitions.folder import Declaration, load_declarations
from fscore.errors import InvalidDefinition
from fscore.model.entities import EntityDefinition, ServiceDefinition, ServiceFeature
from fscore.model.views import (
    VIEW_KINDS,
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    PayloadField,
    RequestViewDefinition,
    SeriesViewDefinition,
    ViewDefinition,
    view_from_json,
)
from fscore.registry.check.whole import check
from fscore.registry.collect import Collector

__all__ = [
    "VIEW_KINDS",
    "EntityDefinition",
    "FeatureDefinition",
    "FeatureViewDefinition",
    "FlagViewDefinition",
    "PayloadField",
    "Registry",
    "RequestViewDefinition",
    "SeriesViewDefinition",
    "ServiceDefinition",
    "ServiceFeature",
    "ViewDefinition",
]

T = TypeVar("T")

FORMAT = 1
"""The number in the JSON; a later format is refused, not guessed."""


@dataclass(frozen=True, eq=False)
class Registry:
    """Entities, views and services by name, each sorted by name. Not to be changed once made."""

    entities: Mapping[str, EntityDefinition] = field(default_factory=dict)
    views: Mapping[str, ViewDefinition] = field(default_factory=dict)
    services: Mapping[str, ServiceDefinition] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Import a folder of definitions (its `*.py`, sorted, not its subfolders) or one file.

        Raises InvalidDefinition with everything that is wrong, each with file, line, class and
        field.
        """
        declarations, problems = load_declarations(Path(path))
        if not declarations and not problems:
            problems = [f"{path}: declares nothing: no Entity, view or FeatureService was found"]
        return cls._build(declarations, problems)

    @classmethod
    def from_definitions(cls, declarations: Iterable[Declaration]) -> Self:
        """Collect entities, views and services declared anywhere, and what they refer to."""
        return cls._build(declarations, [])

    @classmethod
    def _build(cls, declarations: Iterable[Declaration], problems: list[str]) -> Self:
        collector = Collector(problems)
        for declaration in declarations:
            collector.add(declaration)
        registry = cls(*collector.compiled())
        for path, message in check(registry.entities, registry.views, registry.services):
            if path not in collector.unjudged:
                problems.append(f"{collector.place(path)}: {message}")
        _raise_if_any(problems, "the definitions")
        registry._check_text()
        return registry

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read what `to_json` wrote; raises InvalidDefinition where it cannot be."""
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidDefinition(f"the registry is not valid JSON: {error}") from None
        found = data.get("format") if isinstance(data, dict) else None
        if found != FORMAT:
            raise InvalidDefinition(
                f"the registry has format {found!r}, and this version of fscore reads "
                f"{FORMAT}: upgrade fscore"
            )
        problems: list[str] = []
        registry = cls(
            _parts(data, "entities", EntityDefinition.from_json, problems),
            _parts(data, "views", view_from_json, problems),
            _parts(data, "services", ServiceDefinition.from_json, problems),
        )
        if not problems:
            found_problems = check(registry.entities, registry.views, registry.services)
            problems = [
                f"{'.'.join(map(str, path))}: {message}" for path, message in found_problems
            ]
        _raise_if_any(problems, "the registry's JSON")
        registry._check_text()
        return registry

    def to_json(self) -> str:
        """Return the canonical JSON.

        Sorted keys, no spaces, UTF-8; equal registries give equal text.
        """
        data = {
            "format": FORMAT,
            "entities": {name: entity.to_json() for name, entity in self.entities.items()},
            "views": {name: view.to_json() for name, view in self.views.items()},
            "services": {name: service.to_json() for name, service in self.services.items()},
        }
        return json.dumps(
            data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def _check_text(self) -> None:
        """Refuse what UTF-8 cannot write; Python's text can hold lone surrogates."""
        try:
            self.to_json().encode()
        except UnicodeEncodeError as error:
            near = str(error.object)[max(0, error.start - 40) : error.end]
            raise InvalidDefinition(
                f"the definitions hold text that is not Unicode, at the end of {near!r}: remove it"
            ) from None

    def __eq__(self, other: object) -> bool:
        """Registries are equal when their JSON is; field by field a default of NaN would not be."""
        return isinstance(other, Registry) and self.digest == other.digest

    def __hash__(self) -> int:
        """Follow equality."""
        return hash(self.digest)

    def views_of(self, entity: str) -> list[ViewDefinition]:
        """Return the views of an entity, sorted by name."""
        return [view for view in self.views.values() if view.entity == entity]

    @property
    def packed_views(self) -> list[FeatureViewDefinition]:
        """Return the views with packed rows, those that migrate included."""
        return [
            view
            for view in self.views.values()
            if isinstance(view, FeatureViewDefinition) and "packed" in view.layouts
        ]

    def hash_views_of(self, entity: str) -> list[FeatureViewDefinition]:
        """Return the views that share an entity's hash, those that migrate included."""
        return [
            view
            for view in self.views_of(entity)
            if isinstance(view, FeatureViewDefinition) and "hash" in view.layouts
        ]


def _parts(
    data: dict[str, Any], kind: str, read: Callable[[str, Any], T], problems: list[str]
) -> dict[str, T]:
    """Read one of the three parts of the JSON; what cannot be read becomes a problem."""
    parts: dict[str, T] = {}
    found = data.get(kind)
    if not isinstance(found, dict):
        problems.append(f"{kind}: must be an object, not {found!r}")
        return parts
    for name, item in sorted(found.items()):
        try:
            parts[name] = read(name, item)
        except KeyError as error:
            problems.append(f"{kind}.{name}: {error} is missing")
        except (TypeError, ValueError, AttributeError) as error:
            problems.append(f"{kind}.{name}: {error}")
    return parts


def _raise_if_any(problems: list[str], what: str) -> None:
    if problems:
        unique = list(dict.fromkeys(problems))
        count = "1 problem" if len(unique) == 1 else f"{len(unique)} problems"
        lines = "".join(f"\n  {line}" for line in unique)
        raise InvalidDefinition(f"{count} in {what}:{lines}", problems=unique)
