"""Feature views: typed features of one entity that arrive together, declared as annotated classes.

>>> from fscore import Entity, Feature, FeatureView, FileSource, Int64, String, count, latest
>>> user = Entity("user", join_keys={"user_id": String})
>>> clicks = FileSource("clicks", event_time="timestamp")
>>> class UserActivity(FeatureView, entity=user, source=clicks, ttl="365d", owner="growth"):
...     platform: String = Feature(latest("platform"), description="where the user was last seen")
...     events_total: Int64 = Feature(count(), default=0)
...     age: Int64
>>> UserActivity.platform
UserActivity.platform
>>> UserActivity[["platform", "age"]]
(UserActivity.platform, UserActivity.age)
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, cast, get_origin, overload

from fscore._declaration import (
    Origin,
    declaring_frame,
    duration_ms,
    listed,
    snake_case,
    text_of,
)
from fscore.entity import Entity
from fscore.source import FeatureMapping, FileSource
from fscore.types import Annotation, DataType, FeatureRef, annotation_of

__all__ = ["Feature", "FeatureView", "ViewDeclaration", "declaration_of"]

_OPTIONS = ("entity", "source", "ttl", "owner", "description", "tags", "name", "layout")


@dataclass(slots=True)
class FeatureOptions:
    """What `Feature(...)` says about a feature beside its type."""

    mapping: FeatureMapping | None = None
    default: Any = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def Feature(
    mapping: Any = None,
    *,
    default: Any = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
) -> Any:
    """Describe a feature: `platform: String = Feature(latest("platform"), description="…")`.

    `mapping` (from `latest`, `count` and so on) says how it follows from the view's source; without
    one somebody else writes it. `default` is served where the value is NULL, NOT_FOUND or EXPIRED,
    the status still saying which. Returns Any, so that type checkers accept it where the annotation
    says `String`.
    """
    options = FeatureOptions(None, default, description, {} if tags is None else tags)
    if mapping is None or isinstance(mapping, FeatureMapping):
        options.mapping = mapping
    else:
        options.problems.append(
            f'the first argument of Feature() is a mapping like latest("column"), not {mapping!r}; '
            "a default is written default=…"
        )
    return options


@dataclass(slots=True)
class DeclaredFeature:
    """One annotated line of a view."""

    name: str
    annotation: Annotation
    options: FeatureOptions

    @property
    def data_type(self) -> DataType:
        """The type; a stand-in where the annotation is none, which is reported already."""
        return self.annotation.data_type or DataType("String")


@dataclass(slots=True)
class ViewDeclaration:
    """What a view's class statement said; `problems` are (feature or "", message)."""

    class_name: str
    name: str
    origin: Origin
    entity: Entity | None = None
    source: FileSource | None = None
    ttl_ms: int = 0
    owner: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    layout: str = "hash"
    features: dict[str, DeclaredFeature] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)

    @property
    def entity_name(self) -> str:
        """The entity's name; empty where the class statement gives none."""
        return "" if self.entity is None else text_of(self.entity.name)


class ViewMeta(type):
    """Reads a view's class statement and turns its features into references."""

    __fscore_view__: ViewDeclaration | None

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any
    ) -> ViewMeta:
        """Make the class; what is wrong with it is noted in its declaration."""
        cls = super().__new__(mcls, name, bases, namespace)
        if not any(isinstance(base, ViewMeta) for base in bases):
            cls.__fscore_view__ = None  # FeatureView itself
            return cls
        frame = declaring_frame()
        declared = _read_options(name, frame, options)
        if any(declaration_of(base) for base in bases if isinstance(base, ViewMeta)):
            declared.problems.append(
                ("", "a view cannot inherit from another view: derive it from FeatureView")
            )
        _read_features(cls, declared, frame, namespace)
        cls.__fscore_view__ = declared
        view = cast("type[FeatureView]", cls)
        for feature in declared.features.values():
            reference = feature.annotation.marker(view, feature.name, feature.data_type)
            setattr(cls, feature.name, reference)
        return cls

    def __init__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any
    ) -> None:
        """Take the options that `__new__` has read."""
        super().__init__(name, bases, namespace)

    @overload
    def __getitem__(cls, names: str) -> FeatureRef: ...
    @overload
    def __getitem__(cls, names: list[str] | tuple[str, ...]) -> tuple[FeatureRef, ...]: ...
    def __getitem__(
        cls, names: str | list[str] | tuple[str, ...]
    ) -> FeatureRef | tuple[FeatureRef, ...]:
        """Return one feature by its name, or several in the given order."""
        if isinstance(names, str):
            return _reference(cls, names)
        return tuple(_reference(cls, name) for name in names)

    if not TYPE_CHECKING:  # a checker would take this as leave for every attribute

        def __getattr__(cls, name: str) -> Any:
            """Say which features there are."""
            raise AttributeError(_no_such_feature(cls, name))


