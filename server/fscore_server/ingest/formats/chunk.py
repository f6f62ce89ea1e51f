"""What every reader yields."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import polars as pl

from fscore_server.ingest.rows.failures import Reject

__all__ = ["Chunk", "Reader"]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some thousands of rows of a file, as columns."""

    frame: pl.DataFrame
    """The wanted columns, in the types that the file has them in (CSV: text)."""
    locate: Callable[[Sequence[int]], list[tuple[int, str]]]
    """Line number and raw text of rows of `frame`; only asked for rows that are rejected."""
    rejects: list[Reject] = field(default_factory=list)
    """Lines that are no row at all."""


class Reader(Protocol):
    """A file that is being read."""

    path: Path

    @property
    def size(self) -> int | None:
        """How many bytes the file on disk has; None where nobody knows."""

    @property
    def position(self) -> int:
        """How many bytes of the file on disk were taken so far."""

    def chunks(self) -> Iterator[Chunk]:
        """The rows; raises :class:`InputError` when the file as a whole is unusable."""

    def close(self) -> None: ...


def absent(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """The wanted names that are not there, in the order they were wanted."""
    there = set(present)
    return [name for name in wanted if name not in there]
