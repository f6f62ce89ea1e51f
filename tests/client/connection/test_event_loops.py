"""An asyncio client outside its event loop: every call says so at once, and the client goes on."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop

import fscore.aio
from fscore import ClientFault, WrongEventLoop
from tests.client.driver import PATIENCE, AsyncioDriver
from tests.client.oracle import check, fill
from tests.shop import REGISTRY

CALLS: dict[str, Callable[[fscore.aio.Client], Any]] = {
    "prepare": lambda client: client.prepare("customer"),
    "write": lambda client: client.write("customer", [{"customer_id": 1, "orders": 1}]),
    "delete": lambda client: client.delete("customer", [1]),
    "execute": lambda client: client.execute("PING"),
    "plan": lambda client: client.plan(REGISTRY),
    "apply": lambda client: client.apply(REGISTRY),
    "migrate": lambda client: client.migrate("customer", "packed"),
    "refresh": lambda client: client.refresh(),
    "list": lambda client: client.versions.list(),
    "create": lambda client: client.versions.create("customer"),
    "close": lambda client: client.close(),
}


def in_another_loop(coroutine: Any) -> Any:
    """Run a coroutine in a loop of its own, in this thread."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(asyncio.wait_for(coroutine, PATIENCE))


@pytest.fixture
def inner(asyncio_driver: AsyncioDriver, client: Any, redis_url: str) -> fscore.aio.Client:
    """The client itself, which belongs to the loop of the driver's thread."""
    fill(client, 10)
    connected = asyncio_driver.connect(redis_url)
    found: fscore.aio.Client = connected._inner
    return found


@pytest.mark.parametrize("call", CALLS)
def test_calls_in_another_loop_say_so(inner: fscore.aio.Client, call: str) -> None:
    with pytest.raises(WrongEventLoop, match=r"another one than this: connect again") as caught:
        in_another_loop(CALLS[call](inner))
    assert isinstance(caught.value, RuntimeError)
    assert isinstance(caught.value, ClientFault)
    assert str(inner.endpoint) in str(caught.value)


def test_reads_in_another_loop_say_so_and_the_own_loop_goes_on(
    asyncio_driver: AsyncioDriver, inner: fscore.aio.Client
) -> None:
    prepared = asyncio_driver.run(inner.prepare(features=["orders", "region"]))
    check(asyncio_driver.run(prepared.get([3])), [3])
    for poll_at in (float("inf"), 0.0):
        # Whether or not it is time for a look, which would begin beside the read.
        inner.core.poll_at = poll_at
        for _ in range(3):
            with pytest.raises(WrongEventLoop):
                in_another_loop(prepared.get([3]))
    inner.core.current_until = 0.0
    with pytest.raises(WrongEventLoop):
        in_another_loop(prepared.get([3]))
    check(asyncio_driver.run(prepared.get([4])), [4])


def test_without_a_loop_it_says_so_too(inner: fscore.aio.Client) -> None:
    call = inner.execute("PING")
    with pytest.raises(WrongEventLoop, match="running event loop of asyncio"):
        call.send(None)


_CLOSED_LOOP = """
import asyncio, sys, warnings
import fscore.aio
from fscore import WrongEventLoop

async def connect():
    client = await fscore.aio.connect(sys.argv[1], follow_versions="push")
    return client, await client.prepare(features=["orders"])

warnings.simplefilter("ignore", ResourceWarning)  # nobody closed the transports
for factory in (None, __import__("uvloop").new_event_loop):
    loop = asyncio.new_event_loop() if factory is None else factory()
    client, prepared = loop.run_until_complete(connect())
    loop.close()
    for call in (lambda: prepared.get([1]), lambda: client.execute("PING")):
        try:
            asyncio.run(call())
        except WrongEventLoop as error:
            assert "which is closed: connect again" in str(error), error
        else:
            raise AssertionError("it answered")
    asyncio.run(client.close())
    asyncio.run(client.close())
"""


def test_a_client_outlives_its_loop_only_to_be_closed(client: Any, redis_url: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _CLOSED_LOOP, redis_url],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stderr
