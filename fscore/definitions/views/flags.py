"""Flag views: booleans for very many entities, stored as one bit each.

>>> from fscore import Bool, Entity, Feature, FlagView, Int64, ever
>>> user = Entity("user", join_keys={"user_id": Int64})
>>> class Promotions(FlagView, entity=user):
...     has_seen_promo: Bool = Feature(ever(where={"event": "promo_page"}))
...     is_blocked: Bool
>>> Promotions.is_blocked
Promotions.is_blocked
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from fscore.definitions.entity import Entity
from fscore.definitions.views.declaring import View, ViewKind
from fscore.model.mapping import FeatureMapping
from fscore.model.source import EventSource
from fscore.model.views import FlagViewDefinition

__all__ = ["FlagView"]


class FlagViewKind(ViewKind):
    """The kind of views that store bits, numbered by the entities' ids."""

    base = "FlagView"
    model = FlagViewDefinition
    options = ("source", "ids")
    member = "mapping"
    follows_from = FeatureMapping
    example = 'ever(where={"event": "promo_page"})'

    def settings(self, options: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Read the pattern of ids."""
        return {"ids": options.get("ids")}


class FlagView(View):
    """Base class of flag views; subclass it to declare one.

    Its features are `Bool`, and are true or false but never missing. A flag is a bit at the number
    of the entity's id, so the entity has exactly one join key. An `Int64` join key is that number
    itself. If the join key is a `String`, `ids` says how an id is written from its number: text and
    then `%d`, or `%04d` if numbers are padded with zeros to four digits. The name of a flag is its
    Redis key, so it must be unique among all flag views. `entity`, `source`, `owner`,
    `description`, `tags` and `name` are as in `FeatureView`.

    An invalid argument raises nothing in the class statement; `Registry` reports it with everything
    else that is wrong.
    """

    __fscore_kind__: ClassVar[ViewKind] = FlagViewKind()

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            entity: Entity,
            source: EventSource | None = None,
            ids: str | None = None,
            owner: str = "",
            description: str = "",
            tags: Mapping[str, str] | None = None,
            name: str | None = None,
        ) -> None:
            """Declare the arguments for editors; the metaclass reads them."""
