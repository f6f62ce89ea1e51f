"""The asyncio client alone: cancelled callers, sends per turn of the loop, the kind of loop."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest

import fscore.aio
from fscore import DeadlineExceeded
from tests.client.driver import PATIENCE, AsyncioDriver
from tests.client.oracle import FEATURES, check, fill, rows
from tests.client.proxy import FaultProxy
from tests.redis_server import RedisServer
from tests.shop import REGISTRY

CUSTOMERS = 300
CALLERS = 32
TURNS = 100


@pytest.fixture
def filled(asyncio_driver: AsyncioDriver, redis_url: str) -> None:
    client = asyncio_driver.connect(redis_url)
    client.apply(REGISTRY)
    fill(client, CUSTOMERS)


async def call_and_maybe_cancel(prepared: Any, chance: random.Random) -> str:
    """Make a read; sometimes cancel it at a random point, or give it too little time."""
    customers = [chance.randrange(CUSTOMERS) for _ in range(chance.choice([1, 1, 3, 20]))]
    timeout = chance.choice([PATIENCE, PATIENCE, PATIENCE, 0.0005])
    task = asyncio.create_task(prepared.get(customers, timeout=timeout, partial=False))
    if chance.random() < 0.5:
        for _ in range(chance.choice([0, 1, 2, 3, 5, 8])):
            await asyncio.sleep(0)
        task.cancel()
    try:
        table = await task
    except asyncio.CancelledError:
        return "cancelled"
    except DeadlineExceeded:
        return "late"
    check(table, customers)
    return "answered"


@pytest.mark.parametrize("seed", [1, 2])
def test_random_cancellation(
    asyncio_driver: AsyncioDriver, filled: None, redis_url: str, seed: int
) -> None:
    async def caller(prepared: Any, number: int) -> list[str]:
        chance = random.Random(seed * 1000 + number)
        return [await call_and_maybe_cancel(prepared, chance) for _ in range(TURNS)]

    async def run() -> dict[str, int]:
        async with fscore.aio.connect(redis_url) as client:
            prepared = await client.prepare(features=FEATURES)
            lists = await asyncio.gather(*(caller(prepared, n) for n in range(CALLERS)))
            # The connection still works after all these cancelled calls.
            check(await prepared.get([7]), [7])
            ended = [outcome for outcomes in lists for outcome in outcomes]
            return {outcome: ended.count(outcome) for outcome in set(ended)}

    outcomes = asyncio_driver.run(run())
    assert sum(outcomes.values()) == CALLERS * TURNS
    assert outcomes["answered"] > CALLERS * TURNS // 5
    assert outcomes["cancelled"] > CALLERS * TURNS // 10


def test_a_reply_to_a_cancelled_caller_reaches_no_other_caller(
    asyncio_driver: AsyncioDriver, filled: None, proxy: FaultProxy
) -> None:
    client = asyncio_driver.connect(proxy.url, registry_poll=3600)
    prepared = client.prepare(features=FEATURES)
    for round_ in range(10):
        proxy.hold()
        before = proxy.requests
        given_up = asyncio_driver.start(prepared.get, [round_], timeout=PATIENCE)
        proxy.wait_for_request(before)
        given_up.cancel()
        before = proxy.requests
        waiting = [
            asyncio_driver.start(prepared.get, [customer], timeout=PATIENCE)
            for customer in (50, 51, 52)
        ]
        proxy.wait_for_request(before)
        proxy.release()
        for customer, call in zip((50, 51, 52), waiting, strict=True):
            check(call.result(PATIENCE), [customer])


def test_a_call_cancelled_before_its_turn_sends_nothing(
    asyncio_driver: AsyncioDriver, filled: None, redis_url: str, witness: Any
) -> None:
    async def run() -> None:
        async with fscore.aio.connect(redis_url, registry_poll=3600) as client:
            prepared = await client.prepare(features=FEATURES)
            await prepared.get([0])
            witness.config_resetstat()
            tasks = [asyncio.create_task(prepared.get([customer])) for customer in range(10)]
            for task in tasks[1::2]:
                task.cancel()
            for customer, table in enumerate(await asyncio.gather(*tasks, return_exceptions=True)):
                if customer % 2:
                    assert isinstance(table, asyncio.CancelledError)
                else:
                    check(table, [customer])

    asyncio_driver.run(run())
    assert witness.info("commandstats")["cmdstat_hmget"]["calls"] == 5


def test_cancelling_while_connecting(asyncio_driver: AsyncioDriver, proxy: FaultProxy) -> None:
    async def run() -> None:
        task = asyncio.create_task(open_client())
        await asyncio.to_thread(proxy.wait_for_request, 0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    async def open_client() -> None:
        await fscore.aio.connect(proxy.url, connect_timeout=PATIENCE)

    proxy.hold()
    asyncio_driver.run(run())
    proxy.release()


def test_one_turn_of_the_loop_is_one_send(
    asyncio_driver: AsyncioDriver, filled: None, proxy: FaultProxy
) -> None:
    async def run() -> list[Any]:
        async with fscore.aio.connect(proxy.url, registry_poll=3600) as client:
            prepared = await client.prepare(features=FEATURES)
            await prepared.get([0])
            before = proxy.requests
            tables = await asyncio.gather(*(prepared.get([customer]) for customer in range(20)))
            assert proxy.requests == before + 1
            return tables

    for customer, table in enumerate(asyncio_driver.run(run())):
        check(table, [customer])


@pytest.mark.parametrize("unix", [False, True])
def test_the_loop_of_the_standard_library_will_do(
    redis_server: RedisServer, redis_url: str, proxy: FaultProxy, unix: bool
) -> None:
    async def run() -> None:
        url = f"unix://{redis_server.socket}" if unix else redis_url
        async with fscore.aio.connect(url) as client:
            await client.apply(REGISTRY)
            await client.write("customer", rows(99))
            prepared = await client.prepare(features=FEATURES)
            tables = await asyncio.gather(*(prepared.get([customer]) for customer in range(99)))
            for customer, table in enumerate(tables):
                check(table, [customer])
        async with fscore.aio.connect(proxy.url) as client:
            prepared = await client.prepare(features=FEATURES)
            proxy.hold()
            with pytest.raises(DeadlineExceeded):
                await prepared.get([1], timeout=0.05)
            proxy.release()
            check(await prepared.get([2], timeout=PATIENCE), [2])
            proxy.cut()
            check(await prepared.get([3], timeout=PATIENCE), [3])

    asyncio.run(run(), debug=True)
