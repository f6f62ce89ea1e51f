"""Turns what a call names into its name: callers give the name, or the object that declares it.

>>> from fscore import Entity, FeatureView, Int64, String
>>> user = Entity("user", join_keys={"user_id": String})
>>> class Profile(FeatureView, entity=user):
...     age: Int64
>>> view_name("profile"), view_name(Profile), names_of_read(None, [Profile.age, "country"], user)
('profile', 'profile', (None, ['profile:age', 'country'], 'user'))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

from fscore.definitions.entity import Entity
from fscore.definitions.markers import FeatureRef
from fscore.definitions.service import FeatureService
from fscore.definitions.views.declaring import View, declaration_of
from fscore.errors import InvalidArgument, wrong_argument
from fscore.model.source import EventSource

__all__ = [
    "EntityLike",
    "FeatureLike",
    "ServiceLike",
    "SourceLike",
    "ViewLike",
    "names_of_read",
    "service_name",
    "source_name",
    "view_name",
]

EntityLike: TypeAlias = str | Entity
"""An entity: its name, or the `Entity` itself."""
FeatureLike: TypeAlias = str | FeatureRef
"""A feature: its name, such as `"profile:age"`, or the feature of a view's class, `Profile.age`."""
ServiceLike: TypeAlias = str | FeatureService
"""A feature service: its name, or the `FeatureService` itself."""
SourceLike: TypeAlias = str | EventSource
"""A source of events: its name, or the source itself."""
ViewLike: TypeAlias = str | type[View]
"""A view: its name, or its class."""


def view_name(view: ViewLike) -> str:
    """Return the name of a view; InvalidArgument if it is neither a name nor a view's class."""
    if isinstance(view, str):
        return view
    declared = declaration_of(view)
    if declared is None:
        raise wrong_argument("view", view, "the name of a view, or its class")
    return declared.name


def service_name(service: ServiceLike) -> str:
    """Return the name of a service; InvalidArgument if it is neither a name nor a service."""
    name = service.name if isinstance(service, FeatureService) else service
    if not isinstance(name, str):
        raise wrong_argument("service", service, "the name of a service, or a FeatureService")
    return name


def source_name(source: SourceLike) -> str:
    """Return the name of a source; InvalidArgument if it is neither a name nor a source."""
    name = source.name if isinstance(source, EventSource) else source
    if not isinstance(name, str):
        raise wrong_argument("source", source, "the name of a source, or the source itself")
    return name


def entity_name(entity: EntityLike) -> str:
    """Return the name of an entity; InvalidArgument if it is neither a name nor an entity."""
    name = entity.name if isinstance(entity, Entity) else entity
    if not isinstance(name, str):
        raise wrong_argument("entity", entity, "the name of an entity, or an Entity")
    return name


def names_of_read(
    service: ServiceLike | None, features: Sequence[FeatureLike] | None, entity: EntityLike | None
) -> tuple[str | None, list[str] | None, str | None]:
    """Return the names of a service, features and an entity to read, each None if it is not given.

    Raises InvalidArgument if one of them is something else.
    """
    return (
        None if service is None else service_name(service),
        None if features is None else _feature_names(features, of_service=service is not None),
        None if entity is None else entity_name(entity),
    )


def _feature_names(features: Iterable[FeatureLike], *, of_service: bool) -> list[str]:
    if isinstance(features, str | bytes | Mapping) or not isinstance(features, Iterable):
        raise wrong_argument(
            "features", features, 'a list of names and features, such as ["profile:age"]'
        )
    return [
        feature if isinstance(feature, str) else _reference_name(position, feature, of_service)
        for position, feature in enumerate(features)
    ]


def _reference_name(position: int, feature: FeatureRef, of_service: bool) -> str:
    declared = declaration_of(feature.view) if isinstance(feature, FeatureRef) else None
    if declared is None:
        raise wrong_argument("features", feature, "a name, or a feature of a view", at=position)
    if feature.output == feature.name:
        return f"{declared.name}:{feature.name}"
    if of_service:
        return feature.output
    raise InvalidArgument(
        f"features[{position}] is {feature!r}, and only a service's output has an alias: give the "
        "feature without it, or name the service",
        argument="features",
    )
