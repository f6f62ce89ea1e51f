"""The chunks that every reader yields, and the readers' interface."""

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
    """The wanted columns, in the file's own types (CSV: text)."""
    locate: Callable[[Sequence[int]], list[tuple[int, str]]]
    """Returns the line number and the raw text of rows of `frame`; called for rejected rows only.
    """
    rejects: list[Reject] = field(default_factory=list)
    """Lines that could not be read as a row."""


class Reader(Protocol):
    """A file that is being read."""

    path: Path

    @property
    def size(self) -> int | None:
        """How many bytes the file on disk has; None for the standard input."""

    @property
    def position(self) -> int:
        """How many bytes of the file on disk have been read so far."""

    def chunks(self) -> Iterator[Chunk]:
        """Yield the rows. Raises :class:`InputError` if the file as a whole is unusable."""

    def close(self) -> None: ...


def absent(wanted: Iterable[str], present: Iterable[str]) -> list[str]:
    """Return the wanted names that are not present, in the order in which they are wanted."""
    there = set(present)
    return [name for name in wanted if name not in there]
