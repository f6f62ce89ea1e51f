"""What a migration does with all rows of its view: it copies them, looks at the copies, removes.

Operations without I/O, as in `_scan`. Every scan begins again when the server is another, and what
is done about a row is done by a script that may be called again.
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

# How often what appears in both layouts meanwhile is looked at again.
_ATTEMPTS = 100

Tell: TypeAlias = Callable[[float, int], None]


def copy_rows(
    rows: Rows, look: Look, rate: float, tell: Tell, *, invalid_as_null: bool
) -> Operation[Copied]:
    """Store every row of the view in the target's layout too, `rate` rows a second.

    What is there in the target's layout alone is removed: it was left by an earlier migration, and
    its row is gone since. Then each row is looked for in the target's layout, and copied again if
    it is not there: only one that expired, or has nothing to be stored, may be without a copy.
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
    """What removing did: how many rows, and those that were moved because they had no copy.

    What could not be moved stays; `moved` says why. Not `is_all` when there were always more rows.
    """

    rows: int = 0
    moved: Copied = field(default_factory=Copied)
    is_all: bool = False


def remove_rows(
    rows: Rows, look: Look, rate: float, tell: Tell, *, invalid_as_null: bool
) -> Operation[Removed]:
    """Remove the rows of the source's layout, in which nobody reads or writes any more.

    A row of which the target has none is moved there: it was never copied, or its copy is lost.
    It is none that was deleted, since a delete takes a row in both layouts.
    """
    scripts = Scripts(rows, look)
    removed = Removed()
    retired = yield from patiently(retired_versions(rows))

    def removing(number: int) -> Visit:
        # What could not be moved is found by each scan.
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
        # Of what is left somebody has written a row since.
        left = yield from copy(
            scripts, alone, removed.moved, invalid_as_null=invalid_as_null, moving=True
        )
        removed.rows += count + removed.moved.rows - before
        if not left:
            return
