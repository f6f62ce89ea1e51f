"""Migrates a feature view from one layout to the other, while everybody reads and writes it.

`migrate` is an operation without I/O (see `fscore.operations.operation`). It takes the view through
these states of the registry. Every state is correct for readers whatever happens next, so a
migration can end anywhere and can be started again:

    layout  migrating_from
    old     -               clients read and write the old layout
    old     new             clients write both and read the old; rows are copied, then verified
    new     old             clients write both and read the new layout
    new     -               clients use the new layout; old rows are removed, or moved if not copied

Between two states the migration waits until every client follows the next. Rows are changed only by
a script, which first checks that the registry and the row are still as they were read. So a
concurrent writer wins, and so does another migration.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, Literal, NoReturn, TypeAlias

from fscore.errors import ConfigError, InvalidValue, RegistryConflict, UnsafeChange
from fscore.interop.arguments import (
    checked_callback,
    checked_choice,
    checked_flag,
    checked_number,
)
from fscore.interop.rows import now_ms
from fscore.migration.rows import Copied, Definitions, Rows
from fscore.migration.scans import Removed, copy_rows, remove_rows
from fscore.model.views import LAYOUTS, FeatureViewDefinition, Layout
from fscore.operations import registry as store
from fscore.operations.operation import Operation, Pause
from fscore.operations.registry import StoredRegistry
from fscore.operations.scan import AWAY, patiently, require_identity
from fscore.registry.registry import Registry
from fscore.specs.resolve import write_spec

_ATTEMPTS = 50
# Seconds before a change is tried again if its reply was lost.
_PAUSE = 0.5

Phase: TypeAlias = Literal["copy", "remove"]
COPY: Final = "copy"
"""Phase in which rows are copied to the new layout, and the copies are verified."""
REMOVE: Final = "remove"
"""Phase in which rows of the old layout are removed, until a scan finds none."""


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a migration is.

    - `phase` is "copy" or "remove".
    - `share` is the part of that phase that is done, 0 to 1. It goes back if the server restarts.
    - `rows` is how many rows were copied in the phase "copy", or removed in the phase "remove".
    """

    phase: Phase
    share: float
    rows: int


@dataclass(frozen=True, slots=True)
class Migration:
    """The outcome of a migration of `view` to `layout`.

    - `revision` is the revision of the definitions at its end.
    - `copied` is how many rows were stored in the new layout.
    - `removed` is how many rows were removed from the old layout.
    - `invalid` is how many values, or whole rows, were INVALID and became NULL.
    """

    view: str
    layout: Layout
    revision: int
    copied: int
    removed: int
    invalid: int


@dataclass(frozen=True, slots=True)
class Course:
    """The arguments of a migration: `rate` in rows a second, `settle` in seconds."""

    prefix: str
    view: str
    to: Layout
    rate: float
    settle: float
    invalid_as_null: bool = False
    field_ttl: bool = False
    progress: Callable[[MigrationProgress], None] | None = None

    def __post_init__(self) -> None:
        """Raise InvalidArgument if an argument is not valid."""
        checked_choice("to", self.to, LAYOUTS)
        checked_number("rate", self.rate)
        checked_number("settle", self.settle, or_zero=True)
        checked_flag("invalid_as_null", self.invalid_as_null)
        checked_callback("progress", self.progress)

    @property
    def old(self) -> Layout:
        """The layout that the migration leaves."""
        return LAYOUTS[1 - LAYOUTS.index(self.to)]


def migrate(course: Course) -> Operation[Migration]:
    """Move a view to a layout, continuing an earlier call that was interrupted.

    Raises FeatureViewNotFound; InvalidValue if the view does not have two layouts; UnsafeChange if
    values are INVALID (the view is then still read in its old layout, or only those rows are left
    there); RegistryConflict if somebody else changes the view meanwhile; ConfigError if a program
    keeps writing the old layout.
    """
    old, to = course.old, course.to
    copied: Copied | None = None
    stored, layouts = yield from _look(course)
    # A user without the right to run INFO fails here, before anything is changed.
    yield from require_identity()
    if layouts[0] != to:
        # A view whose packed rows would be too long fails here, before anything is changed.
        _rows(course, stored)
        if layouts == (old,):
            yield from _switch(course, (old,), (old, to))
        copied = yield from _copying(course)
        yield from _switch(course, (old, to), (to, old))
        layouts = (to, old)
    if layouts == (to, old):
        yield Pause(course.settle)
        yield from _switch(course, (to, old), (to,))
    yield Pause(course.settle)
    stored = yield from _look_again(course, (to,))
    removed = yield from _removing(course, stored)
    if copied is None:
        # An earlier call copied the rows. Those that it left out were moved by the removal.
        copied = removed.moved
    revision = stored.revision
    return Migration(course.view, to, revision, copied.rows, removed.rows, copied.invalid)


def _copying(course: Course) -> Operation[Copied]:
    yield Pause(course.settle)
    layouts = (course.old, course.to)
    stored = yield from _look_again(course, layouts)
    rows = _rows(course, stored)
    look = _looking(course, layouts)
    copied = yield from copy_rows(
        rows, look, course.rate, _told(course, COPY), invalid_as_null=course.invalid_as_null
    )
    if copied.blocked:
        _stop(
            course,
            copied,
            f"have values that are INVALID and cannot be stored as {course.to}",
            f"The view is still read as {course.old}, and written in both layouts. Write those "
            "rows again and run the same again; or with --invalid-as-null (invalid_as_null=True) "
            "those values become NULL; or go back with "
            f"`fscore migrate {course.view} --to {course.old}`.",
        )
    return copied


