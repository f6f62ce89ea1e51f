"""Writes by scripts: a script is loaded if the server does not know it; retries do no harm."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from fscore import ConfigError, Unavailable, WriteRejected
from tests.client.driver import PATIENCE, Driver
from tests.client.kinds import HOUR_MS, REGISTRY
from tests.client.proxy import FaultProxy
from tests.event_times import PAST_HOUR_MS
from tests.redis_server import RedisServer

T = PAST_HOUR_MS
NEVER = 3600.0


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url, registry_poll=NEVER)
    connected.apply(REGISTRY)
    return connected


def profiles(users: int, sequence: int = 0) -> list[dict[str, Any]]:
    return [
        {"user_id": user, "age": user, "country": str(sequence), "event_time": T + sequence}
        for user in range(users)
    ]


def calls(witness: Any, command: str) -> tuple[int, int]:
    """Return how often a command was called, and how often it failed."""
    stats = witness.info("commandstats").get(f"cmdstat_{command}", {})
    return stats.get("calls", 0), stats.get("failed_calls", 0)


def test_a_script_is_loaded_once_and_only_if_it_is_not_known(client: Any, witness: Any) -> None:
    witness.script_flush()
    witness.config_resetstat()
    # Two hundred rows are four calls.
    assert client.write("profile", profiles(200), ordering="event_time").unchanged == 0
    assert calls(witness, "script|load") == (1, 0)
    assert calls(witness, "evalsha") == (8, 4)
    assert client.write("profile", profiles(200), ordering="event_time").unchanged == 200
    assert calls(witness, "script|load") == (1, 0)
    assert calls(witness, "evalsha") == (12, 4)


def numbered(view: str, user: int, number: int) -> dict[str, Any]:
    """Return a row that has its number in its first feature and in its event time."""
    values: dict[str, dict[str, Any]] = {
        "profile": {"age": number},
        "row": {"points": number, "name": "x", "active": None, "tags": None},
        "tiled": {"amount": 1},
    }
    return {"user_id": user, "event_time": T + number, **values[view]}


def together(calls: list[Any]) -> None:
    """Make these calls in threads; fail if one of them raises."""
    errors: list[BaseException] = []

    def guarded(call: Any) -> None:
        try:
            call()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert errors == []


@pytest.mark.parametrize("view", ["profile", "row", "tiled"])
def test_scripts_are_forgotten_under_load(client: Any, witness: Any, view: str) -> None:
    """No caller notices, and no write is lost or counted twice."""
    left = list(range(6))

    def write(user: int) -> None:
        try:
            for number in range(60):
                client.write(view, [numbered(view, user, number)], ordering="event_time")
        finally:
            left.remove(user)

    def forget() -> None:
        while left:
            witness.script_flush()

    together([forget, *(partial(write, user) for user in range(6))])
    if view == "tiled":
        key = f"tiled:user:{{%d}}:t{HOUR_MS}"
        assert [witness.hget(key % user, f"{T}:s:amount") for user in range(6)] == [b"60"] * 6
    else:
        feature = "points" if view == "row" else "age"
        table = client.prepare(features=[feature]).get(list(range(6)), as_of=T + 60)
        assert table.column(feature).tolist() == [59] * 6


def test_a_server_that_lost_everything(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url, registry_poll=NEVER)
    client.apply(REGISTRY)
    for _ in range(2):
        client.write("profile", profiles(3), ordering="event_time")
        own_server.kill()
        own_server.start()
    assert client.write("profile", profiles(3), ordering="event_time").unchanged == 0


def test_a_user_who_may_not_load_scripts_gets_an_error(
    driver: Driver, redis_url: str, client: Any, witness: Any
) -> None:
    witness.acl_setuser(
        "writer", enabled=True, passwords=["+secret"], keys=["*"], commands=["+@all", "-script"]
    )
    try:
        writer = driver.connect(redis_url, redis_username="writer", redis_password="secret")
        witness.script_flush()
        with pytest.raises(ConfigError, match=r"NOPERM.*script"):
            writer.write("profile", profiles(3), ordering="event_time")
        client.write("profile", profiles(3), ordering="event_time")
        assert writer.write("profile", profiles(3), ordering="event_time").unchanged == 3
    finally:
        witness.acl_deluser("writer")


@pytest.mark.parametrize("view", ["profile", "tiled", "clicks", "consents"])
def test_a_server_without_memory_refuses_and_changes_nothing(
    driver: Driver, own_server: RedisServer, view: str
) -> None:
    client = driver.connect(own_server.url, registry_poll=NEVER)
    client.apply(REGISTRY)
    row: dict[str, Any] = {"user_id": 1, "event_time": T}
    if view == "consents":
        row["consent"] = True
    client.write(view, [row], ordering="event_time")
    before = own_server.command("DBSIZE")
    assert own_server.command("CONFIG", "SET", "maxmemory", "1") == b"+OK\r\n"
    with pytest.raises(WriteRejected, match="OOM"):
        client.write(view, [{**row, "user_id": 70_000}], ordering="event_time")
    assert own_server.command("CONFIG", "SET", "maxmemory", "0") == b"+OK\r\n"
    assert own_server.command("DBSIZE") == before
    client.write(view, [{**row, "user_id": 70_000}], ordering="event_time")
    assert own_server.command("DBSIZE") != before


# Retries


@pytest.fixture
def behind(driver: Driver, proxy: FaultProxy, client: Any) -> Any:
    """A client that is connected through the proxy."""
    return driver.connect(proxy.url, registry_poll=NEVER)


REPEATABLE = {
    "event time": ("profile", profiles(40), "event_time"),
    "events": ("clicks", [{"user_id": 1, "event_time": T + n} for n in range(40)], "arrival"),
    "tiles": (
        "tiled",
        [{"user_id": 1, "amount": 1, "event_time": T + n} for n in range(40)],
        "arrival",
    ),
    "flags": ("consents", [{"user_id": n, "consent": True} for n in range(40)], "arrival"),
}


@pytest.mark.parametrize("case", REPEATABLE)
def test_an_uncertain_write_is_sent_again_if_that_does_no_harm(
    behind: Any, proxy: FaultProxy, witness: Any, case: str
) -> None:
    view, rows, ordering = REPEATABLE[case]

    def write() -> None:
        assert behind.write(view, rows, ordering=ordering, timeout=PATIENCE).rows == 40

    def stored() -> dict[bytes, Any]:
        read = {b"hash": witness.hgetall, b"zset": lambda key: witness.zrange(key, 0, -1)}
        keys = [key for key in witness.keys("*") if b"fscore:" not in key]
        return {key: read.get(witness.type(key), witness.get)(key) for key in keys}

    write()
    expected = stored()
    for position in (1, 3, 40):
        witness.delete(*expected)
        proxy.cut_after(position)
        write()
        assert stored() == expected


def test_an_uncertain_write_by_arrival_is_left_to_the_caller(
    behind: Any, proxy: FaultProxy, witness: Any
) -> None:
    packed = {"user_id": 1, "points": 1, "name": "a", "active": True, "tags": None}
    for view, row in {"profile": {"user_id": 1, "age": 1}, "row": packed}.items():
        assert behind.execute("PING") == "PONG"
        proxy.cut_after(1)
        with pytest.raises(Unavailable, match="not known"):
            behind.write(view, [row])
