"""A promotion reaches clients when they look, and subscribed clients at once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

import fscore
from fscore import Entity, FeatureService, FeatureView, Int64, Registry
from fscore._fscore import ReconnectBackoff
from fscore.aio import subscription as _subscription
from fscore.aio.transport import open_transport
from tests.client.driver import PATIENCE, AsyncioDriver, Driver, make_driver, until
from tests.client.proxy import FaultProxy
from tests.redis_server import RedisServer
from tests.unforeseen import SAID, failing_once

user = Entity("user", join_keys={"user_id": Int64})
NEVER = 3600.0
"""Seconds between looks of a client that a test wants to learn otherwise."""


class Profile(FeatureView, entity=user):
    age: Int64
    height: Int64


ranking = FeatureService("ranking", features=[Profile])
REGISTRY = Registry.from_definitions([ranking])


@pytest.fixture
def operator(redis_url: str) -> Iterator[fscore.Client]:
    """A client that switches versions; version 2 exists and can be promoted."""
    with fscore.connect(redis_url) as client:
        client.apply(REGISTRY)
        assert client.versions.create("ranking") == 2
        yield client


@pytest.fixture
def asyncio_driver() -> Iterator[AsyncioDriver]:
    driver = make_driver("asyncio")
    assert isinstance(driver, AsyncioDriver)
    yield driver
    driver.close()


def subscribed(driver: Driver, url: str, **settings: Any) -> Any:
    """A client that subscribes to promotions, and never looks by itself."""
    settings = {"follow_versions": "push", "registry_poll": NEVER, **settings}
    client = driver.connect(url, **settings)
    until(lambda: client.push_fault is None)
    return client


# By looking (polling).


def test_a_look_finds_a_promotion(driver: Driver, redis_url: str, operator: fscore.Client) -> None:
    prepared = driver.connect(redis_url, registry_poll=0.05).prepare("ranking")
    assert prepared.get([1]).version == 1
    operator.versions.promote("ranking", 2)
    until(lambda: prepared.get([1]).version == 2)
    operator.versions.rollback("ranking")
    until(lambda: prepared.get([1]).version == 1)


def test_no_look_no_promotion(driver: Driver, redis_url: str, operator: fscore.Client) -> None:
    client = driver.connect(redis_url, registry_poll=NEVER)
    prepared = client.prepare("ranking")
    operator.versions.promote("ranking", 2)
    assert prepared.get([1]).version == 1
    assert client.refresh() is True
    assert prepared.get([1]).version == 2
    assert client.refresh() is False


def test_new_definitions_and_their_pointer_are_followed_together(
    driver: Driver, redis_url: str, operator: fscore.Client
) -> None:
    """If the pointer is older than the definition, the definition's version is never read."""
    client = driver.connect(redis_url, registry_poll=NEVER)
    operator.execute("SET", "feature_version:fresh", 9)
    fresh = FeatureService("fresh", features=[Profile.age])
    operator.apply(Registry.from_definitions([ranking, fresh]))
    assert client.refresh() is True
    assert client.current_versions == {"fresh": 9, "ranking": 1}
    assert client.prepare("fresh").get([1]).version == 9


def test_an_answer_that_was_overtaken_is_not_believed(
    redis_url: str, operator: fscore.Client
) -> None:
    """The client looks twice at the same time, and the answer that was given first arrives last."""
    with fscore.connect(redis_url, registry_poll=NEVER) as client:
        prepared = client.prepare("ranking")
        looking = client.core.looking_at_versions()
        command = next(looking)
        assert isinstance(command, tuple)
        answer = client.execute(*command)
        operator.versions.promote("ranking", 2)
        assert client.refresh() is True
        with pytest.raises(StopIteration) as ended:
            looking.send(answer)
        assert ended.value.value is False
        assert prepared.get([1]).version == 2


def test_a_server_that_came_back_empty_is_believed(driver: Driver, own_server: RedisServer) -> None:
    client = driver.connect(own_server.url)
    client.apply(REGISTRY)
    client.versions.promote("ranking", client.versions.create("ranking"))
    assert client.current_versions == {"ranking": 2}
    own_server.command("FLUSHALL")
    assert client.refresh() is True
    assert client.current_versions == {}
    client.apply(REGISTRY)
    assert client.current_versions == {"ranking": 1}
    assert client.write("profile", [{"user_id": 1, "age": 1}]).versions == (1,)


