"""Feature services, which list the features of one model in the order of its input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fscore.definitions.markers import FeatureRef
from fscore.definitions.origin import declared_at
from fscore.definitions.views.declaring import View, ViewMeta, declaration_of

__all__ = ["FeatureService"]


class FeatureService:
    """Define the features of one model, in the order of its input.

    `features` lists features (`UserActivity.platform`), whole views, and selections
    (`UserActivity[["age"]]`). If two names would collide, give one an alias:
    `UserActivity.platform.alias("device")`. `version` is the version of the data that the service
    reads until another is promoted, from 1. `owner`, `description` and `tags` are for people. An
    invalid argument raises nothing here; `Registry` reports it with everything else that is wrong.

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
        """Return the service's name, its number of features and its version."""
        return (
            f"FeatureService({self.name!r}, {len(self.features)} features, version {self.version})"
        )
