"""A promotion reaches every worker of every server, and no answer mixes two versions.

The tests print how long it takes (`pytest -s`), but only assert that it happens.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import redis

import fscore
from tests.client.driver import until
from tests.redis_server import RedisServer
from tests.server.server_process import ServerProcess

user = fscore.Entity("user", join_keys={"user_id": fscore.Int64})
USERS = 2_000
CONNECTIONS = 24
"""To each server."""
REQUESTS_A_SECOND = 1_000
IN_TIME = 30.0
"""Seconds within which a switch must have reached every worker, on however busy a machine."""
NEVER = 3600.0


class Scores(fscore.FeatureView, entity=user):
    one: fscore.Int64
    two: fscore.Int64
    three: fscore.Int64
    four: fscore.Int64
    five: fscore.Int64


ranking = fscore.FeatureService("ranking", features=[Scores])
FEATURES = ("one", "two", "three", "four", "five")


@pytest.fixture
def operator(own_store: RedisServer) -> Any:
    """A client that switches versions; every feature's value is the number of its version."""
    assert own_store.command("FLUSHALL") == b"+OK\r\n"
    with fscore.connect(own_store.url, registry_poll=0.01) as client:
        client.apply(fscore.Registry.from_definitions([ranking]))
        assert client.versions.create("ranking") == 2
        ids = list(range(USERS))
        for version in (1, 2):
            rows = {"user_id": ids, **{name: [version] * USERS for name in FEATURES}}
            client.write("scores", rows, version=version)
        yield client


@dataclass
class Load:
    """Callers at a steady rate, and the answers that they got."""

    answers: list[tuple[float, int]] = field(default_factory=list)
    """The arrival time and the version of each answer."""
    stopped: bool = False

    async def caller(self, port: int, number: int) -> None:
        """Ask on one connection, for one user and for several in turns."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        pause = 2 * CONNECTIONS / REQUESTS_A_SECOND
        due = time.monotonic() + pause * number / CONNECTIONS
        while not self.stopped:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += pause
            number = (number * 7919 + 13) % USERS
            one = number % 2 == 0
            writer.write(_get(number) if one else _post(number))
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            body = await reader.readexactly(length)
            arrived = time.monotonic()
            assert head.startswith(b"HTTP/1.1 200 "), body
            answer = json.loads(body)
            assert "statuses" not in answer
            rows = [list(answer["features"].values())] if one else answer["values"]
            assert {value for row in rows for value in row} == {answer["version"]}, answer
            self.answers.append((arrived, answer["version"]))
        writer.close()

    async def switched(self, switch: Callable[[], int]) -> float:
        """Switch under load; return the seconds from the switch's return to the last old answer."""
        before = len(self.answers)
        version = await asyncio.to_thread(switch)
        returned = time.monotonic()
        # Wait until no old answer has come for longer than the poll interval.
        last_old, end = returned, returned + IN_TIME
        while (now := time.monotonic()) < end and now - last_old < 1.5:
            await asyncio.sleep(0.01)
            old = [arrived for arrived, found in self.answers[before:] if found != version]
            last_old = max([returned, *old])
        assert now - last_old >= 1.5
        return last_old - returned


def _get(number: int) -> bytes:
    path = f"/v1/features?user_id={number}&service=ranking"
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def _post(number: int) -> bytes:
    ids = [(number + step) % USERS for step in range(5)]
    body = json.dumps({"service": "ranking", "entities": {"user_id": ids}})
    head = "POST /v1/features HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def subscribers(store: RedisServer) -> int:
    """Return how many workers have a subscription to promotions."""
    reply = store.command("PUBSUB", "NUMSUB", "fscore:versions")
    return int(reply.rpartition(b":")[2])


def follows(servers: list[ServerProcess], version: int) -> bool:
    """Return whether each server's answering worker reports this version."""
    found = {int(server.metric("fscore_service_version", service="ranking")) for server in servers}
    return found == {version}


@pytest.mark.parametrize(("how", "poll"), [("push", NEVER), ("poll", 1.0)], ids=["push", "poll"])
def test_a_switch_under_load_mixes_nothing_and_reaches_every_worker(
    own_store: RedisServer, operator: fscore.Client, how: str, poll: float
) -> None:
    settings = {"workers": 2, "follow_versions": how, "registry_poll": poll}
    load = Load()

    def promote() -> int:
        return operator.versions.promote("ranking", 2).version

    def rollback() -> int:
        return operator.versions.rollback("ranking").version

    async def scenario(ports: list[int]) -> list[float]:
        async with asyncio.TaskGroup() as group:
            for port in ports:
                for number in range(CONNECTIONS):
                    group.create_task(load.caller(port, number))
            await asyncio.sleep(0.5)
            try:
                return [await load.switched(promote), await load.switched(rollback)]
            finally:
                load.stopped = True

    with (
        ServerProcess(own_store.url, **settings) as one,
        ServerProcess(own_store.url, **settings) as other,
    ):
        if how == "push":
            until(lambda: subscribers(own_store) == 4)
        began = time.monotonic()
        late = asyncio.run(scenario([one.port, other.port]))
        seconds = time.monotonic() - began
        for server in (one, other):
            for worker in ("0", "1"):
                asked = {"worker": worker, "route": "/v1/features"}
                assert server.metric("fscore_http_requests_total", **asked, status="200") > 0
                assert server.metric("fscore_http_requests_total", **asked, status="503") == 0
    versions = [version for _, version in load.answers]
    assert set(versions) == {1, 2}
    promoted, rolled_back = (f"{1000 * each:.1f} ms" for each in late)
    print(
        f"\n{how}: {len(versions) / seconds:,.0f} requests/s; the last old answer came {promoted} "
        f"after a promotion had returned, {rolled_back} after a rollback"
    )


