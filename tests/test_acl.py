"""The users that docs/guides/connect.md sets up can do their tasks, and nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

import fscore
from tests.client import kinds
from tests.client.driver import make_driver, until
from tests.redis_server import RedisServer
from tests.server.cli.command import Fscore

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs/guides/connect.md"
PREFIX = "acme:"
NAMED = {"platform": "mobile"}
BY_FIELD = ("+hpexpireat", "+hpersist")


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


def profile(definitions: fscore.Registry, user_id: str) -> dict[str, Any]:
    """A row with every feature, which the packed layout requires."""
    features = definitions.views["user_profile"].features
    return {**dict.fromkeys(feature.name for feature in features), **NAMED, "user_id": user_id}


def test_writer_writes_and_reader_reads(users: dict[str, fscore.Client]) -> None:
    reader, writer = users["fscore-reader"], users["fscore-writer"]
    definitions = fscore.Registry.load(ROOT / "examples/ecommerce")
    assert writer.apply(definitions).revision == 1
    writer.write("user_profile", [profile(definitions, "a"), profile(definitions, "b")])
    assert writer.delete("user_profile", ["b"]) == 1

    assert reader.refresh()
    prepared = reader.prepare(features=["platform"])
    assert prepared.get(["a"]).to_dicts() == [NAMED]
    assert reader.prepare("recommendation").get(["a"]).shape[0] == 1
    with pytest.raises(fscore.ConfigError, match="NOPERM"):
        reader.write("user_profile", [profile(definitions, "a")])
    with pytest.raises(fscore.ConfigError, match="NOPERM"):
        reader.apply(fscore.Registry.from_definitions([]), allow_unsafe=True)
    assert prepared.get(["a"]).to_dicts() == [NAMED]


@pytest.mark.parametrize("ordering", ["arrival", "event_time"])
def test_writer_lets_keys_expire_and_takes_that_back(
    users: dict[str, fscore.Client], ordering: Literal["arrival", "event_time"]
) -> None:
    device = fscore.Entity("device", join_keys={"device_id": fscore.Int64})
    writer = users["fscore-writer"]
    for life in ("1d", None, "2d"):

        class Battery(fscore.FeatureView, entity=device, ttl=life):
            level: fscore.Int64
            cycles: fscore.Int64

        class Status(fscore.FeatureView, entity=device, ttl=life, layout="packed"):
            status: fscore.Int64

        class Visits(fscore.SeriesView, entity=device, retention=life):
            visits: fscore.Int64 = fscore.window.count("1d")

        class Tiled(fscore.SeriesView, entity=device, retention=life, tile="1h"):
            tiled: fscore.Int64 = fscore.window.count("1d")

        writer.apply(fscore.Registry.from_definitions([Battery, Status, Visits, Tiled]))
        rows = {"battery": {"level": 80}, "status": {"status": 1}, "visits": {}, "tiled": {}}
        for view, row in rows.items():
            written = writer.write(view, [{"device_id": 1, **row}], ordering=ordering)
            assert written.rows == 1


def test_every_kind_of_view(users: dict[str, fscore.Client], redis_server: RedisServer) -> None:
    reader, writer = users["fscore-reader"], users["fscore-writer"]
    if redis_server.kind == "valkey":
        redis_server.command("ACL", "SETUSER", "fscore-writer", *BY_FIELD)
    redis_server.command("SCRIPT", "FLUSH")
    short = fscore.Entity("short", join_keys={"user_id": fscore.Int64})

    class Lived(fscore.FeatureView, entity=short):
        a: fscore.Int64 = fscore.Feature(ttl="5m")
        b: fscore.Int64 = fscore.Feature(ttl="1d")

    class Kept(fscore.FeatureView, entity=short, ttl="1d"):
        c: fscore.Int64

    class Visits(fscore.SeriesView, entity=kinds.user, retention="1d"):
        time_on_site: fscore.Int64 = fscore.window.session_length(gap="30m")

    definitions = [*kinds.VIEWS, Lived, Kept, Visits]
    writer.apply(fscore.Registry.from_definitions(definitions))
    rows: dict[str, dict[str, Any]] = {
        "profile": {"age": 5, "country": None},
        "row": {"points": 1, "name": "a", "active": True, "tags": None},
        **{view: {} for view in ("plain", "clicks", "seen", "tiled", "visits")},
        "lived": {"a": 1, "b": 2},
        "kept": {"c": 3},
        "consents": {"consent": True},
    }
    for ordering in ("arrival", "event_time", "event_time"):
        for view, row in rows.items():
            writer.write(view, [{"user_id": 1, **row}], ordering=ordering)
    reader.refresh()
    for entity in ("user", "short"):
        prepared = reader.prepare(entity=entity)
        for consistency in ("eventual", "snapshot"):
            table = prepared.get([1, 2], consistency=consistency)
            assert 4 not in table.statuses and 5 not in table.statuses, table.problems
    for view in rows:
        assert writer.delete(view, [1]) == 1


def test_doctor_and_the_guide_say_the_same(
    users: dict[str, fscore.Client], redis_server: RedisServer, tmp_path: Path
) -> None:
    class Lived(fscore.FeatureView, entity=kinds.user):
        a: fscore.Int64 = fscore.Feature(ttl="5m")

    if redis_server.kind == "valkey":
        redis_server.command("ACL", "SETUSER", "fscore-writer", *BY_FIELD)
    users["fscore-writer"].apply(fscore.Registry.from_definitions([*kinds.VIEWS, Lived]))
    found = {}
    for name in users:
        redis_server.command("ACL", "SETUSER", name, "+acl|whoami", "+acl|dryrun")
        url = f"redis://{name}:secret@127.0.0.1:{redis_server.port}"
        variables = {"FSCORE_REDIS_URL": url, "FSCORE_KEY_PREFIX": PREFIX}
        done = Fscore(tmp_path, variables)("doctor", "--json")
        (found[name],) = (item for item in json.loads(done.out) if item["check"] == "rights")
    reader, writer = found["fscore-reader"], found["fscore-writer"]
    assert reader["outcome"] == writer["outcome"] == "warning"
    assert reader["found"].startswith("user fscore-reader may not write definitions (EVAL, HSET)")
    assert writer["found"] == (
        "user fscore-writer may not read series (ZCOUNT, EVALSHA_RO), "
        "flags (GETBIT, BITFIELD_RO); may not use snapshots (MULTI, EXEC)"
    )


def test_writer_migrates(users: dict[str, fscore.Client], redis_server: RedisServer) -> None:
    reader, writer = users["fscore-reader"], users["fscore-writer"]
    if redis_server.kind == "valkey":
        redis_server.command("ACL", "SETUSER", "fscore-writer", *BY_FIELD)
    redis_server.command("SCRIPT", "FLUSH")
    writer.apply(fscore.Registry.from_definitions(kinds.VIEWS))
    writer.write("row", [{"user_id": 1, "points": 1, "name": "a", "active": True, "tags": ["b"]}])
    reader.refresh()
    before = reader.prepare(features=["points", "tags"]).get([1]).to_dicts()
    for to in ("hash", "packed"):
        done = writer.migrate("row", to, settle=0.0)
        assert (done.copied, done.removed) == (1, 1)
        reader.refresh()
        assert reader.prepare(features=["points", "tags"]).get([1]).to_dicts() == before


def test_writer_switches_versions_and_reader_follows(users: dict[str, fscore.Client]) -> None:
    reader, writer = users["fscore-reader"], users["fscore-writer"]
    ranking = fscore.FeatureService("ranking", features=[kinds.Profile])
    writer.apply(fscore.Registry.from_definitions([ranking]))
    writer.write("profile", [{"user_id": 1, "age": 5}])
    version = writer.versions.create("ranking")
    writer.versions.promote("ranking", version)
    writer.versions.rollback("ranking")
    assert writer.versions.retire("ranking", version).removed == 0
    writer.versions.promote("ranking", writer.versions.create("ranking"))
    assert writer.versions.retire("ranking", 1, force=True).removed == 1

    assert reader.refresh()
    assert reader.prepare("ranking").get([1]).version == 3
    assert reader.versions.list("ranking")[0].current == 3
    with pytest.raises(fscore.ConfigError, match="NOPERM"):
        reader.versions.create("ranking")


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


def test_no_user_can_use_keys_outside_the_prefix(users: dict[str, fscore.Client]) -> None:
    for client in users.values():
        with pytest.raises(fscore.ConfigError, match="NOPERM"):
            client.execute("HGETALL", "globex:user:{a}:v1")