class FeatureView(metaclass=ViewMeta):
    """Base of every feature view; the class statement's arguments describe the view.

    `entity` (required) is what it describes; `source` where its values come from; `ttl` after how
    long they expire (`"90s"`, `"5m"`, `"24h"`, `"30d"`, a timedelta, or None for never); `owner`,
    `description` and `tags` are for people; `name` replaces the class's name in snake_case;
    `layout` is how it is stored. Nothing raises in the class statement: what is wrong is reported
    with everything else when the definitions are collected.
    """

    __fscore_view__: ClassVar[ViewDeclaration | None]

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            entity: Entity,
            source: FileSource | None = None,
            ttl: str | timedelta | None = None,
            owner: str = "",
            description: str = "",
            tags: Mapping[str, str] | None = None,
            name: str | None = None,
            layout: str = "hash",
        ) -> None:
            """State the arguments for editors; the metaclass reads them."""


def declaration_of(view: type) -> ViewDeclaration | None:
    """Return what the class statement said; None for FeatureView itself and other classes."""
    return getattr(view, "__fscore_view__", None) if isinstance(view, ViewMeta) else None


def _reference(cls: ViewMeta, name: str) -> FeatureRef:
    reference = cls.__dict__.get(name)
    if isinstance(reference, FeatureRef):
        return reference
    raise AttributeError(_no_such_feature(cls, name))


def _no_such_feature(cls: ViewMeta, name: str) -> str:
    declared = declaration_of(cls)
    names = list(declared.features) if declared is not None else []
    near = difflib.get_close_matches(str(name), names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"its features are {listed(names)}"
    return f"{cls.__name__} has no feature {name!r}; {hint}"


def _read_options(class_name: str, frame: FrameType, options: dict[str, Any]) -> ViewDeclaration:
    origin = Origin(frame.f_code.co_filename, frame.f_lineno)
    name = options.get("name")
    name = snake_case(class_name) if name is None else text_of(name)
    declared = ViewDeclaration(class_name, name, origin)
    problems: list[str] = []
    if unknown := [option for option in options if option not in _OPTIONS]:
        problems.append(
            f"unknown argument {', '.join(unknown)}: a view takes {', '.join(_OPTIONS)}"
        )
    entity = options.get("entity")
    if isinstance(entity, Entity):
        declared.entity = entity
    source = options.get("source")
    if source is None or isinstance(source, FileSource):
        declared.source = source
    else:
        problems.append(f"source must be a FileSource, not {source!r}")
    try:
        declared.ttl_ms = duration_ms(options.get("ttl"))
    except ValueError as error:
        problems.append(f"ttl: {error}")
    declared.owner = options.get("owner", "")
    declared.description = options.get("description", "")
    declared.layout = options.get("layout", "hash")
    declared.tags = options.get("tags") or {}
    declared.problems.extend(("", problem) for problem in problems)
    return declared


def _read_features(
    cls: ViewMeta, declared: ViewDeclaration, frame: FrameType, namespace: dict[str, Any]
) -> None:
    annotations: dict[str, Any] = cls.__annotations__
    for name, raw in annotations.items():
        annotation = _evaluated(raw, frame)
        if annotation is None or name.startswith("__"):
            continue
        feature = DeclaredFeature(
            name, annotation, _options_of(namespace.get(name), name, annotation)
        )
        declared.features[name] = feature
        if annotation.problem:
            declared.problems.append((name, annotation.problem))
        declared.problems.extend((name, problem) for problem in feature.options.problems)
    for name, value in namespace.items():
        if name in annotations or name.startswith("__"):
            continue
        if isinstance(value, (FeatureOptions, FeatureMapping)):
            declared.problems.append((name, f"has no type: write {name}: <type> = …"))
        elif isinstance(value, Annotation) or (
            isinstance(value, type) and issubclass(value, FeatureRef)
        ):
            declared.problems.append(
                (name, f"is assigned a type: write {name}: <type>, with a colon")
            )


def _evaluated(raw: Any, frame: FrameType) -> Annotation | None:
    """Read one annotation, text under `from __future__ import annotations`; None for a ClassVar."""
    if isinstance(raw, str):
        try:
            # Without the future import the user's file would have evaluated this itself.
            value = eval(raw, frame.f_globals, frame.f_locals)
        except NameError as error:
            return Annotation(
                FeatureRef, None, f"{raw!r} is unknown here ({error}): import it from fscore"
            )
        except Exception as error:
            return Annotation(FeatureRef, None, f"{raw!r} cannot be read as a type: {error}")
    else:
        value = raw
    if value is ClassVar or get_origin(value) is ClassVar:
        return None
    return annotation_of(value)


def _options_of(value: Any, name: str, annotation: Annotation) -> FeatureOptions:
    if value is None:
        return FeatureOptions()
    if isinstance(value, FeatureOptions):
        return value
    if isinstance(value, FeatureMapping):
        return FeatureOptions(mapping=value)
    shown = annotation.data_type or "<type>"
    problem = (
        f"is assigned {value!r}: a default is written {name}: {shown} = Feature(default={value!r})"
    )
    return FeatureOptions(problems=[problem])
