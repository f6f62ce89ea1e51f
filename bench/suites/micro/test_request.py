"""Encode keys as commands, and parse a request's body to keys."""

from __future__ import annotations

import hiredis
import orjson
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure.core import Core
from bench.measure.resp import encode
from bench.measure.servers import Server
from bench.measure.workload import Workload, view_name
from fscore._fscore import parse_read_request

SIZES = [Workload(entities, 10, 100) for entities in (1, 10, 100)]
ROUNDS = 300

sized = pytest.mark.parametrize("workload", SIZES, ids=lambda workload: workload.name)


def commands(workload: Workload, ids: list[int]) -> list[tuple[str, ...]]:
    """Return the commands that a read of these ids sends."""
    fields = (f"_ts:{view_name(workload.stored)}", *workload.asked)
    return [("HMGET", workload.key(identifier), *fields) for identifier in ids]


@sized
def test_encode_rust(server: Server, workload: Workload, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"encode {workload.name}"
    core = Core(server, workload)
    ids = workload.batches()[0]
    chunks = core.capture(ids)
    assert core.encode(ids) == b"".join(encode(*command) for command in commands(workload, ids))

    def answer() -> None:
        core.decode(chunks)

    benchmark.pedantic(core.encode, args=(ids,), setup=answer, rounds=ROUNDS)
    core.close()


@sized
def test_encode_hiredis(workload: Workload, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"encode {workload.name}"
    ids = workload.batches()[0]

    def pack() -> bytes:
        # hiredis's type stub allows one argument only.
        return b"".join(map(hiredis.pack_command, commands(workload, ids)))  # type: ignore[arg-type]

    assert pack() == b"".join(encode(*command) for command in commands(workload, ids))
    benchmark.pedantic(pack, rounds=ROUNDS)


def body(workload: Workload) -> bytes:
    ids = workload.batches()[0]
    return orjson.dumps({"service": "model", "entities": {workload.join_key: ids}})


@sized
def test_parse_body_rust(workload: Workload, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"request body {workload.name}"
    request = benchmark.pedantic(
        parse_read_request, args=(body(workload), 10_000), rounds=ROUNDS, iterations=10
    )
    assert (request.service, request.rows) == ("model", workload.entities)


@sized
def test_parse_body_orjson(workload: Workload, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"request body {workload.name}"
    request = benchmark.pedantic(orjson.loads, args=(body(workload),), rounds=ROUNDS, iterations=10)
    assert len(request["entities"][workload.join_key]) == workload.entities