def test_a_request_may_still_name_its_version(
    own_store: RedisServer, operator: fscore.Client
) -> None:
    with ServerProcess(own_store.url, registry_poll=NEVER) as server:
        operator.versions.promote("ranking", 2)
        until(lambda: follows([server], 2))
        ask = "/v1/features?user_id=7&service=ranking"
        assert server.client.get(ask).json()["version"] == 2
        pinned = server.client.get(f"{ask}&version=1").json()
        assert (pinned["version"], pinned["features"]["one"]) == (1, 1)
        # A read without a service is not affected by the switch.
        assert server.client.get("/v1/features?user_id=7").json()["version"] == 1
        assert server.client.get("/v1/features?user_id=7&features=one").json()["version"] == 1


def test_the_catalogue_has_every_version(own_store: RedisServer, operator: fscore.Client) -> None:
    with ServerProcess(own_store.url) as server:
        operator.versions.promote("ranking", 2)
        operator.versions.create("ranking", comment="next", created_by="ann")
        answer = server.client.get("/v1/versions").json()
        (found,) = answer["versions"]
        assert (found["service"], found["version"], found["previous"]) == ("ranking", 2, 1)
        states = [(item["version"], item["state"]) for item in found["versions"]]
        assert states == [(1, "live"), (2, "live"), (3, "filling")]
        newest = found["versions"][2]
        assert (newest["comment"], newest["created_by"], newest["promoted_at"]) == (
            "next",
            "ann",
            None,
        )
        assert newest["created_at"] > 1_700_000_000_000
        own_store.pause()
        try:
            late = server.client.get("/v1/versions", headers={"X-Request-Timeout-Ms": "50"})
        finally:
            own_store.resume()
        assert late.status_code == 504


def test_a_pointer_that_is_not_a_version_is_that_services_503(
    own_store: RedisServer, operator: fscore.Client
) -> None:
    with ServerProcess(own_store.url, registry_poll=0.05) as server:
        operator.execute("SET", "feature_version:ranking", "two")
        ask = "/v1/features?user_id=7&service=ranking"
        until(lambda: server.client.get(ask).status_code == 503)
        assert "feature_version:ranking" in server.wait_for("access to the store")["cause"]
        assert server.client.get(f"{ask}&version=2").json()["features"]["one"] == 2
        assert server.client.get("/v1/features?user_id=7").status_code == 200
        assert server.client.get("/health/ready").status_code == 200
        operator.versions.promote("ranking", 2)
        until(lambda: server.client.get(ask).status_code == 200)


def test_subscriptions_come_back(own_store: RedisServer, operator: fscore.Client) -> None:
    settings = {"workers": 2, "registry_poll": NEVER}
    with ServerProcess(own_store.url, **settings) as server:
        for version in (2, 1, 2):
            # A late look may have found the version before the subscriptions were back.
            until(lambda: subscribers(own_store) == 2)
            assert operator.execute("CLIENT", "KILL", "TYPE", "PUBSUB") == 2
            operator.versions.promote("ranking", version)
            # New connections reach either worker, so ten of them check both.
            for _ in range(10):
                server.client.close()
                server.client = server.new_client()
                until(lambda version=version: follows([server], version))  # type: ignore[misc]


def test_a_server_that_may_not_subscribe_polls_and_logs_it(
    own_store: RedisServer, operator: fscore.Client
) -> None:
    with redis.Redis.from_url(own_store.url) as connection:
        rules = ("on", ">secret", "~*", "resetchannels", "+@all", "-subscribe")
        connection.execute_command("ACL", "SETUSER", "mute", *rules)
    url = own_store.url.replace("redis://", "redis://mute:secret@")
    with ServerProcess(url, registry_poll=0.05) as server:
        line = server.wait_for("the subscription to promotions is down")
        while "NOPERM" not in line["cause"]:
            line = server.wait_for("the subscription to promotions is down")
        assert line["level"] == "warning"
        operator.versions.promote("ranking", 2)
        until(lambda: follows([server], 2))
        # A new cause is logged too. The data connection stays authenticated as before.
        operator.execute("ACL", "SETUSER", "mute", "<secret", ">other")
        while "WRONGPASS" not in line["cause"]:
            line = server.wait_for("the subscription to promotions is down")
        operator.execute("ACL", "SETUSER", "mute", ">secret", "+subscribe", "allchannels")
        server.wait_for("subscribed to promotions again")
