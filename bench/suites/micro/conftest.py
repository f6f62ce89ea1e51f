"""A real server to capture replies from; the timed code does not touch it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.measure.servers import Server, running
from bench.measure.workload import fill

WIDTHS = (10, 100)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running("redis") as started:
        for stored in WIDTHS:
            fill(started, stored)
        yield started
