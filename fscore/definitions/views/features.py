"""Feature views: typed features of one entity that arrive together, declared as annotated classes.

>>> from fscore import Entity, Feature, FeatureView, EventSource, Int64, String, count, latest
>>> user = Entity("user", join_keys={"user_id": String})
>>> clicks = EventSource("clicks", event_time="timestamp")
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
from fscore.model.source import EventSource
from fscore.model.views import FeatureViewDefinition, Layout

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

    `follows_from` says how the value is computed: by a mapping (`latest`, `count` and so on) in a
    feature view, by `ever()` in a flag view, by a window function in a series, and by an expression
    in a view on request. Features of feature views and flag views may leave it out; then your own
    code writes them. `default`, a value of the feature's type, is served if the stored value is
    NULL, NOT_FOUND or EXPIRED; its status stays the same. `ttl` replaces the TTL of the view, in
    feature views only. `description` and `tags` are for people.

    An invalid argument raises nothing here; `Registry` reports it with everything else that is
    wrong. The result is typed Any, so type checkers accept it after an annotation such as `String`.
    """
    return FeatureOptions(follows_from, default, description, {} if tags is None else tags, ttl)


class FeatureViewKind(ViewKind):
    """The kind of views that store rows of features, in a hash or packed."""

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
    """Base class of feature views; subclass it to declare one.

    Each annotated line is a feature. The arguments of the class statement describe the view:

    - `entity` (required) is the `Entity` that the features describe.
    - `source` is the `EventSource` whose rows the mappings read.
    - `ttl` is how long after its event time a value expires: `"90s"`, `"5m"`, `"24h"`, `"30d"`, a
      timedelta, or None for never.
    - `layout` is how rows are stored: `"hash"` as a hash field for each feature, `"packed"` as one
      compact value.
    - `name` replaces the name of the view, which is the class's in snake_case.
    - `owner`, `description` and `tags` are for people.

    An invalid argument raises nothing in the class statement; `Registry` reports it with everything
    else that is wrong.
    """

    __fscore_kind__: ClassVar[ViewKind] = FeatureViewKind()

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            entity: Entity,
            source: EventSource | None = None,
            ttl: str | timedelta | None = None,
            owner: str = "",
            description: str = "",
            tags: Mapping[str, str] | None = None,
            name: str | None = None,
            layout: Layout = "hash",
        ) -> None:
            """Declare the arguments for editors; the metaclass reads them."""
