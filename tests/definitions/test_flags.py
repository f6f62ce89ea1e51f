"""Class statements of flags: what they mean, and the errors for wrong ones."""

from __future__ import annotations

import pytest

from fscore import Bool, Entity, EventSource, Feature, FlagView, Int64, Registry, String, ever
from fscore.registry import FlagViewDefinition
from tests.definitions.conftest import Problems

user = Entity("user", join_keys={"user_id": String})
item = Entity("item", join_keys={"item_id": Int64})
clickstream = EventSource("clickstream", event_time="timestamp")


class Promotions(FlagView, entity=user, source=clickstream, ids="user_%04d", owner="growth"):
    has_seen_promo: Bool = Feature(ever(where={"event": "promo_page"}), description="at least once")
    has_paid: Bool = ever(where={"event": "purchase"})
    is_blocked: Bool


class Stock(FlagView, entity=item):
    on_sale: Bool


def test_everything_of_a_flag_view_reaches_the_registry() -> None:
    registry = Registry.from_definitions([Promotions, Stock])
    view, stock = registry.views["promotions"], registry.views["stock"]
    assert isinstance(view, FlagViewDefinition)
    assert isinstance(stock, FlagViewDefinition)
    assert (view.ids, view.source, view.owner, stock.ids) == (
        *("user_%04d", clickstream, "growth", None),
    )
    seen, paid, blocked = view.features
    assert (seen.mapping, seen.description) == (
        *(ever(where={"event": "promo_page"}), "at least once"),
    )
    assert (paid.mapping, blocked.mapping) == (ever(where={"event": "purchase"}), None)
    again = Registry.from_json(registry.to_json())
    assert again == registry
    assert again.views == registry.views
    assert isinstance(Promotions.is_blocked, Bool)


STATEMENTS = [
    ("", "x: Bool", "V: ids must say how user_id is written from a number: text and then %d"),
    ("ids='user_'", "x: Bool", "V: ids must say how user_id is written from a number"),
    ("ids='user_%s'", "x: Bool", "V: ids must say how user_id is written from a number"),
    ("ids='user_%4d'", "x: Bool", "V: ids must say how user_id is written from a number"),
    ("ids='user_%00d'", "x: Bool", "V: ids must say how user_id is written from a number"),
    ("ids='user_%019d'", "x: Bool", "V: ids must say how user_id is written from a number"),
    ("ids='user_%d_'", "x: Bool", "V: ids must say how user_id is written from a number"),
    ("ids='%d%d'", "x: Bool", "V: ids must say how user_id is written from a number"),
    ("ids=4", "x: Bool", 'like "user_%04d", not 4'),
    ("ids='%d'", "x: Int64", "V.x: is a flag, whose type is Bool, not Int64"),
    ("ids='%d'", "x: Bool = Feature(default=False)", "V.x: has a default, and a flag is never"),
    ("ids='%d'", "x: Bool = ever()", "V.x: is mapped, but its view has no source"),
    ("ids='%d', source=clicks", "x: Bool = ever(where=5)", "V.x: where must be a dict of column"),
    ("ids='%d', source=clicks", "x: Bool = latest('x')", "V.x: a flag follows from ever(), not"),
    ("ids='%d', source=clicks", "x: Bool = fscore.min('x')", "from ever(), not from min()"),
    ("ids='%d'", "x: Bool = window.count()", "a feature of a FlagView follows from ever("),
    ("ids='%d'", "x: Bool = Feature(ttl='1d')", "V.x: has a ttl, which features of a FlagView"),
    ("ids='%d', ttl='1d'", "x: Bool", "V: unknown argument ttl: a FlagView takes entity, source"),
    ("ids='%d'", "pass", "V: has no features"),
]


@pytest.mark.parametrize(("options", "body", "says"), STATEMENTS)
def test_a_wrong_flag_view_is_reported_with_file_class_and_field(
    problems: Problems, options: str, body: str, says: str
) -> None:
    found = problems(f"class V(FlagView, entity=user, {options}):\n    {body}\n")
    assert len(found) == 1, found
    assert found[0].startswith("features.py:6: V")
    assert says in found[0]


@pytest.mark.parametrize("ids", ["%d", "user_%d", "user_%04d", "u:%018d", "über %01d"])
def test_patterns_of_ids(ids: str) -> None:
    class Flags(FlagView, entity=user, ids=ids):
        on: Bool

    view = Registry.from_definitions([Flags]).views["flags"]
    assert isinstance(view, FlagViewDefinition)
    assert view.ids == ids


def test_an_integer_join_key_needs_no_pattern_of_ids(problems: Problems) -> None:
    found = problems("""\
    item = Entity("item", join_keys={"item_id": Int64})
    class V(FlagView, entity=item, ids="item_%d"):
        x: Bool
    """)
    assert found == [
        "features.py:7: V: ids must be left out: join key item_id is an Int64, the bit's number "
        "itself"
    ]


def test_a_composite_entity_has_no_flags(problems: Problems) -> None:
    found = problems("""\
    pair = Entity("pair", join_keys={"user_id": String, "item_id": Int64})
    class V(FlagView, entity=pair):
        x: Bool
    """)
    assert found == [
        "features.py:7: V: a flag is a bit at the number of one id, and entity pair has 2 join "
        "keys: use an entity with one"
    ]


def test_the_name_of_a_flag_is_its_key(problems: Problems) -> None:
    found = problems("""\
    item = Entity("item", join_keys={"item_id": Int64})
    class A(FlagView, entity=user, ids="%d"):
        active: Bool
        new: Bool
    class B(FlagView, entity=item):
        active: Bool
    class C(FlagView, entity=user, ids="%d"):
        new: Bool
    """)
    assert sorted(found) == [
        "features.py:10: B.active: is a flag of a already, and flags are found by their name "
        "alone: rename one",
        "features.py:12: C.new: is a feature of a already, and both are of entity user: rename one",
    ]


def test_what_fills_flags_fills_nothing_else(problems: Problems) -> None:
    found = problems("""\
    class V(FeatureView, entity=user, source=clicks):
        seen: Bool = ever(where={"event": "promo_page"})
        size: Int64 = ever()
    """)
    assert found == [
        "features.py:6: V.seen: ever() fills flags: move the feature into a FlagView",
        "features.py:6: V.size: ever() fills flags: move the feature into a FlagView",
    ]
