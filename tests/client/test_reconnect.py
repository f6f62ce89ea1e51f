"""When a client dials again: at once after a loss, later and later where that is of no use."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from fscore import DeadlineExceeded, ServerFault, Unavailable
from tests.client.driver import Driver, until
from tests.client.oracle import FEATURES, check, fill
from tests.client.proxy import FaultProxy

NEVER = 3600.0
"""Looking for new definitions would be traffic of its own."""
SHORTEST_PAUSE = 0.05


def works(client: Any) -> bool:
    """Whether the server answers now."""
    try:
        return bool(client.execute("PING") == "PONG")
    except ServerFault:
        return False


def fails(client: Any, timeout: float) -> None:
    """Makes a call that the server cannot answer."""
    with pytest.raises((Unavailable, DeadlineExceeded)):
        client.execute("PING", timeout=timeout)


def test_a_connection_that_was_ready_is_dialled_again_at_once(
    driver: Driver, redis_url: str, client: Any, witness: Any
) -> None:
    fill(client, 2)
    prepared = [
        driver.connect(redis_url, registry_poll=NEVER).prepare(features=FEATURES) for _ in range(5)
    ]
    witness.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    took = []
    for one in prepared:
        began = time.monotonic()
        check(one.get([1]), [1])
        took.append(time.monotonic() - began)
    assert min(took) < SHORTEST_PAUSE


def test_a_server_that_greets_and_hangs_up_is_dialled_less_and_less(
    driver: Driver, redis_url: str, proxy: FaultProxy
) -> None:
    client = driver.connect(proxy.url, registry_poll=NEVER)
    assert works(client)
    proxy.greet_only()
    before, began = proxy.connections, time.monotonic()
    while time.monotonic() - began < 1.0:
        fails(client, timeout=0.2)
    took = time.monotonic() - began
    # At once, once more at once, after 50 ms or more, and then after twice as long each time.
    most = 2 + math.log2(1 + took / SHORTEST_PAUSE)
    assert proxy.connections - before <= most
    proxy.accept()
    until(lambda: works(client))
