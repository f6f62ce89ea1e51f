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
from typing import TYPE_CHECKING, Any, Self, TypeVar

from fscore.errors import InvalidDefinition, wrong_argument
from fscore.model.entities import EntityDefinition, ServiceDefinition
from fscore.model.views import (
    FeatureViewDefinition,
    ViewDefinition,
    view_from_json,
)
from fscore.registry.check.whole import check
from fscore.registry.collect import Collector

if TYPE_CHECKING:
    from fscore.definitions.folder import Declaration

__all__ = ["Registry"]

T = TypeVar("T")

FORMAT = 1
"""The format's number in the JSON; `from_json` refuses any other."""


@dataclass(frozen=True, eq=False)
class Registry:
    """All entities, views and services by name, checked and sorted by name.

    Make one with `load`, `from_definitions` or `from_json`, and do not change it.
    """

    entities: Mapping[str, EntityDefinition] = field(default_factory=dict)
    views: Mapping[str, ViewDefinition] = field(default_factory=dict)
    services: Mapping[str, ServiceDefinition] = field(default_factory=dict)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Import the definitions in a folder or in one file, and check them.

        Of a folder it imports all `*.py` files, in sorted order, without subfolders. Raises
        InvalidDefinition if anything is wrong; the error lists every problem with its file, line,
        class and field.
        """
        # Imported here: only who loads definitions needs the machinery of imports.
        from pathlib import Path

        from fscore.definitions.folder import load_declarations

        declarations, problems = load_declarations(Path(path))
        if not declarations and not problems:
            problems = [f"{path}: declares nothing: no Entity, view or FeatureService was found"]
        return cls._build(declarations, problems)

    @classmethod
    def from_definitions(cls, declarations: Iterable[Declaration]) -> Self:
        """Collect and check these entities, views and services, and everything they refer to.

        Raises InvalidDefinition as `load` does, and TypeError if an item is none of the three.
        """
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
        """Read the text that `to_json` returned. Raises InvalidDefinition if it is not valid."""
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
        """Return the canonical JSON, with sorted keys and without spaces.

        Equal registries return equal text.
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
        """The SHA-256 of the canonical JSON, in hexadecimal."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def _check_text(self) -> None:
        """Raise InvalidDefinition if UTF-8 cannot write some text.

        Text of Python can hold lone surrogates, which UTF-8 cannot write.
        """
        try:
            self.to_json().encode()
        except UnicodeEncodeError as error:
            near = str(error.object)[max(0, error.start - 40) : error.end]
            raise InvalidDefinition(
                f"the definitions hold text that is not Unicode, at the end of {near!r}: remove it"
            ) from None

    def __eq__(self, other: object) -> bool:
        """Return whether the JSON of both is equal.

        NaN does not equal itself, so comparing field by field would fail for a default of NaN.
        """
        return isinstance(other, Registry) and self.digest == other.digest

    def __hash__(self) -> int:
        """Return a hash that agrees with equality."""
        return hash(self.digest)

    def views_of(self, entity: str) -> list[ViewDefinition]:
        """Return the views of an entity, sorted by name."""
        return [view for view in self.views.values() if view.entity == entity]

    @property
    def packed_views(self) -> list[FeatureViewDefinition]:
        """The views with packed rows, including those that are being migrated."""
        return [
            view
            for view in self.views.values()
            if isinstance(view, FeatureViewDefinition) and "packed" in view.layouts
        ]

    def hash_views_of(self, entity: str) -> list[FeatureViewDefinition]:
        """Return the views that share an entity's hash, including those that are being migrated."""
        return [
            view
            for view in self.views_of(entity)
            if isinstance(view, FeatureViewDefinition) and "hash" in view.layouts
        ]


def checked_registry(given: Registry, argument: str = "registry") -> Registry:
    """Return the definitions that a call is given; InvalidArgument if they are not a Registry."""
    if isinstance(given, Registry):
        return given
    raise wrong_argument(
        argument, given, "a Registry, which Registry.load and Registry.from_definitions make"
    )


def _parts(
    data: dict[str, Any], kind: str, read: Callable[[str, Any], T], problems: list[str]
) -> dict[str, T]:
    """Read one of the three parts of the JSON; an item that cannot be read becomes a problem."""
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
