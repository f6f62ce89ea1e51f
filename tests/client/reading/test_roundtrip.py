"""Random data through write and read: both clients and all forms give back what was written."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.client.driver import AsyncioDriver, BlockingDriver
from tests.event_times import RECENT_MS
from tests.redis_server import RedisServer
from tests.shop import REGISTRY

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
FLOAT = st.floats(allow_nan=True, allow_infinity=True)
FLOAT32 = st.floats(width=32, allow_nan=True, allow_infinity=True)
SECONDS = st.integers(-(10**12), 10**12).map(lambda seconds: seconds * 1000)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "orders": INT64,
    "region": TEXT,
    "rating": FLOAT,
    "discount": FLOAT32,
    "loyal": st.booleans(),
    "seen": INT64,
    "joined": SECONDS,
    "photo": st.binary(max_size=40),
}
LISTS: dict[str, st.SearchStrategy[Any]] = {
    "tags": st.lists(TEXT, max_size=5),
    "counts": st.lists(INT64, max_size=5),
    "weights": st.lists(FLOAT, max_size=5),
    "flags": st.lists(st.booleans(), max_size=5),
    "blobs": st.lists(st.binary(max_size=10), max_size=5),
    "times": st.lists(INT64, max_size=5),
    "taste": st.lists(FLOAT32, min_size=3, max_size=3),
}


def rows_of(values: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Return a strategy for rows that have some of these features, some of them None."""
    optional = {name: st.none() | one for name, one in values.items()}
    return st.lists(st.fixed_dictionaries({}, optional=optional), min_size=1, max_size=8)


def same(one: Any, other: Any) -> bool:
    """Return whether two values are equal; NaN equals itself, and 0.0 differs from -0.0."""
    if isinstance(one, float) and isinstance(other, float):
        if math.isnan(one) or math.isnan(other):
            return math.isnan(one) and math.isnan(other)
        return (one, math.copysign(1, one)) == (other, math.copysign(1, other))
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(map(same, one.values(), other.values()))
    return type(one) is type(other) and bool(one == other)


def as_float32(value: Any) -> Any:
    """Return a Float32 as its shortest decimal, as results have it."""
    if isinstance(value, list):
        return [as_float32(one) for one in value]
    return value if value is None or not math.isfinite(value) else float(str(np.float32(value)))


class Store:
    """A server, clients of both drivers, and ids that no test has used before."""

    def __init__(self, server: RedisServer) -> None:
        assert server.command("FLUSHALL") == b"+OK\r\n"
        self.drivers = (BlockingDriver(), AsyncioDriver())
        self.clients = [driver.connect(server.url) for driver in self.drivers]
        self.clients[0].apply(REGISTRY)
        self.clients[1].refresh()
        self.fresh = count()

    def close(self) -> None:
        for driver in self.drivers:
            driver.close()


@pytest.fixture(scope="module")
def store(redis_server: RedisServer) -> Iterator[Store]:
    opened = Store(redis_server)
    yield opened
    opened.close()


PATIENT = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], database=None
)


@PATIENT
@given(rows=rows_of(VALUES), lists=rows_of(LISTS), writer=st.sampled_from([0, 1]))
def test_what_was_written_is_read(
    store: Store, rows: list[dict[str, Any]], lists: list[dict[str, Any]], writer: int
) -> None:
    for view, written, names in (("customer", rows, VALUES), ("behaviour", lists, LISTS)):
        ids = [next(store.fresh) for _ in written]
        store.clients[writer].write(
            view, [{"customer_id": i, **row} for i, row in zip(ids, written, strict=True)]
        )
        tables = [client.prepare(features=list(names)).get(ids) for client in store.clients]
        expected = [
            {
                name: as_float32(row.get(name)) if name in ("discount", "taste") else row.get(name)
                for name in names
            }
            for row in written
        ]
        for table in tables:
            assert same(table.to_dicts(), expected)
            present = [[row.get(name) is not None for name in names] for row in written]
            assert ((table.statuses == 0) == present).all()
            assert set(table.statuses.ravel()) <= {0, 1}
        # Both drivers give the same bytes.
        assert tables[0].to_json(timestamps=True) == tables[1].to_json(timestamps=True)
        assert tables[0].to_arrow().equals(tables[1].to_arrow()) or "nan" in str(expected)


