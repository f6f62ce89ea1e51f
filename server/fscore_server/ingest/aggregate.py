"""Aggregation of events into the rows of a view: partial results for each batch of events are
merged into one row per entity.

Memory grows with the number of entities, not with the number of events; only `distinct` also keeps
each different value of an entity once. :mod:`fscore.model.mapping` specifies the operations, whose
names here are those that the registry stores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from fscore.ingestion import Conditions
from fscore_server.ingest.exact_mean import ExactMean
from fscore_server.ingest.plan import Cell, FeaturePlan, ViewPlan
from fscore_server.ingest.rows.convert import STORED
from fscore_server.ingest.rows.failures import InputError

__all__ = ["Aggregation", "selected"]

# Grouping has a fixed cost, so events are gathered until there are this many.
_BATCH_ROWS = 500_000

# With a dot, which no feature has in its name.
_TIME = "event.time"
_INT64_MAX = 2**63 - 1
_EXTREMES = {"smallest": pl.Expr.min, "largest": pl.Expr.max}
# Operations that keep more than one value for each entity, in tables of their own.
_APART = ("distinct", "mean")


class Aggregation:
    """Aggregates the events of one view; `names` has the column of the events for each cell."""

    def __init__(self, plan: ViewPlan, names: dict[Cell, str]) -> None:
        self._plan = plan
        self._names = names
        self._keys = [f"key.{name}" for name, _ in plan.keys]
        self._waiting: list[pl.DataFrame] = []
        self._rows = 0
        self._partial: pl.DataFrame | None = None
        # For each `distinct` feature, each pair of an entity and a value once.
        self._seen: dict[str, pl.DataFrame] = {}
        self._means = {
            feature.name: ExactMean(self._keys) for feature in plan.features if feature.op == "mean"
        }

    def add(self, events: pl.DataFrame) -> None:
        """Add events, in the order of the file. Each must have its join keys and its event time."""
        self._waiting.append(
            events.select(
                *(pl.col(self._names[cell]).alias(f"key.{name}") for name, cell in self._plan.keys),
                pl.col(self._names[self._plan.event_time]).alias(_TIME),
                *(
                    pl.col(self._names[feature.cell]).alias(f"cell.{feature.name}")
                    for feature in self._plan.features
                    if feature.cell is not None
                ),
                *(
                    selected(feature.where, self._names).alias(f"where.{feature.name}")
                    for feature in self._plan.features
                    if feature.where
                ),
            )
        )
        self._rows += events.height
        if self._rows >= _BATCH_ROWS:
            self._collapse()

    def rows(self) -> pl.DataFrame:
        """Return one row per entity, sorted by key: the join keys, the features, and `event_time`
        in epoch milliseconds.

        Raises `InputError` if a sum does not fit into 64 bits.
        """
        self._collapse()
        partial = self._partial
        if partial is None:
            return pl.DataFrame()
        for feature in self._plan.features:
            if feature.op == "distinct" and feature.name in self._seen:
                counts = (
                    self._seen[feature.name]
                    .group_by(self._keys)
                    .agg(pl.len().cast(pl.Int64).alias(feature.name))
                )
                partial = partial.join(counts, on=self._keys, how="left")
        for name, mean in self._means.items():
            partial = partial.join(mean.means(name), on=self._keys, how="left")
        for feature in self._plan.features:
            self._check_sum(partial, feature)
        return partial.sort(self._keys).select(
            *(pl.col(f"key.{name}").alias(name) for name, _ in self._plan.keys),
            *(self._final(feature) for feature in self._plan.features),
            pl.col(_TIME).alias("event_time"),
        )

    def _collapse(self) -> None:
        if not self._waiting:
            return
        events = pl.concat(self._waiting)
        self._waiting.clear()
        self._rows = 0
        # The sort is stable, so that the later of two lines with equal times stays the later one.
        events = events.sort(_TIME, maintain_order=True)
        partial = events.group_by(self._keys, maintain_order=True).agg(
            pl.col(_TIME).max(),
            *(part for feature in self._plan.features for part in self._part(feature)),
        )
        for feature in self._plan.features:
            if feature.op == "distinct":
                self._see(feature, events)
            elif feature.op == "mean":
                chosen = events.filter(self._chosen(feature))
                self._means[feature.name].add(chosen, chosen[f"cell.{feature.name}"])
        if self._partial is not None:
            merged = pl.concat([self._partial, partial])
            partial = merged.group_by(self._keys, maintain_order=True).agg(
                pl.col(_TIME).max(),
                *(part for feature in self._plan.features for part in _merge(feature)),
            )
        self._partial = partial

    def _part(self, feature: FeaturePlan) -> Sequence[pl.Expr]:
        """Return the partial result of a feature for one batch of events, sorted by time."""
        name = feature.name
        chosen = self._chosen(feature)
        if feature.op == "count":
            return [chosen.sum().cast(pl.Int64).alias(name)]
        if feature.op in _APART:
            return []
        value = pl.col(f"cell.{name}").filter(chosen)
        if feature.op == "total":
            return [_wide(value, feature).sum().alias(name)]
        if feature.op in _EXTREMES:
            return [_EXTREMES[feature.op](value).alias(name)]
        time = pl.col(_TIME).filter(chosen)
        if feature.op == "latest":
            return [value.last().alias(name), time.last().alias(f"{_TIME}.{name}")]
        return [value.first().alias(name), time.first().alias(f"{_TIME}.{name}")]

    def _chosen(self, feature: FeaturePlan) -> pl.Expr:
        """Return whether an event counts for the feature: `where` selects it and its cell has a
        value.
        """
        conditions = [pl.col(_TIME).is_not_null()]
        if feature.where:
            conditions.append(pl.col(f"where.{feature.name}"))
        if feature.cell is not None:
            conditions.append(pl.col(f"cell.{feature.name}").is_not_null())
        return pl.all_horizontal(conditions)

    def _see(self, feature: FeaturePlan, events: pl.DataFrame) -> None:
        pairs = (
            events.lazy()
            .filter(self._chosen(feature))
            .select(*self._keys, f"cell.{feature.name}")
            .unique()
            .collect()
        )
        seen = self._seen.get(feature.name)
        self._seen[feature.name] = pairs if seen is None else pl.concat([seen, pairs]).unique()

    def _final(self, feature: FeaturePlan) -> pl.Expr:
        column = pl.col(feature.name)
        if feature.op in ("count", "distinct", "total"):
            column = column.fill_null(0)
        return column.cast(STORED[feature.spelling]) if feature.spelling in STORED else column

    def _check_sum(self, partial: pl.DataFrame, feature: FeaturePlan) -> None:
        if feature.op != "total" or feature.spelling != "Int64":
            return
        over = partial.filter(~pl.col(feature.name).is_between(-_INT64_MAX - 1, _INT64_MAX))
        if over.height:
            entity = ", ".join(str(value) for value in over.select(self._keys).row(0))
            raise InputError(
                f"the sum {self._plan.view}:{feature.name} of {entity} does not fit into 64 bits;"
                " declare the feature as Float64"
            )


def selected(where: Conditions, names: Mapping[Cell, str]) -> pl.Expr:
    """Return whether the text of each of these columns is one of the texts listed for it."""
    conditions = [pl.lit(True)]
    for column, texts in where.items():
        cell = pl.col(names[Cell(column, "text")])
        there = [text for text in texts if text is not None]
        matches = cell.is_in(there).fill_null(False)
        conditions.append(matches | cell.is_null() if None in texts else matches)
    return pl.all_horizontal(conditions)


def _merge(feature: FeaturePlan) -> Sequence[pl.Expr]:
    """Merge two partial results of an entity, the earlier batch first, into one."""
    name = feature.name
    column = pl.col(name)
    if feature.op in ("count", "total"):
        return [column.sum()]
    if feature.op in _APART:
        return []
    if feature.op in _EXTREMES:
        return [_EXTREMES[feature.op](column)]
    time = pl.col(f"{_TIME}.{name}")
    filled = time.is_not_null()
    order = time.filter(filled)
    value = column.filter(filled).sort_by(order, maintain_order=True)
    if feature.op == "latest":
        return [value.last(), time.max()]
    return [value.first(), time.min()]


def _wide(value: pl.Expr, feature: FeaturePlan) -> pl.Expr:
    """Cast to a type in which a sum does not wrap and is as exact as the feature's own type."""
    return value.cast(pl.Int128 if feature.spelling == "Int64" else pl.Float64)