def test_a_request_has_one_version(driver: Driver, redis_url: str, operator: fscore.Client) -> None:
    """However often versions are switched, all values of an answer are of its version."""
    ids = list(range(50))
    for version in (1, 2):
        rows = {"user_id": ids, "age": [version] * 50, "height": [version] * 50}
        operator.write("profile", rows, version=version)
    client = driver.connect(redis_url, registry_poll=1e-6)
    prepared = client.prepare("ranking")
    stop = threading.Event()

    def switch() -> None:
        while not stop.is_set():
            operator.versions.promote("ranking", 2)
            operator.versions.rollback("ranking")

    def read() -> set[int]:
        seen: set[int] = set()
        until_then = time.monotonic() + PATIENCE
        while seen != {1, 2} and time.monotonic() < until_then:
            table = prepared.get(ids)
            assert table.all_present
            assert set(table.to_numpy().ravel().tolist()) == {float(table.version)}
            seen.add(table.version)
        return seen

    switching = threading.Thread(target=switch)
    switching.start()
    try:
        found: list[set[int]] = []
        readers = [threading.Thread(target=lambda: found.append(read())) for _ in range(4)]
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join()
    finally:
        stop.set()
        switching.join()
    assert found == [{1, 2}] * 4


# By subscription.


def test_a_subscribed_client_follows_a_promotion_at_once(
    asyncio_driver: AsyncioDriver, redis_url: str, operator: fscore.Client
) -> None:
    client = subscribed(asyncio_driver, redis_url)
    prepared = client.prepare("ranking")
    operator.versions.promote("ranking", 2)
    until(lambda: prepared.version == 2)
    assert prepared.get([1]).version == 2
    operator.versions.rollback("ranking")
    until(lambda: prepared.version == 1)


@pytest.mark.parametrize("resp3", [True, False], ids=["resp3", "resp2"])
def test_the_subscription_has_a_connection_of_its_own(
    asyncio_driver: AsyncioDriver, redis_url: str, operator: fscore.Client, resp3: bool
) -> None:
    client = subscribed(asyncio_driver, redis_url, client_name="follower", prefer_resp3=resp3)
    lines = operator.execute("CLIENT", "LIST").decode().splitlines()
    ours = [line for line in lines if "name=follower" in line]
    assert sorted(line.split(" sub=")[1].split()[0] for line in ours) == ["0", "1"]
    client.close()
    until(lambda: b"name=follower" not in operator.execute("CLIENT", "LIST"))


def test_by_default_there_is_no_subscription(
    driver: Driver, redis_url: str, operator: fscore.Client
) -> None:
    client = driver.connect(redis_url)
    assert operator.execute("PUBSUB", "NUMSUB", "fscore:versions")[1] == 0
    if isinstance(driver, AsyncioDriver):
        assert client.push_fault is None


def test_a_blocking_client_polls_whatever_is_set(redis_url: str, operator: fscore.Client) -> None:
    with fscore.connect(redis_url, follow_versions="push", registry_poll=0.05) as client:
        prepared = client.prepare("ranking")
        assert operator.execute("PUBSUB", "NUMSUB", "fscore:versions")[1] == 0
        operator.versions.promote("ranking", 2)
        until(lambda: prepared.get([1]).version == 2)


def test_what_was_published_while_it_was_away_is_caught(
    asyncio_driver: AsyncioDriver, redis_url: str, operator: fscore.Client, proxy: FaultProxy
) -> None:
    client = subscribed(asyncio_driver, proxy.url)
    proxy.refuse()
    until(lambda: client.push_fault is not None)
    operator.versions.promote("ranking", 2)
    assert client.current_versions == {"ranking": 1}
    proxy.accept()
    until(lambda: client.current_versions == {"ranking": 2} and client.push_fault is None)
    # It also gets later messages.
    operator.versions.rollback("ranking")
    until(lambda: client.current_versions == {"ranking": 1})


def test_a_killed_subscription_connects_again(
    asyncio_driver: AsyncioDriver, redis_url: str, operator: fscore.Client
) -> None:
    client = subscribed(asyncio_driver, redis_url)
    for version in (2, 1, 2):
        # A late look may have found the version before the subscription was back.
        until(lambda: operator.execute("PUBSUB", "NUMSUB", "fscore:versions")[1] == 1)
        assert operator.execute("CLIENT", "KILL", "TYPE", "PUBSUB") == 1
        operator.versions.promote("ranking", version)
        now = {"ranking": version}
        until(lambda now=now: client.current_versions == now)  # type: ignore[misc]


