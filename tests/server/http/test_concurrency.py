"""Many concurrent callers, some of which leave: each of the others gets its own answer."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter

import redis

import fscore
import fscore.aio
from tests.client.driver import until
from tests.redis_server import RedisServer
from tests.server.server_process import ServerProcess
from tests.server.store import REGISTRY
from tests.shop import Profile

USERS = 300


def _get(numbers: list[int]) -> bytes:
    path = f"/v1/features?user_id=n{numbers[0]}&features=age"
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def _post(numbers: list[int]) -> bytes:
    ids = [f"n{number}" for number in numbers]
    body = json.dumps({"features": ["age"], "entities": {"user_id": ids}})
    head = "POST /v1/features HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


async def _caller(port: int, seed: int, rounds: int, outcomes: Counter[str]) -> None:
    chooser = random.Random(seed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(rounds):
        numbers = chooser.sample(range(USERS), chooser.randint(1, 5))
        one = chooser.random() < 0.5
        writer.write(_get(numbers) if one else _post(numbers))
        if chooser.random() < 0.15:
            outcomes["left"] += 1
            writer.close()
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            continue
        status, body = await _answer(reader)
        assert status == 200, body
        answer = json.loads(body)
        if one:
            assert answer["entity"] == {"user_id": f"n{numbers[0]}"}
            assert answer["features"] == {"age": numbers[0]}
        else:
            assert answer["entities"] == {"user_id": [f"n{number}" for number in numbers]}
            assert answer["values"] == [[number] for number in numbers]
        outcomes["answered"] += 1
    writer.close()


async def _change_definitions(url: str, times: int) -> None:
    """Apply new revisions one after the other, which change none of the callers' features."""
    async with fscore.aio.connect(url) as client:
        for number in range(times):
            service = fscore.FeatureService(f"extra{number}", features=[Profile.age])
            extra = fscore.Registry.from_definitions([service])
            services = {**REGISTRY.services, **extra.services}
            await client.apply(
                fscore.Registry(REGISTRY.entities, REGISTRY.views, services), allow_unsafe=True
            )
            await asyncio.sleep(0.05)


def test_every_caller_gets_its_own_answer(own_store: RedisServer) -> None:
    with redis.Redis.from_url(own_store.url) as connection:
        for number in range(USERS):
            connection.hset(f"user:{{n{number}}}:v1", mapping={"age": number})
    outcomes: Counter[str] = Counter()

    async def scenario(port: int) -> None:
        callers = [_caller(port, seed, 60, outcomes) for seed in range(32)]
        await asyncio.gather(_change_definitions(own_store.url, 5), *callers)

    with ServerProcess(own_store.url, registry_poll=0.05) as process:
        asyncio.run(scenario(process.port))
        # The requests of those who left may take a little longer, and so may the last look.
        until(lambda: process.metric("fscore_http_requests_in_flight") == 1)
        until(lambda: process.metric("fscore_registry_revision") == 6)
    assert outcomes["answered"] + outcomes["left"] == 32 * 60
    assert outcomes["left"] > 100
    assert not [line for line in process.log if line["level"] == "error"]
