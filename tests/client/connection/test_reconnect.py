"""When a client dials again: at once after a loss, then with back-off while dials do not help."""

from __future__ import annotations

import math
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from fscore import DeadlineExceeded, ServerFault, Unavailable
from tests.client.driver import Driver, until
from tests.client.oracle import FEATURES, check, fill
from tests.client.proxy import FaultProxy
from tests.redis_server import RedisServer

NEVER = 3600.0
"""Looking for new definitions would be traffic of its own."""
SHORTEST_PAUSE = 0.05
SOCKETS = Path("/proc/net/tcp")


def works(client: Any) -> bool:
    """Return whether the server answers now."""
    try:
        return bool(client.execute("PING") == "PONG")
    except ServerFault:
        return False


def fails(client: Any, timeout: float) -> None:
    """Make a call that the server cannot answer, and check that it fails."""
    with pytest.raises((Unavailable, DeadlineExceeded)):
        client.execute("PING", timeout=timeout)


def test_a_connection_that_was_ready_is_dialled_again_at_once(
    driver: Driver, redis_url: str, client: Any, witness: Any
) -> None:
    fill(client, 2)
    prepared = [
        driver.connect(redis_url, registry_poll=NEVER).prepare(features=FEATURES) for _ in range(20)
    ]
    witness.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    took = []
    for one in prepared:
        began = time.monotonic()
        check(one.get([1]), [1])
        took.append(time.monotonic() - began)
    # Each of them would have to pause; a busy machine makes only some of them wait.
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
    # Dials at once, at once again, after 50 ms or more, and then after twice as long each time.
    most = 2 + math.log2(1 + took / SHORTEST_PAUSE)
    assert proxy.connections - before <= most
    proxy.accept()
    until(lambda: works(client))


def dials_under_way(port: int) -> int:
    """Return how many sockets of this machine are connecting to this port and not yet accepted."""
    syn_sent = "02"
    peer = f"0100007F:{port:04X}"
    lines = SOCKETS.read_text().splitlines()[1:]
    return sum(line.split()[2:4] == [peer, syn_sent] for line in lines)


@pytest.mark.skipif(not SOCKETS.exists(), reason="sockets cannot be counted here")
def test_a_dial_that_hangs_is_given_up_before_the_next(
    driver: Driver, own_server: RedisServer
) -> None:
    client = driver.connect(own_server.url, registry_poll=NEVER, connect_timeout=0.1)
    own_server.kill()
    # A listener with a full queue answers no dial.
    listener = socket.create_server(("127.0.0.1", own_server.port), backlog=0)
    with listener, socket.create_connection(listener.getsockname()):
        began = time.monotonic()
        most = 0
        while time.monotonic() - began < 1.5:
            fails(client, timeout=0.05)
            most = max(most, dials_under_way(own_server.port))
    assert 1 <= most <= 2
    own_server.start()
    until(lambda: works(client))