def _removing(course: Course, stored: StoredRegistry) -> Operation[Removed]:
    removed = yield from remove_rows(
        _rows(course, stored),
        _looking(course, (course.to,)),
        course.rate,
        _told(course, REMOVE),
        invalid_as_null=course.invalid_as_null,
    )
    if removed.moved.blocked:
        _stop(
            course,
            removed.moved,
            f"are left in {course.old} alone, with values that are INVALID and cannot be stored as "
            f"{course.to}",
            f"The view is read and written as {course.to}. Write those rows again and run the same "
            "again; or with --invalid-as-null (invalid_as_null=True) those values become NULL.",
        )
    if not removed.is_all:
        raise ConfigError(
            f"{removed.rows:,} rows of {course.view} were removed from {course.old}, and there are "
            "always new ones: a program that does not follow the definitions goes on writing them. "
            "Stop that program, and run the same again"
        )
    return removed


def _stop(course: Course, copied: Copied, what: str, advice: str) -> NoReturn:
    lines = [f"{key}: {why}" for key, why in copied.blocked.items()]
    listing = "".join(f"\n  {line}" for line in lines)
    first = f"{len(lines)} of them, the first:" if copied.more else f"{len(lines)}:"
    raise UnsafeChange(f"rows of {course.view} {what}; {first}{listing}\n{advice}", changes=lines)


def _rows(course: Course, stored: StoredRegistry) -> Rows:
    return Rows.compile(
        course.prefix, stored, course.view, source=course.old, field_ttl=course.field_ttl
    )


def _told(course: Course, phase: Phase) -> Callable[[float, int], None]:
    def tell(share: float, rows: int) -> None:
        if course.progress is not None:
            course.progress(MigrationProgress(phase, share, rows))

    return tell


def _looking(course: Course, layouts: tuple[Layout, ...]) -> Callable[[], Operation[Definitions]]:
    """Return a function that reads the definitions again if a script has found newer ones."""

    def look() -> Operation[Definitions]:
        stored = yield from _look_again(course, layouts)
        return Definitions(_rows(course, stored))

    return look


def _look(course: Course) -> Operation[tuple[StoredRegistry, tuple[Layout, ...]]]:
    stored = yield from patiently(store.load(course.prefix))
    return stored, _view(stored.registry, course.view).layouts


def _look_again(course: Course, layouts: tuple[Layout, ...]) -> Operation[StoredRegistry]:
    stored, found = yield from _look(course)
    _expect(course, layouts, stored, found)
    if not stored.registry.packed_views:
        # `load` reads schemas only if a view is packed. None is any more, but packed rows of this
        # view may be left, and reading them takes their schemas.
        schemas = yield from patiently(store.load_schemas(course.prefix))
        stored = replace(stored, schemas=schemas)
    return stored


def _expect(
    course: Course, layouts: tuple[Layout, ...], stored: StoredRegistry, found: tuple[Layout, ...]
) -> None:
    if found != layouts:
        raise RegistryConflict(
            f"view {course.view} was changed by somebody else while it migrated: it is now "
            f"{_shown(found)}, not {_shown(layouts)}. Run the same again to bring it to "
            f"{course.to}",
            expected=stored.revision,
            found=stored.revision,
        )


def _switch(
    course: Course, before: tuple[Layout, ...], after: tuple[Layout, ...]
) -> Operation[StoredRegistry]:
    """Set the view's layouts to `after`: first the one to read, then a second one to write.

    Somebody else may apply other definitions meanwhile; then this tries again.
    """
    uncertain = False
    for attempt in range(_ATTEMPTS):
        stored, found = yield from _look(course)
        if uncertain and found == after:
            # The change was stored, and only the reply was lost.
            return stored
        _expect(course, before, stored, found)
        registry = stored.registry
        view = replace(
            _view(registry, course.view),
            layout=after[0],
            migrating_from=after[1] if len(after) > 1 else None,
        )
        changed = replace(registry, views={**registry.views, course.view: view})
        try:
            yield from store.replace(course.prefix, stored, changed, now_ms=now_ms())
        except RegistryConflict:
            if attempt == _ATTEMPTS - 1:
                raise
            continue
        except AWAY:
            if attempt == _ATTEMPTS - 1:
                raise
            uncertain = True
            yield Pause(_PAUSE)
            continue
        break
    return (yield from _look_again(course, after))


def _view(registry: Registry, name: str) -> FeatureViewDefinition:
    write_spec(registry, name)  # raises if there is no such view, or if it stores nothing
    view = registry.views[name]
    if not isinstance(view, FeatureViewDefinition):
        raise InvalidValue(
            f"view {name} is of kind {view.kind}, which has one layout: only views of features "
            "have two"
        )
    return view


def _shown(layouts: tuple[Layout, ...]) -> str:
    return f"{layouts[0]} alone" if len(layouts) == 1 else f"{layouts[0]} with {layouts[1]}"
