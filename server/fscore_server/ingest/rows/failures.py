"""Failures of an input file: of one row (:class:`Reject`) or of all of it (:class:`InputError`)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["InputError", "Reject", "missing_columns"]


class InputError(Exception):
    """The whole file is unusable, or does not fit the definitions; the message is one line for
    people.
    """


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that was not loaded: its line, the reason, and its text as it is in the file."""

    line: int
    reason: str
    raw: str


def missing_columns(path: Path, missing: Iterable[str], present: Iterable[str]) -> InputError:
    """Return the error for columns that the definitions read and the file does not have."""
    wanted = ", ".join(missing)
    found = ", ".join(present)
    return InputError(
        f"{path}: no column {wanted}; the file has: {found or 'no columns at all'}."
        " Correct the source's mapping in the definitions, or the file's header"
    )