def test_a_killed_subscription_connects_again_at_once(
    asyncio_driver: AsyncioDriver,
    redis_url: str,
    operator: fscore.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []

    class Noting:
        """A back-off that notes its pauses."""

        def __init__(self) -> None:
            self._inner = ReconnectBackoff()

        def __getattr__(self, name: str) -> Any:
            return getattr(self._inner, name)

        def pause(self, now: float) -> float:
            pauses.append(self._inner.pause(now))
            return pauses[-1]

    monkeypatch.setattr(_subscription, "ReconnectBackoff", Noting)
    subscribed(asyncio_driver, redis_url)
    assert operator.execute("CLIENT", "KILL", "TYPE", "PUBSUB") == 1
    until(lambda: operator.execute("PUBSUB", "NUMSUB", "fscore:versions")[1] == 1)
    assert pauses == [0.0]


def test_a_client_that_may_not_subscribe_still_polls(
    asyncio_driver: AsyncioDriver, redis_url: str, operator: fscore.Client
) -> None:
    operator.execute(
        "ACL", "SETUSER", "mute", "on", ">secret", "~*", "resetchannels", "+@all", "-subscribe"
    )
    try:
        client = asyncio_driver.connect(
            redis_url,
            redis_username="mute",
            redis_password="secret",
            follow_versions="push",
            registry_poll=0.05,
        )
        prepared = client.prepare("ranking")
        until(lambda: "NOPERM" in client.push_fault)
        operator.versions.promote("ranking", 2)
        until(lambda: prepared.get([1]).version == 2)
        assert "NOPERM" in client.push_fault
    finally:
        operator.execute("ACL", "DELUSER", "mute")


def test_a_subscription_connects_again_after_garbage(
    asyncio_driver: AsyncioDriver, redis_url: str, operator: fscore.Client, proxy: FaultProxy
) -> None:
    client = subscribed(asyncio_driver, proxy.url)
    connections = proxy.connections
    proxy.inject(b"+what\r\n")
    operator.versions.promote("ranking", 2)
    proxy.wait_for_connection(after=connections)
    until(lambda: client.push_fault is None and client.current_versions == {"ranking": 2})


def test_a_server_restart_is_survived(
    asyncio_driver: AsyncioDriver, own_server: RedisServer
) -> None:
    with fscore.connect(own_server.url) as operator:
        operator.apply(REGISTRY)
        client = subscribed(asyncio_driver, own_server.url)
        own_server.kill()
        until(lambda: client.push_fault is not None)
        own_server.start()
        operator.apply(REGISTRY)
        operator.versions.promote("ranking", operator.versions.create("ranking"))
        until(lambda: client.current_versions == {"ranking": 2})


def test_a_silent_subscription_connects_again(
    asyncio_driver: AsyncioDriver,
    redis_url: str,
    operator: fscore.Client,
    proxy: FaultProxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_subscription, "_QUIET", 1.0)
    # A look that waits on the silent data connection ends by this timeout.
    client = subscribed(asyncio_driver, proxy.url, timeout=1.0)
    connections = proxy.connections
    # No message comes for long, but pings are answered: otherwise there would be only one.
    requests = proxy.requests
    proxy.wait_for_request(after=requests + 1)
    assert (proxy.connections, client.push_fault) == (connections, None)
    proxy.hold_these()
    proxy.wait_for_connection(after=connections)
    operator.versions.promote("ranking", 2)
    # The client gives up the held data connection too, like any silent one.
    until(lambda: client.push_fault is None and client.current_versions == {"ranking": 2})


def test_an_unforeseen_error_does_not_end_the_following(
    asyncio_driver: AsyncioDriver,
    redis_url: str,
    operator: fscore.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = subscribed(asyncio_driver, redis_url)
    looking = failing_once(client.core.looking_at_versions)
    monkeypatch.setattr(client.core, "looking_at_versions", looking)
    operator.versions.promote("ranking", 2)
    until(lambda: client.current_versions == {"ranking": 2} and client.push_fault is None)
    (told,) = (record for record in caplog.records if record.name == "fscore")
    assert SAID in told.message


def test_an_unforeseen_error_does_not_end_the_subscription(
    asyncio_driver: AsyncioDriver,
    redis_url: str,
    operator: fscore.Client,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_subscription, "open_transport", failing_once(open_transport))
    client = subscribed(asyncio_driver, redis_url)
    operator.versions.promote("ranking", 2)
    until(lambda: client.current_versions == {"ranking": 2})


def test_an_unforeseen_error_of_a_look_is_logged_and_the_next_look_works(
    asyncio_driver: AsyncioDriver,
    redis_url: str,
    operator: fscore.Client,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = asyncio_driver.connect(redis_url, registry_poll=NEVER)
    prepared = client.prepare("ranking")
    monkeypatch.setattr(client.core, "refreshing", failing_once(client.core.refreshing))
    client.core.look_now()
    assert prepared.get([1]).version == 1
    until(lambda: any(SAID in record.message for record in caplog.records))
    operator.versions.promote("ranking", 2)
    client.core.look_now()
    until(lambda: prepared.get([1]).version == 2)


@pytest.mark.parametrize("state", ["standing", "held", "refused"])
def test_closing_leaves_nothing(
    asyncio_driver: AsyncioDriver,
    redis_url: str,
    operator: fscore.Client,
    proxy: FaultProxy,
    state: str,
) -> None:
    client = subscribed(asyncio_driver, proxy.url)
    if state == "refused":
        proxy.refuse()
        until(lambda: client.push_fault is not None)
    elif state == "held":
        connections = proxy.connections
        proxy.hold()
        proxy.cut()
        proxy.wait_for_connection(after=connections)
    client.close()
    until(lambda: operator.execute("PUBSUB", "NUMSUB", "fscore:versions")[1] == 0)
    assert asyncio_driver.run(running()) == 1


async def running() -> int:
    """Return how many tasks the loop has, this one included."""
    return len(asyncio.all_tasks())
