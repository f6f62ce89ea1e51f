"""What writes return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fscore._fscore import WriteBatch


@dataclass(frozen=True, slots=True)
class WriteResult:
    """What a write did.

    `rows` is how many rows Redis has taken, `versions` the versions in which each of them stands
    now: empty if they have no version, as in series and flags. `unchanged` is how many rows changed
    nothing, if that is known: rows ordered by event time for which a newer row was there, or the
    same; events that a series had already, or that came too late for it. After a write that had to
    be sent twice it may count rows that did change something.
    """

    rows: int
    versions: tuple[int, ...] = (1,)
    unchanged: int = 0


def written(
    batches: Sequence[WriteBatch], changed: Sequence[int], live: tuple[int, ...]
) -> WriteResult:
    """Return what these batches did, each of which says that it changed so many rows.

    They are the same rows for each version, one version after another.
    """
    copies = max(len(live), 1)
    each = len(batches) // copies
    unchanged = [
        batch.rows - rows if batch.counted else 0
        for batch, rows in zip(batches, changed, strict=True)
    ]
    return WriteResult(
        sum(batch.rows for batch in batches[:each]),
        live,
        min(sum(unchanged[each * copy :][:each]) for copy in range(copies)),
    )
