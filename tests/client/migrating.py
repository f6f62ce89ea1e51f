"""Runs migrations step by step, with a clock of their own."""

from __future__ import annotations

import time
from typing import Any, Literal, cast

import pytest

import fscore
from fscore import (
    Bool,
    Bytes,
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Float32,
    Float64,
    Int64,
    List,
    Registry,
    String,
    Timestamp,
    Vector,
)
from fscore.errors import FscoreError
from fscore.migration.course import Course, migrate
from fscore.operations.operation import Operation, Pause, Step
from fscore.registry import Layout

NOW = int(time.time() * 1000)
MINUTE_MS, DAY_MS = 60_000, 86_400_000
USERS = list(range(40))
FAST: dict[str, Any] = {"rate": 1e9, "settle": 0.0}
BOTH = pytest.mark.parametrize("to", ["packed", "hash"])
"""Migrate to each of the two layouts."""

user = Entity("user", join_keys={"user_id": Int64})


class Row(FeatureView, entity=user, ttl="30d"):
    """A feature of every type."""

    points: Int64
    ratio: Float32
    score: Float64
    active: Bool
    name: String
    token: Bytes
    seen: Timestamp
    joined: Timestamp[Literal["s"]]
    tags: List[String]
    blobs: List[Bytes]
    times: List[Timestamp]
    taste: Vector[Literal[3]]
    brief: Int64 = Feature(ttl="5m")


class Other(FeatureView, entity=user, ttl="90d"):
    """Another view in the same hash."""

    level: Int64


FEATURES = [feature.name for feature in Registry.from_definitions([Row]).views["row"].features]
REGISTRY = Registry.from_definitions(
    [Row, Other, FeatureService("everything", features=[Row, Other])]
)


def row(number: int) -> dict[str, Any]:
    """Return a row whose values follow from a number; some of them are null."""
    made = {
        "points": number - 3,
        "ratio": number / 3,
        "score": [0.1, float("inf"), -0.0, 5e-324][number % 4],
        "active": number % 2 == 0,
        "name": ["", "é", "a,b", "\x00"][number % 4],
        "token": bytes([number % 256, 0, 255]),
        "seen": 1_700_000_000_123 + number,
        "joined": 1_700_000_000_000 + 1000 * number,
        "tags": [] if number % 3 else ["a", 'b"', "☕"],
        "blobs": [b"", b"\xff"],
        "times": [1, -1],
        "taste": [0.5, float(number), -1.0],
        "brief": number,
    }
    return {
        name: None if (number + place) % 5 == 0 and number % 7 else value
        for place, (name, value) in enumerate(made.items())
    }


def fill(client: Any) -> None:
    """Write rows of all ages in two versions, and rows of another view in the same hashes."""
    rows = [
        {"user_id": number, **row(number), "event_time": NOW - number * 7 * MINUTE_MS}
        for number in USERS
    ]
    rows[-1]["event_time"] = NOW - 31 * DAY_MS
    client.write("row", rows)
    client.write("row", [{**one, "points": 7} for one in rows[:5]], version=2)
    client.write("other", {"user_id": USERS[::2], "level": USERS[::2]})


def begin(client: Any, to: str, **options: Any) -> None:
    """Put the view into the layout from which it will migrate to `to`."""
    if to == "hash":
        client.migrate("row", "packed", **{**FAST, **options})


def values(client: Any) -> Any:
    """Return every value, status and event time of both versions, as of one time."""
    client.refresh()
    prepared = client.prepare("everything")
    found = []
    for version in (1, 2):
        table = prepared.get([*USERS, 999], version=version, as_of=NOW)
        found.append((table.to_dicts(), table.statuses.tolist(), table.event_times.tolist()))
    return found


def opposite(layout: str) -> str:
    """Return the other layout."""
    return "hash" if layout == "packed" else "packed"


def keys_in(witness: Any, layout: str) -> list[bytes]:
    """Return the keys that have a row in this layout."""
    if layout == "packed":
        packed: list[bytes] = witness.keys("user:*:row")
        return packed
    hashes = [key for key in witness.keys("user:*") if not key.endswith(b":row")]
    return [key for key in hashes if witness.hexists(key, "_ts:row")]


def same(found: Any, expected: Any) -> None:
    """Check that two results of `values` are equal."""
    assert repr(found) == repr(expected)  # tells NaN and -0.0 apart as well


class Steps:
    """Runs migrations on a connection; pauses take no time, and are recorded."""

    def __init__(self, url: str, **overrides: Any) -> None:
        self._client = fscore.connect(url, **overrides)
        self.clock = 0.0
        self.pauses: list[float] = []
        self.done = 0

    def run(self, course: Course, most: int | None = None) -> Any:
        """Run a migration and return its result, or None if it was dropped after `most` steps."""
        operation = migrate(course)
        self.done = 0
        reply: Any = None
        try:
            step = next(operation)
            while most is None or self.done < most:
                self.done += 1
                try:
                    reply = self.take(step)
                except FscoreError as error:
                    step = operation.throw(error)
                else:
                    step = operation.send(reply)
        except StopIteration as finished:
            return finished.value
        operation.close()
        return None

    def take(self, step: Any) -> Any:
        """Carry out one step and return its answer: the clock for a pause, else the reply."""
        if isinstance(step, Pause):
            self.clock += step.seconds
            if step.seconds:
                self.pauses.append(step.seconds)
            return self.clock
        return self._client.driver.run(_once(step))

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _once(step: Step) -> Operation[Any]:
    return (yield step)


def course(to: str, **options: Any) -> Course:
    """Return a migration of the view `row` that waits a second at each switch."""
    return Course("", "row", cast(Layout, to), **{"rate": 1e9, "settle": 1.0, **options})
