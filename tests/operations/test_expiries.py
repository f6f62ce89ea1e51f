"""The registry remembers expiries that earlier definitions gave to keys."""

from __future__ import annotations

import types
from typing import Any

import pytest

from fscore import Entity, Feature, FeatureView, Int64, Registry, SeriesView, window
from fscore.operations.expiries import LATE_MS, from_json, outdated, outdated_of, to_json

DAY_MS = 86_400_000
NOW_MS = 1_700_000_000_000

user = Entity("user", join_keys={"user_id": Int64})


def view(name: str, ttl: str | None, layout: str = "hash", **features: str | None) -> Any:
    """Return a view with a feature of the same name, and features with TTLs of their own."""
    features = {name: None, **features}
    namespace: dict[str, Any] = {"__annotations__": dict.fromkeys(features, Int64)}
    namespace |= {each: Feature(ttl=own) for each, own in features.items() if own}
    options = {"entity": user, "name": name, "ttl": ttl, "layout": layout}
    return types.new_class(
        name.title(), (FeatureView,), options, lambda body: body.update(namespace)
    )


def clicks(**options: Any) -> Any:
    class Clicks(SeriesView, entity=user, **options):
        clicks: Int64 = window.count("1d")

    return Clicks


def until(days: int) -> int:
    return NOW_MS + days * DAY_MS + LATE_MS


@pytest.mark.parametrize(
    ("before", "after", "days"),
    [
        ([], [view("a", "1d")], {}),
        ([view("a", "1d")], [view("a", "1d")], {}),
        ([view("a", None)], [view("a", "1d")], {}),
        ([view("a", "1d")], [view("a", None)], {"hash:user": 1}),
        ([view("a", "1d")], [view("a", "2d")], {"hash:user": 1}),
        # A key lives as long as its longest-lived view.
        ([view("a", "1d"), view("b", "3d")], [view("a", None), view("b", "3d")], {"hash:user": 3}),
        ([view("a", "1d")], [view("a", "1d"), view("b", None)], {"hash:user": 1}),
        (
            [view("a", "1d"), view("b", None)],
            [view("a", "1d"), view("b", None), view("c", None)],
            {},
        ),
        # Fields may expire on their own.
        ([view("a", None, b="2d")], [view("a", None, b=None)], {"fields:a": 2}),
        ([view("a", "1d"), view("b", None)], [view("a", None), view("b", None)], {"fields:a": 1}),
        (
            [view("a", "5d", b="2d")],
            [view("a", None, b="2d")],
            {"hash:user": 5},
        ),
        (
            [view("a", "5d", b="2d")],
            [view("a", "5d")],
            {"fields:a": 2},
        ),
        # A view that is removed may be defined again later.
        ([view("a", "1d")], [], {"hash:user": 1}),
        ([view("a", "1d", "packed")], [view("a", None, "packed")], {"packed:a": 1}),
        # A migration into a hash that had only another view, and is kept for ever from now on.
        (
            [view("a", None, "packed"), view("b", "2d")],
            [view("a", None), view("b", "2d")],
            {"hash:user": 2},
        ),
        ([clicks(retention="3d")], [clicks()], {"series:clicks": 3}),
        ([clicks(retention="3d")], [clicks(retention="3d", max_events=5)], {}),
    ],
)
def test_what_changes_is_remembered_for_as_long_as_it_lasts(
    before: list[Any], after: list[Any], days: dict[str, int]
) -> None:
    old, new = (Registry.from_definitions(views) for views in (before, after))
    expected = {kind: until(longest) for kind, longest in days.items()}
    assert outdated(old, new, {}, NOW_MS) == expected


def test_the_latest_end_is_remembered_until_then() -> None:
    month, day, plain = (
        Registry.from_definitions([view("a", ttl), clicks()]) for ttl in ("30d", "1d", None)
    )
    first = outdated(month, day, {"series:clicks": NOW_MS + 1}, NOW_MS)
    assert first == {"series:clicks": NOW_MS + 1, "hash:user": until(30)}
    later = outdated(day, plain, first, NOW_MS + DAY_MS)
    assert later == {"hash:user": until(30)}
    views = plain.views
    assert outdated_of(later, views["a"], until(30) - 1) == "keys"
    assert outdated_of(later, views["a"], until(30)) is None
    assert outdated_of(later, views["clicks"], NOW_MS) is None
    both = {**later, "fields:a": NOW_MS}
    assert outdated_of(both, views["a"], NOW_MS - 1) == "fields"
    assert outdated_of(both, views["a"], NOW_MS) == "keys"
    assert outdated(plain, plain, later, until(30)) == {}


def test_it_is_stored_as_an_object_of_times() -> None:
    assert to_json({"hash:b": 2, "hash:a": 1}) == '{"hash:a":1,"hash:b":2}'
    assert from_json(b'{"hash:a":1}') == {"hash:a": 1}
    assert from_json(None) == {}
    for text in ("{", "[]", "5", '{"hash:a":"1"}', '{"hash:a":true}', b"\xff", "[" * 100_000):
        with pytest.raises(ValueError, match="not an object of times"):
            from_json(text)
