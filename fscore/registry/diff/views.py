"""Compares two definitions of one view: what a change means for stored data, by its kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fscore.model.expression import Expression
from fscore.model.mapping import FeatureMapping
from fscore.model.names import duration_text
from fscore.model.views import (
    LAYOUTS,
    Columns,
    FeatureDefinition,
    FeatureViewDefinition,
    FlagViewDefinition,
    RequestViewDefinition,
    SeriesViewDefinition,
    ViewDefinition,
)
from fscore.registry.diff.change import Change, as_text, counted, names_of, plain_changes
from fscore.registry.diff.types import type_change_is_safe

_LEFT = "its data stays in Redis and nothing reads it"
_STORED_NOWHERE = "nothing of it is stored"
_KEPT = "rows expire as before until they are written again"


def view_changes(name: str, old: ViewDefinition, new: ViewDefinition) -> Iterator[Change]:
    """Yield the changes between two definitions of the view of this name."""
    if old.kind != new.kind:
        reason = "its data stays as it was stored and is not found"
        yield Change("changed", "view", name, "kind", old.kind, new.kind, False, reason)
        return
    if old.entity != new.entity:
        reason = "its data stays with the old entity and is not found"
        yield Change("changed", "view", name, "entity", old.entity, new.entity, False, reason)
    if isinstance(old, FeatureViewDefinition) and isinstance(new, FeatureViewDefinition):
        yield from _feature_view(name, old, new)
    if isinstance(old, SeriesViewDefinition) and isinstance(new, SeriesViewDefinition):
        yield from _series(name, old, new)
    if isinstance(old, FlagViewDefinition) and isinstance(new, FlagViewDefinition):
        reason = "its bits are found under other ids"
        yield from _text_changes(name, "ids", old.ids, new.ids, reason, safe=False)
    if isinstance(old, RequestViewDefinition) and isinstance(new, RequestViewDefinition):
        yield from _inputs(name, old, new)
    before, after = (view.source and view.source.to_json() for view in (old, new))
    reason = "values follow at the next load"
    yield from _text_changes(name, "source", before, after, reason)
    yield from plain_changes("view", name, old, new, ("owner", "description", "tags"))
    yield from _features(name, old, new)


def _inputs(name: str, old: RequestViewDefinition, new: RequestViewDefinition) -> Iterator[Change]:
    reason = "requests that bring the old inputs get an error"
    if old.request != new.request:
        before, after = _columns_text(old.request), _columns_text(new.request)
        yield Change("changed", "view", name, "request", before, after, False, reason)


def added_view(name: str, new: ViewDefinition) -> Change:
    """Return the addition of a view, with a summary of it."""
    count = counted(len(new.features), "flag" if new.kind == "flags" else "feature")
    text = f"{count} of {new.entity}"
    match new:
        case FeatureViewDefinition() if new.layout != LAYOUTS[0]:
            text += f", {new.layout}"
        case SeriesViewDefinition():
            kept = f" kept for {duration_text(new.retention_ms)}" if new.retention_ms else ""
            text += f", over events{kept}"
        case RequestViewDefinition():
            text += ", computed on request"
            text += f" from {_columns_text(new.request)}" if new.request else ""
    return Change("added", "view", name, after=text)


def removed_view(name: str, old: ViewDefinition) -> Change:
    """Return the removal of a view, with its consequence."""
    if isinstance(old, RequestViewDefinition):
        return Change("removed", "view", name, reason=_STORED_NOWHERE)
    return Change("removed", "view", name, safe=False, reason=_LEFT)


def _text_changes(
    name: str, aspect: str, old: object, new: object, reason: str, *, safe: bool = True
) -> Iterator[Change]:
    if old != new:
        before, after = as_text(old), as_text(new)
        yield Change("changed", "view", name, aspect, before, after, safe, reason)


def _feature_view(
    name: str, old: FeatureViewDefinition, new: FeatureViewDefinition
) -> Iterator[Change]:
    if old.layout != new.layout:
        reason = "its data stays in the old layout and is not found: use `fscore migrate`"
        yield Change("changed", "view", name, "layout", old.layout, new.layout, False, reason)
    if old.migrating_from != new.migrating_from:
        was, now = old.migrating_from or "none", new.migrating_from or "none"
        safe = old.migrating_from is None
        reason = "rows are written in both layouts"
        if not safe:
            reason = "a migration is under way: finish it with `fscore migrate`"
        yield Change("changed", "view", name, "migrating from", was, now, safe, reason)
    if old.ttl_ms != new.ttl_ms:
        before, after = duration_text(old.ttl_ms), duration_text(new.ttl_ms)
        reason = _expiring(old.ttl_ms, new.ttl_ms) or _KEPT
        yield Change("changed", "view", name, "ttl", before, after, reason=reason)


def _expiring(old_ms: int, new_ms: int) -> str:
    shorter = new_ms and (not old_ms or new_ms < old_ms)
    return "values older than that are EXPIRED at once" if shorter else ""


def _columns_text(columns: Columns) -> str:
    return ", ".join(f"{name}: {kind}" for name, kind in columns) or "none"


def _series(name: str, old: SeriesViewDefinition, new: SeriesViewDefinition) -> Iterator[Change]:
    if old.columns != new.columns:
        before, after = _columns_text(old.columns), _columns_text(new.columns)
        reason = "events are stored with the old fields, in their order, and do not read as others"
        yield Change("changed", "view", name, "payload", before, after, False, reason)
    else:
        before_columns, after_columns = (
            {part.name: part.column for part in view.payload} for view in (old, new)
        )
        reason = "events follow at the next load"
        yield from _text_changes(name, "payload columns", before_columns, after_columns, reason)
    reason = "events follow at the next load"
    yield from _text_changes(name, "where", old.where, new.where, reason)
    reason = "events that are stored already count once more when they are written again"
    yield from _text_changes(name, "repeats", old.repeats, new.repeats, reason, safe=False)
    yield from _text_changes(name, "event_id", old.event_id, new.event_id, reason, safe=False)
    for aspect in ("retention", "tile_retention"):
        member = f"{aspect}_ms"
        yield from _kept(name, aspect, getattr(old, member), getattr(new, member), _duration)
    yield from _kept(name, "max_events", old.max_events, new.max_events, _count)
    if old.tile_ms != new.tile_ms:
        yield _tile(name, old, new)


def _duration(ms: int) -> str:
    return duration_text(ms) if ms else "for ever"


def _count(events: int) -> str:
    return f"{events:,}" if events else "all"


def _kept(
    name: str, aspect: str, old: int, new: int, shown: Callable[[int], str]
) -> Iterator[Change]:
    if old == new:
        return
    less = new and (not old or new < old)
    what = "tiles" if aspect == "tile_retention" else "events"
    if less:
        reason = f"{what} beyond that are no longer read, and dropped with the next write"
    else:
        reason = f"{what} that were dropped already stay so"
        if aspect != "max_events":
            reason += ", others expire as before until the entity has a new event"
    yield Change("changed", "view", name, aspect, shown(old), shown(new), reason=reason)


def _tile(name: str, old: SeriesViewDefinition, new: SeriesViewDefinition) -> Change:
    used = any(new.tiles(feature.window) != "none" for feature in new.features)
    reason = "windows are read from the events themselves"
    if used:
        reason = "events that are stored already are in no such tile, and windows would miss them"
    before, after = (duration_text(ms) if ms else "none" for ms in (old.tile_ms, new.tile_ms))
    return Change("changed", "view", name, "tile", before, after, not used, reason)


def _features(view: str, old: ViewDefinition, new: ViewDefinition) -> Iterator[Change]:
    before = {feature.name: feature for feature in old.features}
    after = {feature.name: feature for feature in new.features}
    for name in names_of(before, after):
        path = f"{view}.{name}"
        if name not in before:
            reason = _untiled(after[name], old, new)
            yield Change("added", "feature", path, after=str(after[name].type), reason=reason)
        elif name not in after:
            yield _removed_feature(path, new)
        else:
            yield from _feature(path, before[name], after[name], old, new)
    kept = [feature for feature in before if feature in after]
    moved = [feature for feature in after if feature in before]
    if kept != moved:
        yield Change("changed", "view", view, "order", ", ".join(kept), ", ".join(moved))


def _removed_feature(path: str, view: ViewDefinition) -> Change:
    match view:
        case SeriesViewDefinition():
            return Change("removed", "feature", path, reason="the events stay")
        case RequestViewDefinition():
            return Change("removed", "feature", path, reason=_STORED_NOWHERE)
        case FeatureViewDefinition() if "hash" not in view.layouts:
            return Change("removed", "feature", path, reason="rows are written without it")
        case _:
            return Change("removed", "feature", path, safe=False, reason=_LEFT)


def _feature(
    path: str,
    old: FeatureDefinition,
    new: FeatureDefinition,
    old_view: ViewDefinition,
    new_view: ViewDefinition,
) -> Iterator[Change]:
    if old.type != new.type:
        reason = _type_reason(old, new, new_view)
        before, after = str(old.type), str(new.type)
        yield Change("changed", "feature", path, "type", before, after, not reason, reason)
    before, after = as_text(old.type.to_json(old.default)), as_text(new.type.to_json(new.default))
    if before != after and (old.default is not None or new.default is not None):
        yield Change("changed", "feature", path, "default", before, after)
    if old.ttl_ms != new.ttl_ms:
        before, after = (
            duration_text(feature.ttl_ms) if feature.ttl_ms else "its view's"
            for feature in (old, new)
        )
        lives = (_ttl_ms(old, old_view), _ttl_ms(new, new_view))
        in_hash = isinstance(old_view, FeatureViewDefinition) and "hash" in old_view.layouts
        reason = _expiring(*lives) or (_KEPT if in_hash and lives[0] != lives[1] else "")
        yield Change("changed", "feature", path, "ttl", before, after, reason=reason)
    if old.mapping != new.mapping:
        before, after = (_mapping_text(item.mapping) for item in (old, new))
        reason = "values follow at the next load"
        yield Change("changed", "feature", path, "mapping", before, after, reason=reason)
    if old.window != new.window:
        before, after = str(old.window), str(new.window)
        untiled = _untiled(new, old_view, new_view)
        reason = untiled or "values follow at once"
        yield Change("changed", "feature", path, "window", before, after, not untiled, reason)
    if old.expression != new.expression:
        before, after = (_written(item) for item in (old, new))
        reason = "values follow at once"
        yield Change("changed", "feature", path, "expression", before, after, reason=reason)
    yield from plain_changes("feature", path, old, new, ("description", "tags"))


def _mapping_text(mapping: FeatureMapping | None) -> str:
    return as_text(None if mapping is None else {**mapping.to_json(), "op": mapping.name})


def _written(feature: FeatureDefinition) -> str:
    """Return the feature's expression as people write it."""
    return str(Expression.from_json(feature.expression))


