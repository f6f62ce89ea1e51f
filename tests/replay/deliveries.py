"""Orders in which the events of a clickstream may arrive."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tests.replay.oracle import MINUTE

LATENESS = 10 * MINUTE
"""How late an event may arrive, in ms, if arrival is disturbed."""


@dataclass(frozen=True)
class Delivery:
    """Lines of the file in order of arrival, and when each arrives in epoch ms."""

    arrivals: list[int]
    lines: list[int]

    def until(self, time: int, start: int) -> int:
        """Return how many lines have arrived by `time`; at least `start` have."""
        end = start
        while end < len(self.arrivals) and self.arrivals[end] <= time:
            end += 1
        return end


def in_order(events: pl.DataFrame, _chance: random.Random) -> Delivery:
    """Deliver each event at its own time; events of the same time in the order of the file."""
    return _sorted(zip(events["t"], range(events.height), strict=True))


def disturbed(events: pl.DataFrame, chance: random.Random) -> Delivery:
    """Deliver each event up to ten minutes late, so that events overtake each other."""
    return _sorted(
        (time + chance.randrange(LATENESS), line) for line, time in enumerate(events["t"])
    )


def repeated(events: pl.DataFrame, chance: random.Random) -> Delivery:
    """Do the same, and deliver a tenth a second time, also within ten minutes."""
    once = disturbed(events, chance)
    pairs = list(zip(once.arrivals, once.lines, strict=True))
    again = chance.sample(range(events.height), events.height // 10)
    pairs += [(events["t"][line] + chance.randrange(LATENESS), line) for line in again]
    return _sorted(pairs)


def _sorted(pairs: Iterable[tuple[int, int]]) -> Delivery:
    ordered = sorted(pairs)
    return Delivery([time for time, _ in ordered], [line for _, line in ordered])
