"""Encode rows as commands, from dicts and columns, against hiredis's own encoder."""

from __future__ import annotations

from typing import Any

import hiredis
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure.definitions import registry
from bench.measure.servers import Server
from bench.measure.workload import EVENT_TIME, Workload, values
from fscore._fscore import WriteBatch, WritePlan
from fscore.specs.resolve import write_spec

WORKLOAD = Workload(1000, 10, 10)
IDS = list(range(WORKLOAD.entities))
JOIN_KEY = WORKLOAD.join_key
ROUNDS = 30


def rows() -> list[dict[str, Any]]:
    names = [JOIN_KEY, *WORKLOAD.asked]
    floats = values(WORKLOAD.stored)[: WORKLOAD.entities].tolist()
    pairs = zip(IDS, floats, strict=True)
    return [dict(zip(names, (i, *row), strict=True)) for i, row in pairs]


def plan() -> WritePlan:
    return WritePlan(write_spec(registry([WORKLOAD.stored]), WORKLOAD.view), "")


@pytest.fixture
def stored(server: Server) -> dict[bytes, bytes]:
    """Return the first row as it has to be stored in Redis."""
    flat = server.control.call("HGETALL", WORKLOAD.key(0))
    return dict(zip(flat[::2], flat[1::2], strict=True))


def check(batches: list[WriteBatch]) -> None:
    assert sum(batch.rows for batch in batches) == WORKLOAD.entities


def test_rows_rust(benchmark: BenchmarkFixture) -> None:
    benchmark.group = "write 1000 x 10"
    given, encoder = rows(), plan()
    check(benchmark.pedantic(encoder.encode_rows, args=(given, 1, EVENT_TIME), rounds=ROUNDS))


def test_columns_rust(benchmark: BenchmarkFixture) -> None:
    benchmark.group = "write 1000 x 10"
    matrix = values(WORKLOAD.stored)[: WORKLOAD.entities]
    columns = [
        (name, np.ascontiguousarray(matrix[:, i]), None) for i, name in enumerate(WORKLOAD.asked)
    ]
    keys = {JOIN_KEY: np.array(IDS)}
    check(
        benchmark.pedantic(
            plan().encode_columns, args=(keys, columns, None, 1, EVENT_TIME), rounds=ROUNDS
        )
    )


def test_rows_hiredis(stored: dict[bytes, bytes], benchmark: BenchmarkFixture) -> None:
    benchmark.group = "write 1000 x 10"
    given, names = rows(), WORKLOAD.asked
    event_time = (f"_ts:{WORKLOAD.view}", str(EVENT_TIME))

    def command(row: dict[str, Any]) -> tuple[str, ...]:
        fields = [part for name in names for part in (name, repr(row[name]))]
        return ("HSET", WORKLOAD.key(row[JOIN_KEY]), *fields, *event_time)

    def pack() -> bytes:
        # hiredis's type stub allows one argument only.
        return b"".join([hiredis.pack_command(command(row)) for row in given])  # type: ignore[arg-type]

    first = command(given[0])[2:]
    pairs = zip(first[::2], first[1::2], strict=True)
    assert {name.encode(): value.encode() for name, value in pairs} == stored
    benchmark.pedantic(pack, rounds=ROUNDS)
