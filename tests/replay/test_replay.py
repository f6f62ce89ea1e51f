"""Replay the example's clickstream and compare with a computation that shares no code with fscore.

Events are delivered in order, or up to ten minutes late, or late and a tenth of them twice.
At ten times S the delivery stops, and every feature of every user is compared exactly.

If deliveries are late, two comparisons are possible at S, and the test makes both:

- As of S, the features must follow from the events that have arrived, whatever their order.
- All events up to S - 10 min have arrived by S. So a read as of S - 10 min must give the truth of
  the whole clickstream, whatever else has arrived since. Rows and flags have no history, so they
  are left out of this comparison.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import fscore
from fscore import Registry, Status
from fscore_server.ingest import load
from tests.replay import deliveries
from tests.replay.deliveries import LATENESS, Delivery
from tests.replay.oracle import COUNTED, MINUTE, Features, Truth

SEED = 20_240_629
TIMES = 10
LARGEST_PUSH = 500

DELIVERIES: dict[str, Callable[[pl.DataFrame, random.Random], Delivery]] = {
    "in order": deliveries.in_order,
    "late": deliveries.disturbed,
    "late and repeated": deliveries.repeated,
}
# The shapes in which callers may push events.
SHAPES: Sequence[Callable[[pl.DataFrame], Any]] = (
    lambda frame: frame.to_dicts(),
    lambda frame: frame.to_dict(as_series=False),
    lambda frame: frame,
    lambda frame: frame.to_arrow(),
)


class Comparison:
    """Reads all users with each consistency, and compares feature by feature."""

    def __init__(self, client: Any, users: Sequence[str]) -> None:
        self._live = client.prepare("live_recommendation")
        self._totals = client.prepare("recommendation")
        self._users = users
        self.values = 0
        self.told: Counter[str] = Counter()
        """For each feature, how often it differed from that of a user without events."""

    def live(self, as_of: int, *expected: list[Features]) -> None:
        """Compare the features that a push fills."""
        self._compare(self._live, as_of, expected)

    def all(self, as_of: int, *expected: list[Features]) -> None:
        """Compare the features that a load fills."""
        self._compare(self._live, as_of, expected)
        self._compare(self._totals, as_of, expected)

    def _compare(self, prepared: Any, as_of: int, parts: Sequence[list[Features]]) -> None:
        for consistency in ("eventual", "snapshot"):
            table = prepared.get(self._users, as_of=as_of, consistency=consistency)
            places = {name: place for place, name in enumerate(table.features)}
            for row, found in enumerate(table.to_dicts()):
                statuses = table.statuses[row].tolist()
                for part in parts:
                    for name in part[row].keys() & found:
                        wanted, status = part[row][name], statuses[places[name]]
                        context = (self._users[row], name, as_of, consistency)
                        assert found[name] == wanted, context
                        assert status in _statuses(name, wanted), (*context, status)
                        self.values += 1
                        self.told[name] += bool(wanted)


def _statuses(name: str, wanted: Any) -> Sequence[Status]:
    if wanted is None:
        return (Status.NOT_FOUND, Status.NULL)
    # The default of a user without loaded rows is 0 too.
    return (Status.PRESENT, Status.NOT_FOUND) if name in COUNTED else (Status.PRESENT,)


def read_times(events: pl.DataFrame, chance: random.Random) -> list[int]:
    """Return ten times, one in each tenth of the events.

    Each is at an event or up to half an hour later, often at the edge of a window or session.
    """
    times = events["t"].sort()
    tenth = events.height // TIMES
    return sorted(
        times[chance.randrange(part * tenth, (part + 1) * tenth)]
        + chance.choice([0, 1, chance.randrange(30 * MINUTE), 30 * MINUTE - 1, 30 * MINUTE])
        for part in range(TIMES)
    )


@pytest.mark.parametrize(
    ("driver", "name"),
    # Both drivers send the same commands, so the asyncio driver gets only the hardest delivery.
    [*(("blocking", name) for name in DELIVERIES), ("asyncio", "late and repeated")],
    indirect=["driver"],
)
def test_every_feature_of_every_user_at_ten_times(
    client: Any, clickstream: pl.DataFrame, name: str
) -> None:
    chance = random.Random(SEED)
    users = sorted(clickstream["user_id"].unique())
    delivery = DELIVERIES[name](clickstream, chance)
    stops = read_times(clickstream, chance)
    print(f"seed {SEED}, times {stops}")
    columns = clickstream.drop("t").columns
    comparison = Comparison(client, users)
    arrived = 0
    for stop in stops:
        until = delivery.until(stop, arrived)
        while arrived < until:
            end = min(until, arrived + chance.randint(1, LARGEST_PUSH))
            events = clickstream[delivery.lines[arrived:end]].select(columns)
            result = client.push("clickstream", chance.choice(SHAPES)(events))
            assert result.events == end - arrived
            arrived = end
        there = Truth(users, clickstream[delivery.lines[:arrived]])
        comparison.live(stop, there.series(stop), there.pushed_rows(), there.flags())
        if name != "in order":
            complete = stop - LATENESS
            comparison.live(complete, Truth(users, clickstream).series(complete))
    print(f"{comparison.values:,} values compared, {arrived:,} events delivered")
    print(f"not nothing: {dict(comparison.told)}")
    assert comparison.values >= len(users) * 17 * 2 * TIMES
    assert all(comparison.told.values())


def test_a_load_of_everything_up_to_a_time(
    redis_url: str, shop: Registry, clickstream: pl.DataFrame, tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    users = sorted(clickstream["user_id"].unique())
    stops = read_times(clickstream, chance)
    print(f"seed {SEED}, times {stops}")
    with fscore.connect(redis_url) as client:
        for stop in stops:
            client.execute("FLUSHALL")
            client.apply(shop)
            prefix = clickstream.filter(pl.col("t") <= stop)
            prefix.drop("t").write_csv(tmp_path / "prefix.csv")
            report = load(client, shop, [tmp_path / "prefix.csv"])
            assert (report.rows, report.rejected) == (prefix.height, 0)
            truth = Truth(users, prefix)
            comparison = Comparison(client, users)
            comparison.all(stop, truth.series(stop), truth.loaded_rows(), truth.flags())
            print(f"{comparison.values:,} values compared")


@pytest.mark.parametrize("driver", ["blocking"], indirect=True)
def test_history_is_read_as_of_any_time(client: Any, clickstream: pl.DataFrame) -> None:
    chance = random.Random(SEED + 1)
    users = sorted(clickstream["user_id"].unique())
    client.push("clickstream", clickstream)
    comparison = Comparison(client, users)
    truth = Truth(users, clickstream)
    stops = read_times(clickstream, chance)
    print(f"seed {SEED + 1}, times {stops}")
    for stop in stops:
        comparison.live(stop, truth.series(stop))
    print(f"{comparison.values:,} values compared")
    assert all(comparison.told.values())


def test_pushing_what_was_loaded_changes_nothing(
    redis_url: str, shop: Registry, clickstream: pl.DataFrame, tmp_path: Path
) -> None:
    with fscore.connect(redis_url) as client:
        client.apply(shop)
        clickstream.drop("t").write_parquet(tmp_path / "all.parquet")
        load(client, shop, [tmp_path / "all.parquet"])
        result = client.push("clickstream", clickstream)
        assert all(
            view.unchanged == view.rows
            for name, view in result.views.items()
            if name != "promotions"
        )
        assert list(result.left_out) == ["user_activity"]
