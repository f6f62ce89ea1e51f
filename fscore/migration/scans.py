"""Scans all rows of a view that migrates: to copy them, to verify the copies, to remove them.

Operations without I/O (see `fscore.operations.operation`). A scan begins again if another server
process answers. That is safe because a script changes the rows, and its calls may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from fscore.migration.rows import (
    Copied,
    Keys,
    Look,
    Rows,
    Scripts,
    copy,
    is_there,
    prune,
    remove,
    retired_versions,
)
from fscore.operations.operation import Operation
from fscore.operations.scan import Visit, first_part, last_part, patiently, scan, sweep

# How often a row is tried again if somebody writes it meanwhile.
_ATTEMPTS = 100

Tell: TypeAlias = Callable[[float, int], None]


def copy_rows(
    rows: Rows, look: Look, rate: float, tell: Tell, *, invalid_as_null: bool
) -> Operation[Copied]:
    """Copy every row of the view to the target's layout, `rate` rows a second.

    A row that only the target's layout has is removed: an earlier migration left it, and it was
    deleted since. A second scan then looks for each row in the target's layout and copies it again
    if it is missing. After that only rows that expired, or have nothing to store, lack a copy.
    """
    scripts = Scripts(rows, look)
    copied, again = Copied(), Copied()
    retired = yield from patiently(retired_versions(rows))

    def store(keys: list[bytes]) -> Operation[int]:
        sources, targets = scripts.rows.sort(keys, retired)
        yield from copy(scripts, sources, copied, invalid_as_null=invalid_as_null)
        yield from prune(scripts, targets)
        return len(sources) + len(targets)

    def verify(keys: list[bytes]) -> Operation[int]:
        sources, _ = scripts.rows.sort(keys, retired)
        there = yield from is_there(scripts.rows, sources.values(), scripts.rows.target)
        pairs = zip(sources.items(), there, strict=True)
        missing = {key: target for (key, target), found in pairs if not found}
        yield from copy(scripts, missing, again, invalid_as_null=invalid_as_null)
        return len(missing)

    def told(share: float) -> None:
        tell(share, copied.rows)

    yield from scan(rows.match, store, rate=rate, tell=first_part(told), begin_again=copied.clear)
    if not copied.blocked:
        yield from scan(
            rows.match, verify, rate=rate, tell=last_part(told), begin_again=again.clear
        )
        copied.blocked, copied.more = again.blocked, again.more
    return copied


@dataclass(slots=True)
class Removed:
    """The outcome of removing.

    - `rows` is how many rows were removed from the source's layout.
    - `moved` is about rows that were moved because they had no copy; rows that could not be moved
      stay, and `moved.blocked` says why.
    - `is_all` is False if every scan found more rows.
    """

    rows: int = 0
    moved: Copied = field(default_factory=Copied)
    is_all: bool = False


def remove_rows(
    rows: Rows, look: Look, rate: float, tell: Tell, *, invalid_as_null: bool
) -> Operation[Removed]:
    """Remove the rows of the source's layout, which nobody reads or writes any more.

    A row that the target's layout does not have is moved there: it was never copied, or its copy
    was lost. It cannot be a deleted row, because a delete removes a row from both layouts.
    """
    scripts = Scripts(rows, look)
    removed = Removed()
    retired = yield from patiently(retired_versions(rows))

    def removing(number: int) -> Visit:
        # Each scan finds the rows again that could not be moved.
        removed.moved.unblock()

        def visit(keys: list[bytes]) -> Operation[int]:
            sources, _ = scripts.rows.sort(keys, retired)
            if number:
                # After the first scan nearly all of these are hashes of other views.
                there = yield from is_there(scripts.rows, sources, scripts.rows.source)
                pairs = zip(sources.items(), there, strict=True)
                sources = {key: target for (key, target), found in pairs if found is not False}
            yield from _remove(scripts, sources, removed, invalid_as_null)
            return len(sources)

        return visit

    removed.is_all = yield from sweep(
        rows.match,
        removing,
        lambda: removed.rows,
        rate=rate,
        tell=lambda share: tell(share, removed.rows),
    )
    return removed


def _remove(
    scripts: Scripts, sources: Keys, removed: Removed, invalid_as_null: bool
) -> Operation[None]:
    left = sources
    for _ in range(_ATTEMPTS):
        count, alone = yield from remove(scripts, left)
        before = removed.moved.rows
        # Rows are left over if a writer stored them in the target meanwhile: remove them now.
        left = yield from copy(
            scripts, alone, removed.moved, invalid_as_null=invalid_as_null, moving=True
        )
        removed.rows += count + removed.moved.rows - before
        if not left:
            return
