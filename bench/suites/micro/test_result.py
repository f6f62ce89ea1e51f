"""Convert a result to the forms that callers use: matrix, dicts, JSON."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure.core import Core
from bench.measure.servers import Server
from bench.measure.workload import Workload
from fscore._fscore import FeatureTable

SIZES = [Workload(entities, 10, 10) for entities in (1, 10, 100)]
ROUNDS = 300
ITERATIONS = 20


@pytest.fixture(params=SIZES, ids=lambda workload: workload.name)
def workload(request: pytest.FixtureRequest) -> Workload:
    chosen: Workload = request.param
    return chosen


@pytest.fixture
def result(server: Server, workload: Workload) -> FeatureTable:
    core = Core(server, workload)
    ids = workload.batches()[0]
    chunks = core.capture(ids)
    core.encode(ids)
    table = core.decode(chunks)
    core.close()
    np.testing.assert_array_equal(table.to_numpy(), workload.expected(ids))
    return table


def document(table: FeatureTable, workload: Workload) -> dict[str, object]:
    return {
        "features": workload.asked,
        "entities": {workload.join_key: workload.batches()[0]},
        "values": table.to_numpy().tolist(),
        "version": 1,
    }


@pytest.mark.parametrize("form", ["to_numpy", "to_dicts", "to_json"])
def test_table(
    result: FeatureTable, workload: Workload, form: str, benchmark: BenchmarkFixture
) -> None:
    benchmark.group = f"result {workload.name}"
    render: Callable[[], object] = getattr(result, form)
    benchmark.pedantic(render, rounds=ROUNDS, iterations=ITERATIONS)


def test_orjson(result: FeatureTable, workload: Workload, benchmark: BenchmarkFixture) -> None:
    """Render a document that is already there, the best case for orjson."""
    benchmark.group = f"result {workload.name}"
    peer = document(result, workload)
    assert orjson.loads(result.to_json()) == peer
    benchmark.pedantic(orjson.dumps, args=(peer,), rounds=ROUNDS, iterations=ITERATIONS)
