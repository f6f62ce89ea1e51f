"""Reads that wait to be sent: single flight for equal reads, and back-pressure for busy servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import fscore.aio
from fscore import DeadlineExceeded, Status
from tests.client.driver import PATIENCE, AsyncioDriver, until
from tests.client.oracle import EPOCH, FEATURES, check, fill
from tests.client.proxy import FaultProxy
from tests.shop import HOUR_MS, REGISTRY

CUSTOMERS = 10
CALLERS = 200


@pytest.fixture
def filled(asyncio_driver: AsyncioDriver, redis_url: str) -> None:
    client = asyncio_driver.connect(redis_url)
    client.apply(REGISTRY)
    fill(client, CUSTOMERS)


@asynccontextmanager
async def ready(redis_url: str, witness: Any) -> AsyncIterator[tuple[fscore.aio.Client, Any]]:
    """A client that sends nothing by itself, and has read once before commands are counted."""
    async with fscore.aio.connect(redis_url, registry_poll=3600) as client:
        prepared = await client.prepare(features=FEATURES)
        await prepared.get([0])
        witness.config_resetstat()
        yield client, prepared


def calls(witness: Any, command: str) -> int:
    statistics = witness.info("commandstats")
    count: int = statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"]
    return count


def test_equal_reads_of_one_turn_are_one_command(
    asyncio_driver: AsyncioDriver, filled: None, redis_url: str, witness: Any
) -> None:
    async def run() -> None:
        async with ready(redis_url, witness) as (_client, prepared):
            customers = [caller % 3 for caller in range(CALLERS)]
            tables = await asyncio.gather(*(prepared.get([customer]) for customer in customers))
            for customer, table in zip(customers, tables, strict=True):
                check(table, [customer])
            assert len({id(table) for table in tables}) == CALLERS

    asyncio_driver.run(run())
    assert calls(witness, "hmget") == 3


def test_a_shared_reply_is_decoded_as_of_each_callers_time(
    asyncio_driver: AsyncioDriver, filled: None, redis_url: str, witness: Any
) -> None:
    """Equal commands are sent once, but each caller's `as_of` decides what has expired for it."""

    async def run() -> list[Any]:
        async with ready(redis_url, witness) as (_client, prepared):
            moments = [EPOCH, EPOCH + 2 * HOUR_MS, EPOCH]
            return await asyncio.gather(*(prepared.get([1], as_of=at) for at in moments))

    fresh, expired, too = asyncio_driver.run(run())
    assert calls(witness, "hmget") == 1
    check(fresh, [1])
    check(too, [1])
    assert set(expired.statuses[0]) == {Status.EXPIRED}


def test_a_write_between_equal_reads_is_seen_by_those_behind_it(
    asyncio_driver: AsyncioDriver, filled: None, redis_url: str, witness: Any
) -> None:
    async def run() -> list[Any]:
        async with ready(redis_url, witness) as (client, prepared):
            before = [prepared.get([1]) for _ in range(3)]
            write = client.execute("HSET", "customer:{1}:v1", "region", "changed")
            behind = [prepared.get([1]) for _ in range(3)]
            return await asyncio.gather(*before, write, *behind)

    tables = asyncio_driver.run(run())
    seen = [table.column("region")[0] for table in tables if table != 0]
    assert seen == ["customer-000001-000000"] * 3 + ["changed"] * 3
    assert (calls(witness, "hmget"), calls(witness, "hset")) == (2, 1)


def test_a_caller_reads_its_own_write(
    asyncio_driver: AsyncioDriver, filled: None, proxy: FaultProxy
) -> None:
    """A read that was sent before a write must not answer a read that comes after the write."""

    async def run() -> None:
        async with (
            fscore.aio.connect(proxy.url, registry_poll=3600) as client,
            asyncio.TaskGroup() as tasks,
        ):
            prepared = await client.prepare(features=FEATURES)
            await prepared.get([1])
            proxy.hold()
            sent = proxy.requests
            old = tasks.create_task(prepared.get([1], timeout=PATIENCE))
            await asyncio.to_thread(proxy.wait_for_request, sent)
            await asyncio.to_thread(fill, driver_of_others, CUSTOMERS, 1)
            new = tasks.create_task(prepared.get([1], timeout=PATIENCE))
            await asyncio.sleep(0)
            proxy.release()
            check(await old, [1])
            check(await new, [1], sequence=1)

    driver_of_others = asyncio_driver.connect(f"redis://127.0.0.1:{proxy._upstream[1]}")
    asyncio_driver.run(run())


def test_a_caller_that_gives_up_does_not_disturb_equal_reads(
    asyncio_driver: AsyncioDriver, filled: None, proxy: FaultProxy
) -> None:
    """Several equal reads share a command: one times out, one is cancelled, others go on."""

    async def run() -> None:
        async with fscore.aio.connect(proxy.url, registry_poll=3600) as client:
            prepared = await client.prepare(features=FEATURES)
            await prepared.get([0])
            for given_up in range(4):
                proxy.hold()
                sent = proxy.requests
                timeouts = [0.05 if n == given_up else PATIENCE for n in range(4)]
                tasks = [
                    asyncio.create_task(prepared.get([1], timeout=timeout)) for timeout in timeouts
                ]
                await asyncio.to_thread(proxy.wait_for_request, sent)
                with pytest.raises(DeadlineExceeded):
                    await tasks[given_up]
                cancelled = tasks[given_up - 1]
                cancelled.cancel()
                proxy.release()
                for task in tasks:
                    if task is not tasks[given_up] and task is not cancelled:
                        check(await task, [1])

    asyncio_driver.run(run())


def test_a_server_that_does_not_answer_gets_no_more_commands(
    asyncio_driver: AsyncioDriver, filled: None, proxy: FaultProxy, witness: Any
) -> None:
    """Commands beyond its pace wait in the client; a command that expires there is never sent."""
    late, patient = 2_000, 50

    async def run() -> tuple[int, list[Any]]:
        async with fscore.aio.connect(proxy.url, registry_poll=3600) as client:
            prepared = await client.prepare(features=FEATURES)
            # Sent one at a time, so the server answers at least this many in ten milliseconds.
            for _ in range(20):
                await prepared.get([0])
            witness.config_resetstat()
            proxy.hold()
            given_up = [
                asyncio.create_task(prepared.get([customer], timeout=0.2))
                for customer in range(late)
            ]
            waiting = [
                asyncio.create_task(prepared.get([customer % CUSTOMERS], timeout=PATIENCE))
                for customer in range(patient)
            ]
            errors = await asyncio.gather(*given_up, return_exceptions=True)
            assert {type(error) for error in errors} == {DeadlineExceeded}
            unsent = sum("could be sent" in str(error) for error in errors)
            # A busy server may still have to execute what it got.
            await asyncio.to_thread(until, lambda: calls(witness, "hmget") >= late - unsent)
            stuffed = calls(witness, "hmget")
            assert stuffed + unsent == late
            proxy.release()
            tables = await asyncio.gather(*waiting)
            return stuffed, tables

    stuffed, tables = asyncio_driver.run(run())
    assert 64 <= stuffed < 500
    # The waiting reads are shared with each other, but not with a read that was sent already.
    assert calls(witness, "hmget") == stuffed + CUSTOMERS
    for customer, table in enumerate(tables):
        check(table, [customer % CUSTOMERS])
