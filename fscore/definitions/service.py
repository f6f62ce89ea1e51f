"""Feature services: the features one model needs, in the order its input has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fscore.definitions.markers import FeatureRef
from fscore.definitions.origin import declared_at
from fscore.definitions.views.declaring import View, ViewMeta, declaration_of

__all__ = ["FeatureService"]


class FeatureService:
    """The features of one model in the order of its input, and the data's version that it reads.

    `features` holds features (`UserActivity.platform`, or `UserActivity.platform.alias("device")`
    where two names would collide), whole views, and selections (`UserActivity[["age"]]`). Nothing
    raises here: what is wrong is reported with everything else when the definitions are collected.

    >>> from fscore import Entity, FeatureView, Int64, String
    >>> user = Entity("user", join_keys={"user_id": String})
    >>> class Profile(FeatureView, entity=user):
    ...     age: Int64
    ...     country: String
    >>> FeatureService("ranking", features=[Profile.country.alias("home"), Profile.age]).features
    (Profile.country.alias('home'), Profile.age)
    """

    def __init__(
        self,
        name: str,
        *,
        features: Sequence[FeatureRef | type[View] | Sequence[FeatureRef]],
        version: int = 1,
        owner: str = "",
        description: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.origin = declared_at()
        self.problems: list[str] = []
        self.name = name
        self.features = tuple(self._flattened(features))
        self.version = version
        self.owner = owner
        self.description = description
        self.tags = {} if tags is None else tags

    def _flattened(self, items: Any) -> list[FeatureRef]:
        flat: list[FeatureRef] = []
        if isinstance(items, (str, ViewMeta)) or not isinstance(items, Sequence):
            self.problems.append(f"features must be a list of features and views, not {items!r}")
            return flat
        for position, item in enumerate(items):
            declared = declaration_of(item) if isinstance(item, ViewMeta) else None
            if isinstance(item, FeatureRef):
                flat.append(item)
            elif declared is not None:
                flat.extend(
                    reference
                    for name in declared.features
                    if isinstance(reference := vars(item).get(name), FeatureRef)
                )
            elif isinstance(item, (list, tuple)) and all(
                isinstance(part, FeatureRef) for part in item
            ):
                flat.extend(item)
            else:
                self.problems.append(
                    f"features[{position}] must be a feature like UserActivity.platform "
                    f"or a view, not {item!r}"
                )
        return flat

    def __repr__(self) -> str:
        """Name the service and how many features it has."""
        return (
            f"FeatureService({self.name!r}, {len(self.features)} features, version {self.version})"
        )
