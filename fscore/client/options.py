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
"""Which of two rows of one entity stays: the one that arrives last, or that happened last."""

_ORDERINGS = ("arrival", "event_time")
_CONSISTENCIES = ("eventual", "primary", "snapshot")


class Deadline:
    """The end of a call, which everything that it does must keep."""

    __slots__ = ("_end",)

    def __init__(self, timeout: float) -> None:
        self._end = time.monotonic() + timeout

    def left(self) -> float:
        """Return the seconds until then, 0 afterwards."""
        return max(self._end - time.monotonic(), 0.0)


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How one read is carried out: the last arguments of the drivers' `read`.

    `version` is that of hashes and packed rows, `as_of_ms` the time at which windows end and rows
    expire. A `snapshot` takes everything of one entity at one point in time, and with `pointer`
    looks which version its service names then. `request` are the inputs that the request brings.
    """

    version: int
    as_of_ms: int
    partial: bool
    snapshot: bool
    pointer: bool
    request: RequestValues | None = None


@dataclass(frozen=True, slots=True)
class Read(Request):
    """A step of an operation: reads keys by a plan; sent back is the FeatureTable."""

    plan: ReadPlan
    keys: Keys
    options: ReadOptions


@dataclass(frozen=True, slots=True)
class Write(Request):
    """A step of an operation: sends batches, each within `timeout` seconds.

    Sent back is for each batch how many of its commands changed something.
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
    """Return how to read a version; InvalidKeys if an argument is not a valid one."""
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
    """Return a version that a caller pins; InvalidKeys if it is not one."""
    if isinstance(version, bool) or not isinstance(version, int) or not 1 <= version < 1 << 63:
        raise InvalidKeys(f"version is {version!r}; it must be an integer from 1")
    return version


def checked_ordering(ordering: str) -> str:
    """Return an ordering of writes; InvalidValue if it is not one."""
    if ordering not in _ORDERINGS:
        raise InvalidValue(f"ordering is {ordering!r}; it must be one of {', '.join(_ORDERINGS)}")
    return ordering


def _as_of_ms(as_of: datetime | int) -> int:
    try:
        return one_time(as_of, "as_of")
    except InvalidValue as error:
        raise InvalidKeys(error.message) from None
