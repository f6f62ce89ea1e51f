"""Decode the same HMGET replies to a matrix by Rust, by Cython over hiredis, by hiredis and Python.

This comparison shows which language suits the core. Every contestant gets the bytes of real replies
in memory. fscore also derives statuses, event times and expiry from them; the others only parse.
"""

from __future__ import annotations

from collections.abc import Iterator

import hiredis
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.measure.core import Core
from bench.measure.servers import Server
from bench.measure.workload import EVENT_TIME, Workload
from bench.peers import Unavailable
from bench.peers.cython_decoder import load

# Ten features of a hundred: the plan reads them by HMGET.
SIZES = [Workload(entities, 10, 100) for entities in (1, 10, 100)]
ROUNDS = 300

# The reply's first column is the event time; the others parse it as one more number.
EXTRA = 1


class Captured:
    """A workload's core, ids and captured reply."""

    def __init__(self, server: Server, workload: Workload) -> None:
        self.core = Core(server, workload)
        self.ids = workload.batches()[0]
        self.chunks = self.core.capture(self.ids)
        self.reply = b"".join(self.chunks)
        self.expected = workload.expected(self.ids)
        self.columns = workload.features + EXTRA
        assert self.core.strategy == "HMGET"

    def check(self, matrix: object) -> None:
        """Check that a matrix has the reply's values, with or without the column of event times."""
        found = np.asarray(matrix)
        if found.shape[1] == self.columns:
            assert (found[:, 0] == EVENT_TIME).all()
            found = found[:, EXTRA:]
        np.testing.assert_array_equal(found, self.expected)


@pytest.fixture(params=SIZES, ids=lambda workload: workload.name)
def captured(server: Server, request: pytest.FixtureRequest) -> Iterator[Captured]:
    subject = Captured(server, request.param)
    yield subject
    subject.core.close()


def test_rust(captured: Captured, benchmark: BenchmarkFixture) -> None:
    core = captured.core
    benchmark.group = f"decode {captured.expected.shape}"

    def ask() -> None:
        core.encode(captured.ids)

    def decode() -> object:
        return core.decode(captured.chunks).to_numpy()

    ask()
    captured.check(decode())
    # A reply needs a request before it; the request is not timed here.
    benchmark.pedantic(decode, setup=ask, rounds=ROUNDS)


def test_cython(captured: Captured, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"decode {captured.expected.shape}"
    try:
        decoder = load().Decoder(captured.columns)
    except Unavailable as reason:
        pytest.skip(str(reason))
    rows = len(captured.ids)
    captured.check(decoder.decode(captured.reply, rows))
    benchmark.pedantic(decoder.decode, args=(captured.reply, rows), rounds=ROUNDS)


def test_hiredis_and_python(captured: Captured, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"decode {captured.expected.shape}"
    reader = hiredis.Reader()
    rows = range(len(captured.ids))

    def decode() -> object:
        reader.feed(captured.reply)
        return [list(map(float, reader.gets())) for _ in rows]

    captured.check(decode())
    benchmark.pedantic(decode, rounds=ROUNDS)
