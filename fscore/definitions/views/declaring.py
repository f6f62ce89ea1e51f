"""The base of all kinds of views: the metaclass that reads class statements.

Each kind of view is a base class with a `ViewKind`, which says which arguments its class statements
take and what its features are computed from. The metaclass does the rest for all kinds.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import TYPE_CHECKING, Any, ClassVar, cast, get_origin, overload

from fscore.definitions.entity import Entity
from fscore.definitions.markers import Annotation, FeatureRef, annotation_of
from fscore.definitions.origin import Origin, declaring_frame
from fscore.model.data_type import DataType
from fscore.model.names import duration_ms, listed, snake_case, text_of
from fscore.model.source import EventSource
from fscore.model.views import ViewDefinition

COMMON_OPTIONS = ("owner", "description", "tags", "name")
"""The arguments that every kind takes, besides `entity`."""


@dataclass(slots=True)
class FeatureOptions:
    """The arguments of `Feature(...)`."""

    follows_from: Any = None
    default: Any = None
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    ttl: Any = None
    problems: list[str] = field(default_factory=list)


@dataclass(slots=True)
class DeclaredFeature:
    """An annotated line that declares a feature."""

    name: str
    annotation: Annotation
    options: FeatureOptions
    ttl_ms: int = 0

    @property
    def data_type(self) -> DataType:
        """The type; a stand-in if the annotation is not valid, which is reported already."""
        return self.annotation.data_type or DataType("String")


class ViewKind:
    """The part of reading a class statement that differs between kinds of views."""

    base: ClassVar[str]
    """The name of its base class."""
    model: ClassVar[type[ViewDefinition]]
    options: ClassVar[tuple[str, ...]]
    """The arguments of its class statement, without the common ones."""
    member: ClassVar[str]
    """The member of a `FeatureDefinition` that holds what the feature is computed from."""
    follows_from: ClassVar[type]
    other_lines: ClassVar[tuple[type, ...]] = ()
    """Types of the values assigned to annotated lines that are not features."""
    example: ClassVar[str]
    """An example of what a feature is computed from, for messages."""

    def settings(self, options: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Return the kind's own arguments as members of its definition; add to `problems`."""
        return {}

    def accepted(self, value: Any) -> Any:
        """Return `value` if a feature of this kind can be computed from it, else None."""
        return value if isinstance(value, self.follows_from) else None

    def takes(
        self, declared: ViewDeclaration, name: str, annotation: Annotation, value: Any
    ) -> bool:
        """Take an annotated line if it is not a feature; return whether it was taken."""
        return False

    def complete(self, declared: ViewDeclaration) -> None:
        """Finish the declaration after every line was read."""


@dataclass(slots=True)
class ViewDeclaration:
    """The contents of a view's class statement; `problems` are pairs (feature or "", message).

    `settings` are the members of the definition that only this kind has. `unjudged` are the lines
    that the check passes over, because a problem of theirs is reported already.
    """

    class_name: str
    name: str
    origin: Origin
    kind: ViewKind
    entity: Entity | None = None
    source: EventSource | None = None
    owner: str = ""
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    features: dict[str, DeclaredFeature] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    unjudged: set[str] = field(default_factory=set)

    @property
    def entity_name(self) -> str:
        """The entity's name; empty if the class statement gives none."""
        return "" if self.entity is None else text_of(self.entity.name)

    def note(self, name: str, problem: str) -> None:
        """Note a problem of one annotated line."""
        self.problems.append((name, problem))
        self.unjudged.add(name)


class ViewMeta(type):
    """Reads a view's class statement and turns its features into references."""

    __fscore_view__: ViewDeclaration | None
    __fscore_kind__: ViewKind

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any
    ) -> ViewMeta:
        """Make the class, and note in its declaration what is wrong with it."""
        cls = super().__new__(mcls, name, bases, namespace)
        if not any(hasattr(base, "__fscore_kind__") for base in bases):
            cls.__fscore_view__ = None  # View itself, and the base of each kind
            return cls
        frame = declaring_frame()
        kind = cls.__fscore_kind__
        declared = _read_options(name, kind, frame, options)
        if any(declaration_of(base) for base in bases if isinstance(base, ViewMeta)):
            declared.problems.append(
                ("", f"a view cannot inherit from another view: derive it from {kind.base}")
            )
        _read_lines(cls, declared, frame, namespace)
        kind.complete(declared)
        cls.__fscore_view__ = declared
        view = cast("type[View]", cls)
        for feature in declared.features.values():
            reference = feature.annotation.marker(view, feature.name, feature.data_type)
            setattr(cls, feature.name, reference)
        return cls

    def __init__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], /, **options: Any
    ) -> None:
        """Accept the options, which `__new__` has read."""
        super().__init__(name, bases, namespace)

    @overload
    def __getitem__(cls, names: str) -> FeatureRef: ...
    @overload
    def __getitem__(cls, names: list[str] | tuple[str, ...]) -> tuple[FeatureRef, ...]: ...
    def __getitem__(
        cls, names: str | list[str] | tuple[str, ...]
    ) -> FeatureRef | tuple[FeatureRef, ...]:
        """Return one feature by its name, or several in the given order.

        Raises AttributeError if the view has no feature of that name.
        """
        if isinstance(names, str):
            return _reference(cls, names)
        return tuple(_reference(cls, name) for name in names)

    if not TYPE_CHECKING:  # with it, type checkers would accept every attribute

        def __getattr__(cls, name: str) -> Any:
            """Raise AttributeError, naming the features that there are."""
            raise AttributeError(_no_such_feature(cls, name))


