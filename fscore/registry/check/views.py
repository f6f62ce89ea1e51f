"""The rules for a single view, by its kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import get_args

from fscore.model.data_type import SCALARS
from fscore.model.entities import EntityDefinition
from fscore.model.names import MAX_TTL_MS, duration_text, listed
from fscore.model.views import (
    LAYOUTS,
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    Repeats,
    SeriesViewDefinition,
    ViewDefinition,
)
from fscore.model.window import WindowFunction
from fscore.registry.check.problem import Path, Problem, check_name, check_texts, is_integer

# Callers write rows with these members beside the join keys and the features.
RESERVED_FEATURES = frozenset({"event_time"})
RESERVED_PAYLOAD = frozenset({"event_time", "event_id"})

MAX_PACKED_COLUMNS = 4_096
MAX_TILES = 10_000
"""The most tiles that one read of a window may take."""

REPEATS: tuple[Repeats, ...] = get_args(Repeats)
_DAY_MS = 86_400_000
_MAX_COUNT = 2**31 - 1
_IDS = re.compile(r"[^%]*%(?:0(?:[1-9]|1[0-8]))?d")


def check_view(view: ViewDefinition, entities: Mapping[str, EntityDefinition]) -> Iterator[Problem]:
    """Yield what is wrong with one view by itself."""
    path = ("views", view.name)
    yield from check_name(path, "a feature view", view.name)
    yield from check_texts(path, view)
    entity = entities.get(view.entity)
    join_keys = [name for name, _ in entity.join_keys] if entity is not None else []
    if entity is None:
        yield path, _no_entity(view, entities)
    if not view.features:
        yield path, "has no features: annotate one, like age: Int64"
    if view.source is not None:
        for problem in view.source.problems():
            yield path, f"source {view.source.name}: {problem}"
    for feature in view.features:
        yield from _check_feature((*path, feature.name), feature, view.entity, join_keys)
    match view:
        case FeatureViewDefinition():
            yield from _check_feature_view(path, view)
        case SeriesViewDefinition():
            yield from _check_series(path, view, join_keys)
        case FlagViewDefinition():
            yield from _check_flags(path, view, entity)


def _no_entity(view: ViewDefinition, entities: Mapping[str, EntityDefinition]) -> str:
    if not view.entity:
        return "has no entity: give it an Entity, as in class Profile(FeatureView, entity=user)"
    return f"is of entity {view.entity!r}, which is not defined; there are {listed(entities)}"


def _check_feature(
    path: Path, feature: FeatureDefinition, entity: str, join_keys: list[str]
) -> Iterator[Problem]:
    yield from check_name(path, "a feature", feature.name)
    yield from check_texts(path, feature, ("description",))
    if feature.name in join_keys:
        yield path, f"is also a join key of entity {entity}: rename one"
    if feature.name in RESERVED_FEATURES:
        yield path, "has the name of a row's event time: rename it"
    if feature.default is not None:
        try:
            feature.type.normalize(feature.default)
        except ValueError as error:
            yield path, f"default: {error}"


def _check_feature_view(path: Path, view: FeatureViewDefinition) -> Iterator[Problem]:
    if not is_integer(view.ttl_ms, 0, MAX_TTL_MS):
        yield path, f"ttl_ms must be between 0 (never) and {MAX_TTL_MS}, not {view.ttl_ms!r}"
    if view.layout not in LAYOUTS:
        yield path, f"layout must be one of {listed(LAYOUTS)}, not {view.layout!r}"
    elif view.migrating_from not in (None, *LAYOUTS) or view.migrating_from == view.layout:
        yield path, f"migrating_from must be the other layout or null, not {view.migrating_from!r}"
    elif "packed" in view.layouts and len(view.features) > MAX_PACKED_COLUMNS:
        yield (
            path,
            f"has {len(view.features):,} features, and a packed row holds at most "
            f"{MAX_PACKED_COLUMNS:,}: split the view",
        )
    for feature in view.features:
        feature_path = (*path, feature.name)
        if not is_integer(feature.ttl_ms, 0, MAX_TTL_MS):
            yield (
                feature_path,
                f"ttl_ms must be between 0 (its view's) and {MAX_TTL_MS}, not {feature.ttl_ms!r}",
            )
        if feature.mapping is not None and feature.mapping.op == "ever":
            yield feature_path, "ever() fills flags: move the feature into a FlagView"
            continue
        for problem in _mapping_problems(feature, view):
            yield feature_path, problem


def _mapping_problems(feature: FeatureDefinition, view: ViewDefinition) -> Iterator[str]:
    if feature.mapping is not None:
        yield from feature.mapping.problems(feature.type)
        if view.source is None:
            yield (
                "is mapped, but its view has no source: add source=… to the view, or leave "
                "the mapping out"
            )


def _check_flags(
    path: Path, view: FlagViewDefinition, entity: EntityDefinition | None
) -> Iterator[Problem]:
    if entity is not None:
        yield from ((path, problem) for problem in _ids_problems(view.ids, entity))
    for feature in view.features:
        feature_path = (*path, feature.name)
        if feature.type.kind != "Bool":
            yield feature_path, f"is a flag, whose type is Bool, not {feature.type}"
        if feature.default is not None:
            yield feature_path, "has a default, and a flag is never missing: leave it out"
        if feature.mapping is not None and feature.mapping.op != "ever":
            yield feature_path, f"a flag follows from ever(), not from {feature.mapping.name}()"
            continue
        for problem in _mapping_problems(feature, view):
            yield feature_path, problem


def _ids_problems(ids: object, entity: EntityDefinition) -> Iterator[str]:
    if len(entity.join_keys) != 1:
        yield (
            f"a flag is a bit at the number of one id, and entity {entity.name} has "
            f"{len(entity.join_keys)} join keys: use an entity with one"
        )
        return
    ((name, kind),) = entity.join_keys
    if kind == "Int64":
        if ids is not None:
            yield f"ids must be left out: join key {name} is an Int64, the bit's number itself"
    elif not isinstance(ids, str) or not _IDS.fullmatch(ids):
        yield (
            f"ids must say how {name} is written from a number: text and then %d, or %04d if it "
            f'is padded with zeros, like "user_%04d", not {ids!r}'
        )


def _check_series(
    path: Path, view: SeriesViewDefinition, join_keys: list[str]
) -> Iterator[Problem]:
    wrong = [*_number_problems(view)]
    yield from ((path, problem) for problem in wrong)
    if view.repeats not in REPEATS:
        yield path, f"repeats must be one of {listed(REPEATS)}, not {view.repeats!r}"
    if view.event_id is not None and (not isinstance(view.event_id, str) or not view.event_id):
        yield path, f"event_id must name a column, not {view.event_id!r}"
    elif view.event_id is not None and view.repeats == "collapse":
        yield (
            path,
            'event_id tells repeats apart, which repeats="collapse" does not keep: leave one out',
        )
    if view.where and view.source is None:
        yield path, "where selects rows of a source, and the view has none: add source=…"
    yield from _check_payload(path, view, join_keys)
    if not wrong:
        yield from ((path, problem) for problem in _tile_problems(view))
    fields = {part.name: part.type for part in view.payload}
    for feature in view.features:
        feature_path = (*path, feature.name)
        if feature.window is None:
            yield (
                feature_path,
                'is neither a feature, like = window.count("30m"), nor a field of the events, '
                "= Payload()",
            )
            continue
        found = feature.window.problems(feature.type, fields)
        if not found and not wrong:
            found = [*_reach_problems(view, feature.window)]
        yield from ((feature_path, problem) for problem in found)


def _number_problems(view: SeriesViewDefinition) -> Iterator[str]:
    for name in ("retention_ms", "tile_ms", "tile_retention_ms"):
        if not is_integer(getattr(view, name), 0, MAX_TTL_MS):
            yield f"{name} must be between 0 (none) and {MAX_TTL_MS}, not {getattr(view, name)!r}"
    if not is_integer(view.max_events, 0, _MAX_COUNT):
        yield f"max_events must be a positive integer, or None, not {view.max_events!r}"


def _check_payload(
    path: Path, view: SeriesViewDefinition, join_keys: list[str]
) -> Iterator[Problem]:
    names = [part.name for part in view.payload]
    times = Counter([*names, *{feature.name for feature in view.features}])
    for part in view.payload:
        part_path = (*path, part.name)
        yield from check_name(part_path, "a payload field", part.name)
        if part.name in join_keys:
            yield part_path, f"is also a join key of entity {view.entity}: rename one"
        if part.name in RESERVED_PAYLOAD:
            yield part_path, "has a name that rows use beside the payload: rename it"
        if times[part.name] > 1:
            yield part_path, "is declared twice"
        if part.type.kind not in SCALARS:
            yield (
                part_path,
                f"a payload field has one of the types {', '.join(SCALARS)}, not {part.type}",
            )
        if not isinstance(part.column, str) or not part.column:
            yield part_path, f"Payload() needs the name of a column, not {part.column!r}"


def _tile_problems(view: SeriesViewDefinition) -> Iterator[str]:
    tile, retention = view.tile_ms, view.retention_ms
    if not tile:
        if view.tile_retention_ms:
            yield "tile_retention needs tiles: give the view tile=…, or leave it out"
        return
    if _DAY_MS % tile and tile % _DAY_MS:
        yield (
            f"tile must divide a day or be whole days, like 5m, 1h, 1d, not {duration_text(tile)}"
        )
    if retention and tile > retention:
        yield (
            f"tile is {duration_text(tile)}, longer than the events are kept "
            f"({duration_text(retention)}): make it shorter"
        )
    if view.repeats == "collapse":
        yield (
            'tiles add up events, and repeats="collapse" moves events from one tile to another: '
            "leave one out"
        )


def _reach_problems(view: SeriesViewDefinition, window: WindowFunction) -> Iterator[str]:
    """Say why a function would miss events that its window covers but the view does not keep."""
    length, kept = view.length_ms(window), view.retention_ms
    tiles = view.tiles(window)
    if kept and length > kept and tiles == "none":
        advice = "raise retention, or give the view tile=…" if window.tiled else "raise retention"
        yield (
            f"looks back {duration_text(length)}, and events are kept for {duration_text(kept)}: "
            f"{advice}"
        )
    if view.max_events and window.n > view.max_events:
        yield f"lists {window.n:,} events, and max_events keeps {view.max_events:,}: raise it"
    if tiles == "none":
        return
    if view.tile_retention_ms and length > view.tile_retention_ms:
        yield (
            f"looks back {duration_text(length)}, and tiles are kept for "
            f"{duration_text(view.tile_retention_ms)}: raise tile_retention"
        )
    if tiles == "granular" and length % view.tile_ms:
        yield (
            f"is read in whole tiles, and {duration_text(length)} is not a multiple of "
            f"{duration_text(view.tile_ms)}: change the window or the tile"
        )
    if length // view.tile_ms > MAX_TILES:
        yield (
            f"takes {length // view.tile_ms:,} tiles to read, more than {MAX_TILES:,}: make the "
            "tile longer"
        )
