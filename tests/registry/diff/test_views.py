"""The difference of two views: what a change means for stored data, by kind of view."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fscore import Registry, diff, ever, window
from fscore.registry import (
    EntityDefinition,
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    Layout,
    PayloadField,
    RequestViewDefinition,
    SeriesViewDefinition,
    ViewDefinition,
)
from fscore.types import DataType

USER = EntityDefinition("user", (("user_id", "String"),))
DAY = 86_400_000


def feature(name: str, kind: str = "Int64", **members: Any) -> FeatureDefinition:
    return FeatureDefinition(name, DataType.parse(kind), **members)


def changes(old: ViewDefinition, new: ViewDefinition) -> list[str]:
    """Return the lines of the difference."""
    before, after = (Registry({"user": USER}, {view.name: view}) for view in (old, new))
    return [str(change) for change in diff(before, after).changes]


AGE, SCORE = feature("age"), feature("score", "Float64", ttl_ms=300_000)
PACKED = FeatureViewDefinition("profile", "user", (AGE, SCORE), ttl_ms=DAY, layout="packed")


@pytest.mark.parametrize(
    ("features", "line"),
    [
        ((AGE, SCORE, feature("size")), "+ feature profile.size: Int64"),
        ((AGE,), "- feature profile.score  (rows are written without it)"),
        ((SCORE, AGE), "~ view profile: order age, score -> score, age"),
        (
            (replace(AGE, type=DataType("Float64")), SCORE),
            "! feature profile.age: type Int64 -> Float64  (unsafe: rows packed with Int64 read "
            "INVALID as Float64 until they are written again)",
        ),
        ((AGE, replace(SCORE, ttl_ms=600_000)), "~ feature profile.score: ttl 5m -> 10m"),
        ((AGE, replace(SCORE, ttl_ms=0)), "~ feature profile.score: ttl 5m -> its view's"),
        (
            (replace(AGE, ttl_ms=3_600_000), SCORE),
            "~ feature profile.age: ttl its view's -> 1h  (values older than that are EXPIRED at "
            "once)",
        ),
        ((replace(AGE, ttl_ms=2 * DAY), SCORE), "~ feature profile.age: ttl its view's -> 2d"),
    ],
)
def test_features_of_a_packed_view(features: tuple[FeatureDefinition, ...], line: str) -> None:
    assert changes(PACKED, replace(PACKED, features=features)) == [line]


def test_a_feature_of_a_hash_expires_as_before_until_it_is_written_again() -> None:
    stored = replace(PACKED, layout="hash")
    (line,) = changes(stored, replace(stored, features=(AGE, replace(SCORE, ttl_ms=600_000))))
    assert line == (
        "~ feature profile.score: ttl 5m -> 10m  (rows expire as before until they are written "
        "again)"
    )


def test_a_feature_that_leaves_a_hash_leaves_its_data_there() -> None:
    both = replace(PACKED, layout="hash", migrating_from="packed")
    (line,) = changes(both, replace(both, features=(AGE,)))
    assert line.startswith("! feature profile.score: removed  (unsafe: its data stays in Redis")


@pytest.mark.parametrize(
    ("old", "new", "lines"),
    [
        (
            ("hash", None),
            ("packed", None),
            [
                "! view profile: layout hash -> packed  (unsafe: its data stays in the old layout "
                "and is not found: use `fscore migrate`)"
            ],
        ),
        (
            ("hash", None),
            ("hash", "packed"),
            ["~ view profile: migrating from none -> packed  (rows are written in both layouts)"],
        ),
        (
            ("packed", "hash"),
            ("packed", None),
            [
                "! view profile: migrating from hash -> none  (unsafe: a migration is under way: "
                "finish it with `fscore migrate`)"
            ],
        ),
    ],
)
def test_layouts(
    old: tuple[Layout, Layout | None], new: tuple[Layout, Layout | None], lines: list[str]
) -> None:
    before, after = (replace(PACKED, layout=one, migrating_from=other) for one, other in (old, new))
    assert changes(before, after) == lines


PAGE = PayloadField("page", DataType("String"), "page")
PRICE = PayloadField("price", DataType("Float64"), "price")
VISITS = feature("visits", window=window.count("1d"))
SPENT = feature("spent", "Float64", window=window.sum("price", "2d"))
CLICKS = SeriesViewDefinition(
    *("clicks", "user", (VISITS,), (PAGE, PRICE)), retention_ms=7 * DAY, max_events=1000
)
UNBOUNDED = replace(CLICKS, max_events=0)
TILED = replace(UNBOUNDED, tile_ms=3_600_000, tile_retention_ms=30 * DAY)
FOLLOW = "(events follow at the next load)"
DROPPED = "beyond that are no longer read, and dropped with the next write)"
TWICE = "(unsafe: events that are stored already count once more when they are written again)"
FIELDS = (
    "(unsafe: events are stored with the old fields, in their order, and do not read as others)"
)
NO_TILE = (
    "(unsafe: events that are stored already are in no such tile, and windows would miss them)"
)

SERIES_CHANGES: list[tuple[SeriesViewDefinition, dict[str, Any], str]] = [
    (
        CLICKS,
        {"payload": (PAGE,)},
        f"! view clicks: payload page: String, price: Float64 -> page: String  {FIELDS}",
    ),
    (
        CLICKS,
        {"payload": ()},
        f"! view clicks: payload page: String, price: Float64 -> none  {FIELDS}",
    ),
    (
        CLICKS,
        {"payload": (PRICE, PAGE)},
        "! view clicks: payload page: String, price: Float64 -> price: Float64, page: String  "
        f"{FIELDS}",
    ),
    (
        CLICKS,
        {"payload": (PAGE, replace(PRICE, column="amount"))},
        '~ view clicks: payload columns {"page": "page", "price": "price"} -> '
        f'{{"page": "page", "price": "amount"}}  {FOLLOW}',
    ),
    (
        CLICKS,
        {"where": {"event": ("view",)}},
        f'~ view clicks: where {{}} -> {{"event": ["view"]}}  {FOLLOW}',
    ),
    (CLICKS, {"retention_ms": DAY}, f"~ view clicks: retention 7d -> 1d  (events {DROPPED}"),
    (
        CLICKS,
        {"retention_ms": 0},
        "~ view clicks: retention 7d -> for ever  (events that were dropped already stay so, "
        "others expire as before until the entity has a new event)",
    ),
    (CLICKS, {"max_events": 10}, f"~ view clicks: max_events 1,000 -> 10  (events {DROPPED}"),
    (
        CLICKS,
        {"max_events": 0},
        "~ view clicks: max_events 1,000 -> all  (events that were dropped already stay so)",
    ),
    (CLICKS, {"repeats": "collapse"}, f'! view clicks: repeats "count" -> "collapse"  {TWICE}'),
    (CLICKS, {"event_id": "uuid"}, f'! view clicks: event_id none -> "uuid"  {TWICE}'),
    (UNBOUNDED, {"tile_ms": 3_600_000}, f"! view clicks: tile none -> 1h  {NO_TILE}"),
    (TILED, {"tile_ms": 300_000}, f"! view clicks: tile 1h -> 5m  {NO_TILE}"),
    (
        TILED,
        {"tile_ms": 0},
        "~ view clicks: tile 1h -> none  (windows are read from the events themselves)",
    ),
    (
        TILED,
        {"tile_retention_ms": 8 * DAY},
        f"~ view clicks: tile_retention 30d -> 8d  (tiles {DROPPED}",
    ),
    (CLICKS, {"features": (VISITS, SPENT)}, "+ feature clicks.spent: Float64"),
    (
        TILED,
        {"features": (VISITS, SPENT)},
        "+ feature clicks.spent: Float64  (existing tiles have no price: values are complete "
        "after 2d)",
    ),
    (
        replace(CLICKS, features=(VISITS, SPENT)),
        {"features": (VISITS,)},
        "- feature clicks.spent  (the events stay)",
    ),
    (
        CLICKS,
        {"features": (replace(VISITS, window=window.count("2d")),)},
        '~ feature clicks.visits: window count("1d") -> count("2d")  (values follow at once)',
    ),
    (
        TILED,
        {"features": (replace(VISITS, window=window.max("price", "2d")),)},
        '! feature clicks.visits: window count("1d") -> max("price", "2d")  '
        "(unsafe: existing tiles have no price: values are complete after 2d)",
    ),
    (
        CLICKS,
        {"features": (replace(VISITS, type=DataType("Float64")),)},
        "~ feature clicks.visits: type Int64 -> Float64",
    ),
]


@pytest.mark.parametrize(
    ("old", "members", "line"), SERIES_CHANGES, ids=[line for *_, line in SERIES_CHANGES]
)
def test_series(old: SeriesViewDefinition, members: dict[str, Any], line: str) -> None:
    assert changes(old, replace(old, **members)) == [line]


def test_tiles_that_nothing_reads_come_and_go() -> None:
    short = replace(CLICKS, features=(feature("hour", window=window.count("1h")),))
    (line,) = changes(short, replace(short, tile_ms=3_600_000))
    assert line.startswith("~ view clicks: tile none -> 1h")


SEEN = feature("seen", "Bool", mapping=ever())
FLAGS = FlagViewDefinition("flags", "user", (SEEN, feature("paid", "Bool")), "user_%04d")


@pytest.mark.parametrize(
    ("members", "line"),
    [
        (
            {"ids": "user_%d"},
            '! view flags: ids "user_%04d" -> "user_%d"  (unsafe: its bits are found under other '
            "ids)",
        ),
        ({"features": (*FLAGS.features, feature("new", "Bool"))}, "+ feature flags.new: Bool"),
        (
            {"features": (SEEN,)},
            "! feature flags.paid: removed  (unsafe: its data stays in Redis and nothing reads it)",
        ),
    ],
)
def test_flags(members: dict[str, Any], line: str) -> None:
    assert changes(FLAGS, replace(FLAGS, **members)) == [line]


def test_a_view_that_becomes_one_of_another_kind() -> None:
    new = replace(CLICKS, name="flags")
    assert changes(FLAGS, new) == [
        "! view flags: kind flags -> series  (unsafe: its data stays as it was stored and is not "
        "found)"
    ]


def test_views_that_are_new_say_what_they_are() -> None:
    computed = feature("age_at_order", expression={"now": True})
    order = RequestViewDefinition("order", "user", (computed,), request=(("amount", "Float64"),))
    views = (PACKED, replace(CLICKS, retention_ms=30 * DAY), FLAGS, order)
    registry = Registry({"user": USER}, {view.name: view for view in views})
    assert [str(change) for change in diff(Registry({"user": USER}), registry).changes] == [
        "+ view profile: 2 features of user, packed",
        "+ view clicks: 1 feature of user, over events kept for 30d",
        "+ view flags: 2 flags of user",
        "+ view order: 1 feature of user, computed on request from amount: Float64",
    ]


@pytest.mark.parametrize(
    ("function", "written"),
    [
        (window.count(), "count()"),
        (window.sum("price", "7d"), 'sum("price", "7d")'),
        (window.mean("price", "7d"), 'mean("price", "7d")'),
        (window.last(5, "price"), 'last(5, "price")'),
        (window.last_times(5), "last_times(5)"),
        (window.session_length("90s"), 'session_length(gap="90s")'),
    ],
)
def test_window_functions_are_shown_as_they_are_written(function: Any, written: str) -> None:
    assert str(function) == written