@PATIENT
@given(
    rows=rows_of(VALUES),
    picks=st.lists(st.integers(0, 11), max_size=12),
    others=st.lists(st.integers(0, 11), max_size=12),
)
def test_a_batch_is_the_union_of_its_parts(
    store: Store, rows: list[dict[str, Any]], picks: list[int], others: list[int]
) -> None:
    base = next(store.fresh) * 1_000_000
    written = [{"customer_id": base + n, **row} for n, row in enumerate(rows)]
    store.clients[0].write("customer", written)
    # At most eight of the twelve ids exist.
    one, other = ([base + pick for pick in chosen] for chosen in (picks, others))
    for client in store.clients:
        prepared = client.prepare("customer")
        whole, first, second = (prepared.get(ids) for ids in (one + other, one, other))
        assert same(whole.to_dicts(), first.to_dicts() + second.to_dicts())
        assert np.array_equal(whole.statuses, np.vstack([first.statuses, second.statuses]))
        assert np.array_equal(
            whole.event_times, np.vstack([first.event_times, second.event_times]), equal_nan=True
        )


@PATIENT
@given(
    ids=st.lists(
        st.tuples(INT64, TEXT.filter(lambda text: len(text.encode()) <= 512)),
        min_size=1,
        max_size=20,
        unique=True,
    )
)
def test_different_ids_are_different_entities(store: Store, ids: list[tuple[int, str]]) -> None:
    keys = {"customer_id": [customer for customer, _ in ids], "sku": [sku for _, sku in ids]}
    for client in store.clients:
        client.write("affinity", {**keys, "likes": list(range(len(ids)))})
        read = client.prepare(entity="affinity").get(keys).column("likes")
        assert read.tolist() == list(range(len(ids)))
        assert client.delete("affinity", keys) == len(ids)


@PATIENT
@given(
    columns=st.integers(0, 12).flatmap(
        lambda rows: st.fixed_dictionaries(
            {
                "orders": st.lists(INT64, min_size=rows, max_size=rows),
                "rating": st.lists(FLOAT, min_size=rows, max_size=rows),
                "discount": st.lists(FLOAT32, min_size=rows, max_size=rows),
                "loyal": st.lists(st.booleans(), min_size=rows, max_size=rows),
            }
        )
    )
)
def test_dicts_lists_and_arrays_store_the_same(store: Store, columns: dict[str, list[Any]]) -> None:
    rows = len(columns["orders"])
    dtypes = {"orders": np.int64, "rating": np.float64, "discount": np.float32, "loyal": np.bool_}
    client = store.clients[0]
    prepared = client.prepare(features=list(columns))
    answers = []
    for form in ("dicts", "lists", "arrays"):
        ids = [next(store.fresh) for _ in range(rows)]
        given: Any = {"customer_id": ids, **columns}
        if form == "dicts":
            given = [
                dict(zip(given, row, strict=True)) for row in zip(*given.values(), strict=True)
            ]
        if form == "arrays":
            arrays: dict[str, Any] = {
                name: np.array(columns[name], dtype=dtypes[name]) for name in columns
            }
            given = {"customer_id": np.array(ids, dtype=np.int64), **arrays}
        client.write("customer", given, event_time=RECENT_MS)
        table = prepared.get(ids)
        answers.append((table.to_dicts(), table.to_numpy().tobytes()))
    assert same(answers[0][0], answers[1][0])
    assert same(answers[0][0], answers[2][0])
    assert answers[0][1] == answers[1][1] == answers[2][1]
