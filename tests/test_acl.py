"""The users of docs/guides/connect.md can do what they are for, and nothing else."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import fscore
from tests.client.driver import make_driver, until
from tests.redis_server import RedisServer

pytestmark = pytest.mark.checkout

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs/guides/connect.md"
PREFIX = "acme:"


@pytest.fixture(params=["2", "3"], ids=["resp2", "resp3"])
def users(
    request: pytest.FixtureRequest, redis_server: RedisServer, redis_url: str
) -> Iterator[dict[str, fscore.Client]]:
    documented = re.findall(r"^ACL SETUSER (.*?)^(?=ACL|```)", GUIDE.read_text(), re.M | re.S)
    assert len(documented) == 2
    clients = {}
    for text in documented:
        name, *rules = text.replace("PASSWORD", "secret").split()
        assert redis_server.command("ACL", "SETUSER", name, *rules) == b"+OK\r\n"
        clients[name] = fscore.connect(
            redis_url,
            redis_username=name,
            redis_password="secret",
            key_prefix=PREFIX,
            prefer_resp3=request.param == "3",
            registry_poll=0.01,
        )
    yield clients
    for client in clients.values():
        client.close()


def test_writer_writes_and_reader_reads(users: dict[str, fscore.Client]) -> None:
    reader, writer = users["fscore-reader"], users["fscore-writer"]
    definitions = fscore.Registry.load(ROOT / "examples/ecommerce")
    assert writer.apply(definitions).revision == 1
    writer.write("user_profile", [{"user_id": "a", "platform": "mobile"}])
    writer.write("user_profile", [{"user_id": "b", "platform": None}])
    assert writer.delete("user_profile", ["b"]) == 1

    assert reader.refresh()
    prepared = reader.prepare(features=["platform"])
    assert prepared.get(["a"]).to_dicts() == [{"platform": "mobile"}]
    assert reader.prepare("recommendation").get(["a"]).shape[0] == 1
    with pytest.raises(fscore.ConfigError, match="NOPERM"):
        reader.write("user_profile", [{"user_id": "a", "platform": "desktop"}])
    with pytest.raises(fscore.ConfigError, match="NOPERM"):
        reader.apply(fscore.Registry.from_definitions([]), allow_unsafe=True)
    assert prepared.get(["a"]).to_dicts() == [{"platform": "mobile"}]


def test_writer_lets_keys_expire(users: dict[str, fscore.Client]) -> None:
    device = fscore.Entity("device", join_keys={"device_id": fscore.Int64})

    class Battery(fscore.FeatureView, entity=device, ttl="1d"):
        level: fscore.Int64

    writer = users["fscore-writer"]
    writer.apply(fscore.Registry.from_definitions([Battery]))
    assert writer.write("battery", [{"device_id": 1, "level": 80}]).rows == 1


def test_writer_switches_versions_and_reader_follows(users: dict[str, fscore.Client]) -> None:
    reader, writer = users["fscore-reader"], users["fscore-writer"]
    writer.apply(fscore.Registry.load(ROOT / "examples/ecommerce"))
    writer.write("user_profile", [{"user_id": "a", "platform": "mobile"}])
    version = writer.versions.create("recommendation")
    writer.versions.promote("recommendation", version)
    writer.versions.rollback("recommendation")
    assert writer.versions.retire("recommendation", version).removed == 0
    writer.versions.promote("recommendation", writer.versions.create("recommendation"))
    assert writer.versions.retire("recommendation", 1, force=True).removed == 1

    assert reader.refresh()
    assert reader.prepare("recommendation").get(["a"]).version == 3
    assert reader.versions.list("recommendation")[0].current == 3
    with pytest.raises(fscore.ConfigError, match="NOPERM"):
        reader.versions.create("recommendation")


def test_reader_hears_of_promotions(users: dict[str, fscore.Client]) -> None:
    reader, writer = users["fscore-reader"], users["fscore-writer"]
    writer.apply(fscore.Registry.load(ROOT / "examples/ecommerce"))

    driver = make_driver("asyncio")
    try:
        follower = driver.connect(
            settings=reader.settings, follow_versions="push", registry_poll=3600
        )
        until(lambda: follower.push_fault is None)
        version = writer.versions.create("recommendation")
        writer.versions.promote("recommendation", version)
        until(lambda: follower.current_versions["recommendation"] == version)
    finally:
        driver.close()


def test_nobody_leaves_the_prefix(users: dict[str, fscore.Client]) -> None:
    for client in users.values():
        with pytest.raises(fscore.ConfigError, match="NOPERM"):
            client.execute("HGETALL", "globex:user:{a}:v1")
