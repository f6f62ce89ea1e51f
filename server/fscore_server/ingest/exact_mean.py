"""The exact mean of an entity's floats, whatever the order and the batches in which they come.

A float is an integer times a power of two. These integers are added up as integers, apart for each
range of 32 powers, so nothing is rounded before the division at the end. The memory is a row for
each entity and range; the values of most columns are in one or two ranges.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import islice

import numpy as np
import polars as pl

__all__ = ["ExactMean"]

_MANTISSA_BITS = 53
# Integers of 53 bits, shifted by less than this and added up, fit into 128 bits for 2^43 values.
_RANGE = 32


class ExactMean:
    """Computes the mean of one column for each entity, whose join keys are the columns `keys`."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = list(keys)
        self._sums: pl.DataFrame | None = None

    def add(self, entities: pl.DataFrame, values: pl.Series) -> None:
        """Add a value, a Float64 that is not null, to the entity of each row of `entities`."""
        numbers = values.to_numpy()
        finite = np.isfinite(numbers)
        fractions, exponents = np.frexp(np.where(finite, numbers, 0.0))
        ranges, shifts = np.divmod(exponents.astype(np.int64) - _MANTISSA_BITS, _RANGE)
        # The fraction of a float has 53 bits, so these integers are exact.
        integers = pl.Series(np.ldexp(fractions, _MANTISSA_BITS).astype(np.int64))
        factors = pl.Series(np.left_shift(1, shifts))
        parts = entities.select(
            *self._keys,
            pl.Series("range", ranges),
            (pl.lit(integers.cast(pl.Int128)) * factors.cast(pl.Int128)).alias("sum"),
            # Infinities and NaN, which add up to the same in any order.
            pl.Series("other", np.where(finite, 0.0, numbers)),
            pl.lit(1, pl.Int64).alias("count"),
        )
        if self._sums is not None:
            parts = pl.concat([self._sums, parts])
        self._sums = parts.group_by(*self._keys, "range").agg(pl.col("sum", "other", "count").sum())

    def means(self, name: str) -> pl.DataFrame:
        """Return the join keys of each entity that has a value, and its mean as the column `name`.

        Values must have been added before.
        """
        assert self._sums is not None
        sums = self._sums.sort(self._keys)
        whole = sums.group_by(self._keys, maintain_order=True).agg(
            pl.len().alias("ranges"), pl.col("other", "count").sum()
        )
        parts = zip(sums["range"].to_list(), sums["sum"].to_list(), strict=True)
        means = [
            _mean(list(islice(parts, ranges)), other, count)
            for ranges, other, count in whole.select("ranges", "other", "count").iter_rows()
        ]
        return whole.select(*self._keys, pl.Series(name, means, pl.Float64))


def _mean(parts: list[tuple[int, int]], other: float, count: int) -> float:
    """Return the mean of `count` values from their sum in each range."""
    if not math.isfinite(other):
        return other
    lowest = min(parts)[0]
    total = sum(part << (_RANGE * (number - lowest)) for number, part in parts)
    power = _RANGE * lowest
    # Python rounds the quotient of two integers correctly, however long they are.
    return (total << power) / count if power >= 0 else total / (count << -power)
