"""Orders in which the events of a clickstream may arrive."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from tests.replay.oracle import MINUTE

LATENESS = 10 * MINUTE
"""By how much a delivery may be late where arrival is disturbed."""


@dataclass(frozen=True)
class Delivery:
    """Which line arrives when, in epoch ms; in the order of arrival."""

    arrivals: list[int]
    lines: list[int]

    def until(self, moment: int, start: int) -> int:
        """How many have arrived by then, of which these were known to have."""
        end = start
        while end < len(self.arrivals) and self.arrivals[end] <= moment:
            end += 1
        return end


def in_order(events: pl.DataFrame, _chance: random.Random) -> Delivery:
    """Each event at its own time; those of one moment in the order of the file."""
    return _sorted(zip(events["t"], range(events.height), strict=True))


def disturbed(events: pl.DataFrame, chance: random.Random) -> Delivery:
    """Each up to ten minutes late, so that they overtake each other."""
    return _sorted(
        (time + chance.randrange(LATENESS), line) for line, time in enumerate(events["t"])
    )


def repeated(events: pl.DataFrame, chance: random.Random) -> Delivery:
    """The same, and a tenth arrives a second time, anywhere within the ten minutes."""
    once = disturbed(events, chance)
    pairs = list(zip(once.arrivals, once.lines, strict=True))
    again = chance.sample(range(events.height), events.height // 10)
    pairs += [(events["t"][line] + chance.randrange(LATENESS), line) for line in again]
    return _sorted(pairs)


def _sorted(pairs: Iterable[tuple[int, int]]) -> Delivery:
    ordered = sorted(pairs)
    return Delivery([time for time, _ in ordered], [line for _, line in ordered])
