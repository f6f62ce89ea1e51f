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

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from fscore.definitions.entity import Entity
from fscore.definitions.views.declaring import (
    FeatureOptions,
    View,
    ViewKind,
    duration_option,
)
from fscore.model.mapping import FeatureMapping
from fscore.model.source import FileSource
from fscore.model.views import FeatureViewDefinition

__all__ = ["Feature", "FeatureView"]


def Feature(
    follows_from: Any = None,
    *,
    default: Any = None,
    description: str = "",
    tags: Mapping[str, str] | None = None,
    ttl: str | timedelta | None = None,
) -> Any:
    """Describe a feature: `platform: String = Feature(latest("platform"), description="…")`.

    `follows_from` says how its value comes about: a mapping (`latest`, `count` and so on) in a
    feature view, `ever()` in a flag view, a window function in a series; in feature and flag views
    somebody else writes it where there is none. `default` is served where the value is NULL,
    NOT_FOUND or EXPIRED, the status still saying which. `ttl` replaces the view's, in feature views
    only. Returns Any, so that type checkers accept it where the annotation says `String`.
    """
    return FeatureOptions(follows_from, default, description, {} if tags is None else tags, ttl)


class FeatureViewKind(ViewKind):
    """Rows of features in a hash, or packed."""

    base = "FeatureView"
    model = FeatureViewDefinition
    options = ("source", "ttl", "layout")
    member = "mapping"
    follows_from = FeatureMapping
    example = 'a mapping like latest("column")'

    def settings(self, options: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Read the TTL and the layout."""
        return {
            "ttl_ms": duration_option(options, "ttl", problems),
            "layout": options.get("layout", "hash"),
        }


class FeatureView(View):
    """Base of every feature view; the class statement's arguments describe the view.

    `entity` (required) is what it describes; `source` where its values come from; `ttl` after how
    long they expire (`"90s"`, `"5m"`, `"24h"`, `"30d"`, a timedelta, or None for never); `owner`,
    `description` and `tags` are for people; `name` replaces the class's name in snake_case;
    `layout` is how it is stored: `"hash"`, a field for each feature, or `"packed"`, one compact
    value for each row. Nothing raises in the class statement: what is wrong is reported with
    everything else when the definitions are collected.
    """

    __fscore_kind__: ClassVar[ViewKind] = FeatureViewKind()

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
