"""Start, changes of definitions, faults of Redis, several workers, and shutdown under load."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter

import httpx
import pytest

import fscore
from tests.client.driver import PATIENCE, until
from tests.redis_server import RedisServer
from tests.server.server_process import ServerProcess
from tests.server.store import REGISTRY, fill
from tests.shop import Profile

ONE = "/v1/features?user_id=u1&service=ranking"


def test_the_first_line_says_where_and_what(any_store: RedisServer) -> None:
    with ServerProcess(any_store.url) as process:
        first = next(line for line in process.log if "serves at" in line["message"])
    assert first["url"] == process.url
    assert first["redis"] == any_store.url
    assert first["revision"] == 1


def test_it_starts_without_redis_and_serves_once_redis_is_there() -> None:
    redis = RedisServer("valkey")
    try:
        with ServerProcess(redis.url, startup_wait=0.1) as process:
            ready = process.client.get("/health/ready")
            assert ready.status_code == 503
            assert [reason["code"] for reason in ready.json()["reasons"]] == ["redis_unreachable"]
            assert process.client.get("/health/live").status_code == 200
            refused = process.client.get(ONE)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            redis.start()
            fill(redis.url)
            until(lambda: process.client.get(ONE).status_code == 200)
            until(lambda: process.client.get("/health/ready").status_code == 200)
    finally:
        redis.stop()


def test_without_definitions_it_is_not_ready_and_says_why(redis_url: str) -> None:
    with ServerProcess(redis_url, registry_poll=0.05) as process:
        ready = process.client.get("/health/ready")
        assert [reason["code"] for reason in ready.json()["reasons"]] == ["registry_absent"]
        response = process.client.get(ONE)
        assert response.status_code == 503
        assert response.json()["type"] == "/docs#registry_absent"
        assert process.client.get("/openapi.json").status_code == 200
        with fscore.connect(redis_url) as client:
            client.apply(REGISTRY)
        until(lambda: process.client.get("/health/ready").status_code == 200)
        assert process.client.get(ONE).status_code == 200


def test_a_new_revision_is_served_without_a_restart(own_store: RedisServer) -> None:
    with ServerProcess(own_store.url, registry_poll=0.05) as process:
        assert process.client.get("/v1/features?user_id=u1&service=fresh").status_code == 404
        fresh = fscore.FeatureService("fresh", features=[Profile.country])
        with fscore.connect(own_store.url) as client:
            client.apply(fscore.Registry.from_definitions([fresh]), allow_unsafe=True)
        until(lambda: process.client.get("/v1/services").json()["revision"] == 2)
        response = process.client.get("/v1/features?user_id=u1&service=fresh")
        assert response.json()["features"] == {"country": "US"}
        # A service that is no longer defined is not answered from an old plan.
        assert process.client.get(ONE).status_code == 404


def test_a_store_that_came_back_empty_is_noticed(own_store: RedisServer) -> None:
    with ServerProcess(own_store.url, registry_poll=0.05, timeout=1.0) as process:
        assert process.client.get(ONE).status_code == 200
        own_store.kill()
        until(lambda: process.client.get("/health/ready").status_code == 503)
        own_store.start()

        def reasons() -> list[str]:
            found = process.client.get("/health/ready").json()["reasons"]
            return [reason["code"] for reason in found]

        until(lambda: reasons() == ["registry_absent"])
        fill(own_store.url)
        until(lambda: reasons() == [])
        assert process.client.get(ONE).status_code == 200


def test_a_dead_redis_is_503_and_a_silent_one_504(own_store: RedisServer) -> None:
    with ServerProcess(own_store.url, request_timeout_ms=200) as process:
        until(lambda: process.client.get(ONE).status_code == 200)
        own_store.pause()
        try:
            started = time.monotonic()
            response = process.client.get(ONE)
            took = time.monotonic() - started
            assert response.status_code == 504
            assert response.json()["type"] == "/docs#deadline_exceeded"
            assert took < 5
            shorter = process.client.get(ONE, headers={"X-Request-Timeout-Ms": "20"})
            assert shorter.status_code == 504
        finally:
            own_store.resume()
        until(lambda: process.client.get(ONE).status_code == 200)
        own_store.kill()
        statuses = {process.client.get(ONE).status_code for _ in range(10)}
        assert statuses <= {503, 504}
        until(lambda: process.client.get(ONE).headers.get("retry-after") == "1")
        own_store.start()
        fill(own_store.url)
        until(lambda: process.client.get(ONE).status_code == 200)
    assert not any("Traceback" in line for line in process.raw_log)


def test_a_redis_that_cannot_save_serves_reads(own_store: RedisServer) -> None:
    own_store.command("CONFIG", "SET", "save", "3600 1")
    # Saving fails without its folder, and from then on Redis refuses writes, and PING too.
    shutil.rmtree(own_store.folder)
    own_store.command("BGSAVE")
    until(lambda: own_store.command("PING").startswith(b"-MISCONF"))
    with ServerProcess(own_store.url) as process:
        assert process.client.get("/health/ready").status_code == 200
        assert process.client.get(ONE).json()["features"]["age"] == 29


def test_unknown_names_are_404_while_redis_is_away(own_store: RedisServer) -> None:
    with ServerProcess(own_store.url, timeout=1.0) as process:
        assert process.client.get(ONE).status_code == 200
        own_store.kill()
        until(lambda: process.client.get("/health/ready").status_code == 503)
        assert process.client.get("/v1/features?user_id=u1&service=no").status_code == 404
        assert process.client.get("/v1/features?user_id=u1&colour=red").status_code == 422
        assert process.client.get("/v1/services").status_code == 200


def test_requests_over_the_limit_are_429(own_store: RedisServer) -> None:
    async def burst(url: str) -> Counter[int]:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
            responses = await asyncio.gather(*(client.get(ONE) for _ in range(20)))
        return Counter(response.status_code for response in responses)

    with ServerProcess(own_store.url, max_requests=4, request_timeout_ms=500) as process:
        until(lambda: process.client.get(ONE).status_code == 200)
        own_store.pause()
        try:
            found = asyncio.run(burst(process.url))
        finally:
            own_store.resume()
    assert found[429] >= 1
    assert found[504] >= 1
    assert set(found) == {429, 504}


# Ending.


async def _load(url: str, stopped: asyncio.Event, outcomes: Counter[str]) -> None:
    """Ask until the server closes the connection, and count the outcome of every request."""
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        while True:
            try:
                response = await client.get(ONE)
            except httpx.HTTPError as error:
                outcomes[type(error).__name__] += 1
                return
            outcomes[str(response.status_code)] += 1
            if outcomes["200"] >= 50:
                stopped.set()
            if response.headers.get("connection") == "close":
                return


@pytest.mark.parametrize("workers", [1, 2])
def test_ending_under_load_loses_no_request(any_store: RedisServer, workers: int) -> None:
    process = ServerProcess(any_store.url, drain=2.0, workers=workers).start()
    outcomes: Counter[str] = Counter()

    async def scenario() -> None:
        stopped = asyncio.Event()
        # It is made before the signal, because that takes time.
        async with httpx.AsyncClient(base_url=process.url, timeout=PATIENCE) as client:
            load = asyncio.gather(*(_load(process.url, stopped, outcomes) for _ in range(8)))
            await stopped.wait()
            process.signal(signal.SIGTERM)
            # It still answers, but its readiness probe sends callers elsewhere.
            ready = await client.get("/health/ready")
            while ready.status_code == 200:
                ready = await client.get("/health/ready")
            assert ready.status_code == 503
            assert [reason["code"] for reason in ready.json()["reasons"]] == ["shutting_down"]
            assert ready.headers["connection"] == "close"
            await load

    asyncio.run(scenario())
    assert process.wait() == 0
    assert set(outcomes) == {"200"}, outcomes
    process.stop()


def test_a_request_in_flight_is_answered_before_the_end(own_store: RedisServer) -> None:
    process = ServerProcess(own_store.url).start()
    own_store.pause()

    def is_ending() -> bool:
        try:
            socket.create_connection(("127.0.0.1", process.port)).close()
        except ConnectionRefusedError:
            return True
        return False

    async def scenario() -> int:
        async with httpx.AsyncClient(base_url=process.url, timeout=PATIENCE) as client:
            asked = asyncio.create_task(client.get(ONE))
            # The request is in flight once the server counts two: it and the scrape.
            await asyncio.to_thread(
                until, lambda: process.metric("fscore_http_requests_in_flight") == 2
            )
            process.signal(signal.SIGTERM)
            await asyncio.to_thread(until, is_ending)
            assert not asked.done()
            own_store.resume()
            return (await asked).status_code

    try:
        assert asyncio.run(scenario()) == 200
        assert process.wait() == 0
    finally:
        own_store.resume()
    process.stop()


def test_a_request_that_does_not_end_does_not_keep_the_server(any_store: RedisServer) -> None:
    process = ServerProcess(any_store.url, grace=1, body_timeout=600).start()
    with socket.create_connection(("127.0.0.1", process.port)) as connection:
        connection.sendall(b"POST /v1/features HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        until(lambda: process.metric("fscore_http_requests_in_flight") == 2)
        # Long before the body's time is over.
        assert process.stop() == 0
    assert not any("Traceback" in line for line in process.raw_log)


# Workers.


def test_workers_share_the_port_and_their_counters(any_store: RedisServer) -> None:
    with ServerProcess(any_store.url, workers=2) as process:
        for _ in range(40):
            # Each request has its own connection, so that the kernel can spread them.
            with process.new_client() as client:
                assert client.get(ONE).status_code == 200

        def served(worker: str) -> float:
            return process.metric(
                "fscore_http_requests_total", worker=worker, route="/v1/features", status="200"
            )

        assert served("0") + served("1") == 40
        assert min(served("0"), served("1")) > 0


def _children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as listing:
        return [int(child) for child in listing.read().split()]


def test_a_worker_that_dies_is_replaced(any_store: RedisServer) -> None:
    with ServerProcess(any_store.url, workers=2) as process:
        before = _children(process.process.pid)
        os.kill(before[0], signal.SIGKILL)
        process.wait_for("a worker process ended")
        until(lambda: len(set(_children(process.process.pid)) - set(before)) == 1)
        for _ in range(20):
            with process.new_client() as client:
                assert client.get(ONE).status_code == 200


def test_workers_end_when_their_parent_is_killed(any_store: RedisServer) -> None:
    process = ServerProcess(any_store.url, workers=2).start()
    children = _children(process.process.pid)
    process.signal(signal.SIGKILL)
    process.process.wait()
    until(lambda: not any(os.path.exists(f"/proc/{child}") for child in children))
    process.stop()


def test_a_port_in_use_is_said_and_not_shared(any_store: RedisServer) -> None:
    with ServerProcess(any_store.url, workers=2) as process:
        for workers in (1, 2):
            second = subprocess.run(
                [
                    sys.executable,
                    "-c",
                    "from fscore_server.process.run import run\n"
                    "from fscore_server.settings import ServerSettings\n"
                    f"run(ServerSettings(redis_url={any_store.url!r}, port={process.port},"
                    f" workers={workers}))",
                ],
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert second.returncode != 0
            assert f"cannot listen on 127.0.0.1 port {process.port}" in second.stderr
