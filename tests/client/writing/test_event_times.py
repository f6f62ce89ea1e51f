"""Impossible event times (another unit, long ago, in the future) are refused by every write."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fscore import (
    Entity,
    EventSource,
    FeatureView,
    Int64,
    InvalidValue,
    Registry,
    Timestamp,
    latest,
)
from tests.client.driver import Driver
from tests.client.kinds import VIEWS, user
from tests.event_times import EARLIEST_MS, RECENT_MS, shortly_ahead

DAY_MS = 86_400_000
READ = "It is read as milliseconds since 1970"
WRONG: dict[str, tuple[int, str]] = {
    "seconds": (RECENT_MS // 1_000, f"which is before 1990; is it in seconds? {READ}"),
    "microseconds": (
        RECENT_MS * 1_000,
        f"which is more than 5 minutes ahead of the clock; is it in microseconds? {READ}",
    ),
    "nanoseconds": (
        RECENT_MS * 1_000_000,
        f"which is more than 5 minutes ahead of the clock; is it in nanoseconds? {READ}",
    ),
    "a year ahead": (
        RECENT_MS + 365 * DAY_MS,
        "which is more than 5 minutes ahead of the clock",
    ),
    "long ago": (EARLIEST_MS - 1, f"which is before 1990; i{READ[1:]}"),
    "before 1970": (-1, f"which is before 1990; i{READ[1:]}"),
}
ROWS: dict[str, dict[str, Any]] = {
    "profile": {"age": 1},
    "row": {"points": 1, "name": "a", "active": True, "tags": None},
    "plain": {},
    "clicks": {"page": "/"},
    "tiled": {"amount": 1},
    "consents": {"consent": True},
}


class Visit(FeatureView, entity=user):
    visited_at: Timestamp


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(Registry.from_definitions([*VIEWS, Visit]))
    return connected


def columns_of(view: str, times: Any, rows: int = 3) -> dict[str, Any]:
    values = {name: [value] * rows for name, value in ROWS[view].items()}
    return {"user_id": list(range(rows)), **values, "event_time": times}


def refused(call: Callable[..., Any], *arguments: Any, **named: Any) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        call(*arguments, **named)
    assert caught.value.feature == "event_time"
    return caught.value


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("view", ROWS)
@pytest.mark.parametrize("ordering", ["arrival", "event_time"])
def test_a_wrong_time_is_refused_by_every_kind_of_view(
    client: Any, witness: Any, view: str, ordering: str, case: str
) -> None:
    wrong, why = WRONG[case]
    before = set(witness.keys("*"))
    rows = [{"user_id": number, **ROWS[view]} for number in range(3)]

    for given in (rows, {name: [row[name] for row in rows] for name in rows[0]}):
        error = refused(client.write, view, given, event_time=wrong, ordering=ordering)
        assert error.message == f"event_time is {wrong}, {why}"
    rows[2]["event_time"] = wrong
    error = refused(client.write, view, rows, ordering=ordering)
    assert (error.row, error.message) == (2, f"{view}:event_time (row 2) is {wrong}, {why}")
    columns = columns_of(view, [RECENT_MS, None, wrong])
    error = refused(client.write, view, columns, ordering=ordering)
    assert (error.row, error.message) == (2, f"{view}:event_time (row 2) is {wrong}, {why}")
    assert set(witness.keys("*")) == before


def moment(ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(ms / 1_000, dt.UTC)


FORMS: dict[str, Callable[[list[int]], Any]] = {
    "integers": list,
    "datetimes": lambda times: [moment(ms) for ms in times],
    "int64": lambda times: np.array(times),
    "datetime64[ms]": lambda times: np.array(times, "datetime64[ms]"),
    "datetime64[s]": lambda times: np.array([ms // 1_000 for ms in times], "datetime64[s]"),
    "Arrow int64": lambda times: pa.array(times),
    "Arrow timestamps": lambda times: pa.array(times, pa.timestamp("ms", tz="UTC")),
}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (RECENT_MS // 1_000_000 * 1_000, "before 1990; is it in seconds?"),
        (RECENT_MS + DAY_MS, "more than 5 minutes ahead of the clock"),
    ],
    ids=["seconds", "tomorrow"],
)
@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_time_is_refused_in_every_form(
    client: Any, witness: Any, form: str, wrong: int, why: str
) -> None:
    times = FORMS[form]([RECENT_MS, RECENT_MS - 1_000, wrong, RECENT_MS])
    columns = columns_of("profile", times, 4)
    given: list[Any] = [pa.table(columns) if form.startswith("Arrow") else columns]
    if isinstance(times, np.ndarray):
        structured = np.zeros(4, [("user_id", "i8"), ("age", "i8"), ("event_time", times.dtype)])
        structured["event_time"] = times
        given.append(structured)
    if isinstance(times, list):
        given.append([{"user_id": row, "event_time": each} for row, each in enumerate(times)])
    for rows in given:
        error = refused(client.write, "profile", rows)
        message = f"profile:event_time (row 2) is {wrong}, which is {why}"
        assert (error.row, error.message[: len(message)]) == (2, message)
    assert witness.keys("user:*") == []


@pytest.mark.parametrize("rows", [[{"user_id": 1}], {"user_id": [1]}], ids=["dicts", "columns"])
def test_a_datetime_for_all_rows_is_refused_too(client: Any, rows: Any) -> None:
    wrong = moment(RECENT_MS + DAY_MS)
    error = refused(client.write, "profile", rows, event_time=wrong)
    assert (
        error.message == f"event_time is {wrong}, which is more than 5 minutes ahead of the clock"
    )


def test_the_limits_themselves_are_taken(client: Any) -> None:
    rows = [{"user_id": number, "age": 1} for number in range(2)]
    times = [EARLIEST_MS, shortly_ahead()]
    client.write("profile", {"user_id": [0, 1], "age": [1, 1], "event_time": times})
    for row, time in zip(rows, times, strict=True):
        client.write("profile", [row], event_time=time, ordering="event_time")
    table = client.prepare(features=["age"]).get([0, 1])
    assert table.event_times.astype(np.int64).ravel().tolist() == times


def test_values_of_features_and_as_of_may_be_any_time(client: Any) -> None:
    client.write("visit", [{"user_id": 1, "visited_at": 5}])
    client.write("tiled", [{"user_id": 1, "at": 2**53}])
    prepared = client.prepare(features=["visited_at"])
    for as_of in (0, RECENT_MS + 365 * DAY_MS):
        assert prepared.get([1], as_of=as_of).to_dicts() == [{"visited_at": 5}]


@pytest.mark.parametrize(
    ("timestamp_format", "wrong", "why"),
    [
        ("unix_ms", RECENT_MS // 1_000, f"before 1990; is it in seconds? {READ}"),
        (
            "unix",
            RECENT_MS,
            "more than 5 minutes ahead of the clock; is it in milliseconds? It is read as seconds "
            "since 1970",
        ),
        (None, moment(RECENT_MS + DAY_MS), "more than 5 minutes ahead of the clock"),
        (None, "1989-12-31T23:59:59Z", "before 1990"),
    ],
    ids=["seconds", "milliseconds", "tomorrow", "before 1990"],
)
def test_a_push_refuses_the_same(
    driver: Driver, redis_url: str, timestamp_format: str | None, wrong: Any, why: str
) -> None:
    source = EventSource("sales", event_time="at", timestamp_format=timestamp_format)
    shopper = Entity("shopper", join_keys={"shopper_id": Int64})

    class Latest(FeatureView, entity=shopper, source=source):
        amount: Int64 = latest("amount")

    client = driver.connect(redis_url)
    client.apply(Registry.from_definitions([Latest]))
    events = [{"shopper_id": 1, "amount": 5, "at": wrong}]
    shown = repr(wrong) if isinstance(wrong, str) else wrong
    with pytest.raises(InvalidValue) as caught:
        client.push("sales", events)
    assert caught.value.message == f"event 0 of sales: at is {shown}, which is {why}"