class View(metaclass=ViewMeta):
    """Base class of every kind of view."""

    __fscore_view__: ClassVar[ViewDeclaration | None]
    __fscore_kind__: ClassVar[ViewKind]


def declaration_of(view: object) -> ViewDeclaration | None:
    """Return a view's declaration; None for the base class of a kind and for anything else."""
    return getattr(view, "__fscore_view__", None) if isinstance(view, ViewMeta) else None


def duration_option(options: Mapping[str, Any], name: str, problems: list[str]) -> int:
    """Read one argument as milliseconds; 0 if it is left out or not valid."""
    try:
        return duration_ms(options.get(name))
    except ValueError as error:
        problems.append(f"{name}: {error}")
        return 0


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


def _read_options(
    class_name: str, kind: ViewKind, frame: FrameType, options: dict[str, Any]
) -> ViewDeclaration:
    origin = Origin(frame.f_code.co_filename, frame.f_lineno)
    name = options.get("name")
    name = snake_case(class_name) if name is None else text_of(name)
    declared = ViewDeclaration(class_name, name, origin, kind)
    problems: list[str] = []
    known = ("entity", *kind.options, *COMMON_OPTIONS)
    if unknown := [option for option in options if option not in known]:
        problems.append(
            f"unknown argument {', '.join(unknown)}: a {kind.base} takes {', '.join(known)}"
        )
    entity = options.get("entity")
    if isinstance(entity, Entity):
        declared.entity = entity
    source = options.get("source") if "source" in kind.options else None
    if source is None or isinstance(source, EventSource):
        declared.source = source
    else:
        problems.append(f"source must be an EventSource, not {source!r}")
    declared.owner = options.get("owner", "")
    declared.description = options.get("description", "")
    declared.tags = options.get("tags") or {}
    declared.settings = kind.settings(options, problems)
    declared.problems.extend(("", problem) for problem in problems)
    return declared


def _read_lines(
    cls: ViewMeta, declared: ViewDeclaration, frame: FrameType, namespace: dict[str, Any]
) -> None:
    kind = declared.kind
    annotations: dict[str, Any] = cls.__annotations__
    for name, raw in annotations.items():
        annotation = _evaluated(raw, frame)
        if annotation is None or name.startswith("__"):
            continue
        if annotation.problem:
            declared.note(name, annotation.problem)
        value = namespace.get(name)
        if kind.takes(declared, name, annotation, value):
            delattr(cls, name)  # so that it is not taken for a feature
            continue
        feature = DeclaredFeature(name, annotation, _options_of(value, name, annotation, kind))
        declared.features[name] = feature
        _read_ttl(declared, feature)
        for problem in feature.options.problems:
            declared.note(name, problem)
    for name, value in namespace.items():
        if name in annotations or name.startswith("_"):
            continue
        if isinstance(value, (FeatureOptions, kind.follows_from, *kind.other_lines)):
            declared.note(name, f"has no type: write {name}: <type> = …")
        elif isinstance(value, Annotation) or (
            isinstance(value, type) and issubclass(value, FeatureRef)
        ):
            declared.note(name, f"is assigned a type: write {name}: <type>, with a colon")


def _read_ttl(declared: ViewDeclaration, feature: DeclaredFeature) -> None:
    ttl = feature.options.ttl
    if ttl is None:
        return
    if "ttl" not in declared.kind.options:
        problem = f"has a ttl, which features of a {declared.kind.base} cannot have: leave it out"
        feature.options.problems.append(problem)
        return
    try:
        feature.ttl_ms = duration_ms(ttl)
    except ValueError as error:
        feature.options.problems.append(f"ttl: {error}")


def _evaluated(raw: Any, frame: FrameType) -> Annotation | None:
    """Read one annotation; None for a ClassVar.

    It is text if the user's file has `from __future__ import annotations`.
    """
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


def _options_of(value: Any, name: str, annotation: Annotation, kind: ViewKind) -> FeatureOptions:
    if value is None:
        return FeatureOptions()
    if (accepted := kind.accepted(value)) is not None:
        return FeatureOptions(accepted)
    if isinstance(value, FeatureOptions):
        given = value.follows_from
        value.follows_from = kind.accepted(given)
        if given is not None and value.follows_from is None:
            value.problems.append(
                f"the first argument of Feature() is {kind.example}, not {given!r}; "
                "a default is written default=…"
            )
        return value
    shown = annotation.data_type or "<type>"
    problem = f"is assigned {value!r}: a feature of a {kind.base} follows from {kind.example}"
    if isinstance(value, (str, bytes, int, float, list, tuple)):
        problem = (
            f"is assigned {value!r}: a default is written {name}: {shown} = "
            f"Feature(default={value!r})"
        )
    return FeatureOptions(problems=[problem])
