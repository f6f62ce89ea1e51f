"""Flags: booleans for very many entities, one bit each.

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
from fscore.model.source import FileSource
from fscore.model.views import FlagViewDefinition

__all__ = ["FlagView"]


class FlagViewKind(ViewKind):
    """Bits, numbered by the ids."""

    base = "FlagView"
    model = FlagViewDefinition
    options = ("source", "ids")
    member = "mapping"
    follows_from = FeatureMapping
    example = 'ever(where={"event": "promo_page"})'

    def settings(self, options: Mapping[str, Any], problems: list[str]) -> dict[str, Any]:
        """Read how ids are written."""
        return {"ids": options.get("ids")}


class FlagView(View):
    """Base of every view of flags: `Bool` features that are true or false and never missing.

    A flag is a bit at the number of the entity's id. Where the one join key is an `Int64`, that is
    the number; where it is a `String`, `ids` says how ids are written from their numbers: text and
    then `%d`, or `%04d` where numbers are padded with zeros to four digits. The name of a flag is
    its key, so it is unique over all flag views. `entity`, `source`, `owner`, `description`, `tags`
    and `name` are as in `FeatureView`.
    """

    __fscore_kind__: ClassVar[ViewKind] = FlagViewKind()

    if TYPE_CHECKING:

        def __init_subclass__(
            cls,
            *,
            entity: Entity,
            source: FileSource | None = None,
            ids: str | None = None,
            owner: str = "",
            description: str = "",
            tags: Mapping[str, str] | None = None,
            name: str | None = None,
        ) -> None:
            """State the arguments for editors; the metaclass reads them."""