def _type_reason(old: FeatureDefinition, new: FeatureDefinition, view: ViewDefinition) -> str:
    """Return why a change of type is unsafe; empty if it is safe."""
    if not isinstance(view, FeatureViewDefinition):
        return ""  # computed from what is stored
    if "packed" in view.layouts:
        return (
            f"rows packed with {old.type} read INVALID as {new.type} until they are written again"
        )
    if type_change_is_safe(old.type, new.type):
        return ""
    return f"what is stored as {old.type} does not read as {new.type}"


def _ttl_ms(feature: FeatureDefinition, view: ViewDefinition) -> int:
    return feature.ttl_ms or (view.ttl_ms if isinstance(view, FeatureViewDefinition) else 0)


def _untiled(feature: FeatureDefinition, old: ViewDefinition, new: ViewDefinition) -> str:
    """Return what a feature that is read from tiles lacks in existing tiles; empty if nothing."""
    if not isinstance(old, SeriesViewDefinition) or not isinstance(new, SeriesViewDefinition):
        return ""
    window = feature.window
    if window is None or window.field is None or new.tiles(window) == "none":
        return ""
    if window.field in old.tile_fields or old.tile_ms != new.tile_ms:
        return ""
    reach = duration_text(new.length_ms(window))
    return f"existing tiles have no {window.field}: values are complete after {reach}"
