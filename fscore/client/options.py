"""The arguments that calls of both clients take."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

import numpy as np

from fscore._fscore import KeyColumns, ReadPlan, ReadQuery, RequestInputs, WriteBatch
from fscore.errors import InvalidKeys, InvalidValue
from fscore.interop.rows import now_ms, one_time
from fscore.operations.operation import Request

Keys: TypeAlias = Mapping[str, Any] | Sequence[Any] | np.ndarray[Any, Any] | KeyColumns
"""Join keys of a read: columns by name, or the one column if there is one join key."""
RequestValues: TypeAlias = Mapping[str, Any] | RequestInputs | ReadQuery
"""Inputs of a read by name: for each one value, or a column of one value for each row."""
Consistency: TypeAlias = Literal["eventual", "primary", "snapshot"]
"""How fresh a read must be; see docs/concepts/consistency.md."""
Ordering: TypeAlias = Literal["arrival", "event_time"]
"""Which row of an entity stays: the one that arrives last, or the one with the newest time."""

_ORDERINGS = ("arrival", "event_time")
_CONSISTENCIES = ("eventual", "primary", "snapshot")


class Deadline:
    """The time at which a call must end; all steps of the call share it."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout

    def left(self) -> float:
        """Return how many seconds are left; 0 if the time is over."""
        return max(self._end - time.monotonic(), 0.0)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How one read is carried out: the last arguments of the drivers' `read`.

    - `version` is the version of hashes and packed rows to read.
    - `as_of_ms` is the time at which windows end and rows expire, in epoch milliseconds.
    - `partial` accepts an answer with gaps.
    - `snapshot` reads all values of one entity at one point in time; with `pointer` it also reads
      which version the service's pointer names then.
    - `request` has the request's inputs.
    """

    version: int
    as_of_ms: int
    partial: bool
    snapshot: bool
    pointer: bool
    request: RequestValues | None = None


@dataclass(frozen=True, slots=True)
class Read(Request):
    """A step that reads keys by a plan; the driver sends the FeatureTable back."""

    plan: ReadPlan
    keys: Keys
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class Write(Request):
    """A step that sends batches, each within `timeout` seconds.

    The driver sends back, for each batch, how many of its rows changed something.
    """

    batches: Sequence[WriteBatch]
    timeout: float


def read_options(
    version: int,
    consistency: str,
    as_of: datetime | int | None,
    partial: bool,
    request: RequestValues | None,
    *,
    is_pinned: bool,
) -> ReadOptions:
    """Return the options of a read; InvalidKeys if an argument is not valid."""
    as_of_ms = now_ms() if as_of is None else _as_of_ms(as_of)
    if consistency == "eventual":
        return ReadOptions(version, as_of_ms, partial, False, False, request)
    if consistency not in _CONSISTENCIES:
        raise InvalidKeys(
            f"consistency is {consistency!r}; it must be one of {', '.join(_CONSISTENCIES)}"
        )
    snapshot = consistency == "snapshot"
    return ReadOptions(version, as_of_ms, partial, snapshot, snapshot and not is_pinned, request)


def checked_version(version: int) -> int:
    """Return a version that a caller pins; InvalidKeys if it is not an integer from 1."""
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 1 << 63:
        raise InvalidKeys(f"version is {version!r}; it must be an integer from 1")
    return version


def checked_ordering(ordering: str) -> str:
    """Return an ordering of writes; InvalidValue if it is not a valid one."""
    if ordering not in _ORDERINGS:
        raise InvalidValue(f"ordering is {ordering!r}; it must be one of {', '.join(_ORDERINGS)}")
    return ordering


def _as_of_ms(as_of: datetime | int) -> int:
    try:
        return one_time(as_of, "as_of")
    except InvalidValue as error:
        raise InvalidKeys(error.message) from None
