"""The results of writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fscore._fscore import WriteBatch


@dataclass(frozen=True, slots=True)
class WriteResult:
    """The outcome of a write.

    - `rows` is how many rows Redis has accepted.
    - `versions` are the versions to which each row was written. It is empty for series and flags,
      which have no versions.
    - `unchanged` is how many rows changed nothing, if that is known: rows ordered by event time if
      Redis had the same row or a newer one; events that a series had already, or that are too old
      for it. If a write had to be sent twice, it may count rows that did change something.
    """

    rows: int
    versions: tuple[int, ...] = (1,)
    unchanged: int = 0


def written(
    batches: Sequence[WriteBatch], changed: Sequence[int], live: tuple[int, ...]
) -> WriteResult:
    """Return the result of sending these batches; `changed` has each batch's changed rows.

    `batches` has the same rows for each version in `live`, one version after another.
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
