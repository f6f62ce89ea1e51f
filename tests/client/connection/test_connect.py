"""Reaching a server: sockets, databases, credentials, protocols, and errors that keep secrets."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import fscore
from fscore import AuthenticationFailed, ConfigError, Unavailable
from tests.client.driver import Driver, until
from tests.redis_server import RedisServer
from tests.shop import REGISTRY

PASSWORD = "p@ss/w:rd#%20 ☕"
QUOTED = "p%40ss%2Fw%3Ard%23%2520%20%E2%98%95"


def serves(client: Any) -> bool:
    """Check that definitions, writes and reads work."""
    client.apply(REGISTRY)
    client.write("customer", [{"customer_id": 1, "orders": 29}])
    return bool(client.prepare(features=["orders"]).get([1]).to_dicts() == [{"orders": 29}])


def test_unix_sockets(driver: Driver, redis_server: RedisServer, redis_url: str) -> None:
    client = driver.connect(f"unix://{redis_server.socket}")
    assert serves(client)
    assert str(redis_server.socket) in repr(client)
    other = driver.connect(f"unix://{redis_server.socket}?db=3")
    assert other.revision == 0
    assert serves(other)


def test_databases_are_apart(driver: Driver, redis_url: str) -> None:
    first, second = driver.connect(redis_url), driver.connect(f"{redis_url}/5")
    assert serves(second)
    assert not first.refresh()
    assert first.revision == 0
    assert driver.connect(f"{redis_url}/0").revision == 0
    with pytest.raises(ConfigError, match=r"SELECT.*database"):
        driver.connect(f"{redis_url}/99")


@pytest.mark.parametrize("resp3", [True, False])
def test_both_protocols(driver: Driver, redis_url: str, witness: Any, resp3: bool) -> None:
    client = driver.connect(redis_url, prefer_resp3=resp3)
    assert client.server["protocol"] == (3 if resp3 else 2)
    assert serves(client)
    # HGETALL's reply is a map in RESP3 and a flat array in RESP2.
    assert client.prepare("overview").strategies == {"customer": "HMGET"}
    client.apply(fscore.Registry.from_definitions([]), allow_unsafe=True)
    assert client.refresh() is False
    replies = client.execute("HGETALL", "customer:{1}:v1")
    stored = replies if isinstance(replies, dict) else dict(zip(*[iter(replies)] * 2, strict=True))
    assert stored[b"orders"] == b"29"
    if resp3:
        assert client.server["server"] == ("valkey" if "valkey" in str(client.server) else "redis")
        assert client.server["version"].split(".")[0] in ("7", "9")


def test_a_server_without_hello(driver: Driver, redis_server: RedisServer) -> None:
    server = RedisServer(redis_server.kind, ["--rename-command", "HELLO", ""])
    try:
        server.start()
        client = driver.connect(server.url)
        assert client.server["protocol"] == 2
        assert serves(client)
    finally:
        server.stop()


def test_the_server_sees_the_client_name(driver: Driver, redis_url: str, witness: Any) -> None:
    for resp3 in (True, False):
        name = f"ranker-{resp3}"
        client = driver.connect(redis_url, client_name=name, prefer_resp3=resp3)
        assert serves(client)
        assert name in {one["name"] for one in witness.client_list()}
    driver.connect(redis_url)
    assert "fscore" in {one["name"] for one in witness.client_list()}
    driver.connect(redis_url, client_name="")
    assert "" in {one["name"] for one in witness.client_list()}


def test_the_url_may_come_from_the_environment(
    driver: Driver, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FSCORE_REDIS_URL", redis_url)
    monkeypatch.setenv("FSCORE_KEY_PREFIX", "acme:")
    client = driver.connect()
    assert serves(client)
    assert client.execute("EXISTS", "acme:customer:{1}:v1") == 1
    given: dict[str, Any] = {"redis_url": redis_url, "key_prefix": "globex:"}
    settings = fscore.RedisSettings(**given)
    assert serves(driver.connect(settings=settings, timeout=2.0))
    assert client.execute("EXISTS", "globex:customer:{1}:v1") == 1


# Credentials


@pytest.fixture(scope="module")
def guarded(redis_server: RedisServer) -> Iterator[RedisServer]:
    """A server with a password, a user who may read one prefix, and a user without any rights."""
    server = RedisServer(redis_server.kind)
    server.start()
    # As docs/guides/connect.md and the security rules have it, and HGETALL, which plans use.
    reader = (
        "on >reading resetkeys %R~acme:* -@all +hello +auth +ping +role +readonly +asking +hmget "
        "+hget +hgetall +mget +client|setname +client|id +client|tracking +client|caching "
        "+cluster|slots +cluster|shards"
    )
    for command in (
        ("ACL", "SETUSER", "reader", *reader.split()),
        ("ACL", "SETUSER", "nobody", "on", ">nothing", "-@all"),
        ("CONFIG", "SET", "requirepass", PASSWORD),
    ):
        assert server.command(*command) == b"+OK\r\n"
    # From here on `server.command`, which has no password, gets NOAUTH only.
    yield server
    server.stop()


@pytest.mark.parametrize("resp3", [True, False])
def test_passwords(driver: Driver, guarded: RedisServer, tmp_path: Path, resp3: bool) -> None:
    at = f"127.0.0.1:{guarded.port}"
    file = tmp_path / "password"
    file.write_text(f"{PASSWORD}\nanother line\n")
    for url, overrides in (
        (f"redis://:{QUOTED}@{at}", {}),
        (f"redis://default:{QUOTED}@{at}/2", {}),
        (f"redis://{at}", {"redis_password": PASSWORD}),
        (f"redis://:wrong@{at}", {"redis_password": PASSWORD}),
        (f"redis://{at}", {"redis_password_file": file}),
        (f"redis://nobody:wrong@{at}", {"redis_username": "default", "redis_password": PASSWORD}),
        (f"unix://:{QUOTED}@{guarded.socket}", {}),
    ):
        client = driver.connect(url, prefer_resp3=resp3, **overrides)
        assert serves(client)
        for shown in (repr(client), repr(client.settings), str(client.endpoint)):
            assert PASSWORD not in shown
            assert QUOTED not in shown


@pytest.mark.parametrize("resp3", [True, False])
@pytest.mark.parametrize("user", ["", "default", "stranger"])
def test_wrong_credentials(driver: Driver, guarded: RedisServer, user: str, resp3: bool) -> None:
    # A traceback quotes the source of a call, which is why the password is not written there.
    password = "wr0ng-s3cret"
    started = time.monotonic()
    with pytest.raises(AuthenticationFailed, match="check the user name and the password") as one:
        driver.connect(
            f"redis://{user}:{password}@127.0.0.1:{guarded.port}",
            prefer_resp3=resp3,
            connect_timeout=20.0,
        )
    # A refusal is final, so the call does not wait for the connect timeout.
    assert time.monotonic() - started < 10
    assert isinstance(one.value, ConfigError)
    assert password not in "".join(traceback.format_exception(one.value))


def test_a_password_that_changes_keeps_nobody_waiting(
    driver: Driver, own_server: RedisServer
) -> None:
    assert own_server.command("ACL", "SETUSER", "ann", "on", ">old", "~*", "+@all") == b"+OK\r\n"
    client = driver.connect(f"redis://ann:old@127.0.0.1:{own_server.port}")
    assert client.execute("PING") == "PONG"
    assert own_server.command("ACL", "SETUSER", "ann", "<old", ">new") == b"+OK\r\n"
    own_server.command("CLIENT", "KILL", "USER", "ann")
    started = time.monotonic()
    for _ in range(20):
        with pytest.raises(AuthenticationFailed):
            client.execute("PING")
    # The next dial would fail as well, so no call waits for its back-off. The back-offs of so many
    # dials, which grow to a second or more, would add up to a quarter of a minute.
    assert time.monotonic() - started < 8


def test_no_credentials(driver: Driver, guarded: RedisServer, redis_url: str) -> None:
    for resp3 in (True, False):
        with pytest.raises(AuthenticationFailed):
            driver.connect(guarded.url, prefer_resp3=resp3)
        # A password for a server that has none is refused too.
        with pytest.raises(AuthenticationFailed):
            driver.connect(redis_url, redis_username="x", redis_password="y", prefer_resp3=resp3)


@pytest.mark.parametrize("resp3", [True, False])
def test_the_least_rights_that_reading_needs(
    driver: Driver, guarded: RedisServer, resp3: bool
) -> None:
    at = f"127.0.0.1:{guarded.port}"
    owner = driver.connect(f"redis://:{QUOTED}@{at}", key_prefix="acme:")
    assert serves(owner)
    reader = driver.connect(f"redis://reader:reading@{at}", key_prefix="acme:", prefer_resp3=resp3)
    assert reader.revision == owner.revision
    prepared = reader.prepare(features=["orders"])
    assert prepared.get([1]).to_dicts() == [{"orders": 29}]
    assert reader.prepare("overview").get([1]).shape == (1, 19)
    assert reader.refresh() is False
    for refused in (
        lambda: reader.write("customer", [{"customer_id": 1, "orders": 30}]),
        lambda: reader.delete("customer", [1]),
        lambda: reader.apply(fscore.Registry(), allow_unsafe=True),
        lambda: reader.execute("HGETALL", "globex:customer:{1}:v1"),
        lambda: reader.execute("KEYS", "*"),
    ):
        with pytest.raises(ConfigError, match=r"NOPERM.*give the ACL user the right"):
            refused()
    # The server refuses the command, not the connection.
    assert prepared.get([1]).to_dicts() == [{"orders": 29}]


def test_a_read_that_is_not_allowed_is_not_a_missing_value(
    driver: Driver, guarded: RedisServer
) -> None:
    at = f"127.0.0.1:{guarded.port}"
    owner = driver.connect(f"redis://:{QUOTED}@{at}", key_prefix="acme:")
    assert serves(owner)
    reader = driver.connect(f"redis://reader:reading@{at}", key_prefix="acme:")
    prepared = reader.prepare(features=["orders"])
    owner.execute("ACL", "SETUSER", "reader", "resetkeys", "%R~acme:fscore:*")
    try:
        for partial in (True, False):
            with pytest.raises(ConfigError, match="NOPERM"):
                prepared.get([1, 2], partial=partial)
    finally:
        owner.execute("ACL", "SETUSER", "reader", "resetkeys", "%R~acme:*")


def test_a_user_without_rights(driver: Driver, guarded: RedisServer) -> None:
    for resp3 in (True, False):
        with pytest.raises(ConfigError, match="NOPERM"):
            driver.connect(f"redis://nobody:nothing@127.0.0.1:{guarded.port}", prefer_resp3=resp3)


# Failures, and that their messages contain no secret


@pytest.mark.parametrize(
    "url",
    [
        "http://:s3cret@127.0.0.1:1",
        "redis://:s3cret@127.0.0.1:port",
        "redis://:s3cret@127.0.0.1:99999",
        "redis://:s3cret@[::1",
        "redis://:s3cret@127.0.0.1/one",
        "redis://:s3cret@127.0.0.1/-1",
        "redis://:s3cret@127.0.0.1#fragment",
        "redis://:s3cret@127.0.0.1?ssl=true",
        "unix://:s3cret@relative/path",
        "unix://:s3cret@/path?db=x",
        "s3cret",
        "",
    ],
)
def test_a_wrong_url_is_reported_without_its_password(driver: Driver, url: str) -> None:
    with pytest.raises(ConfigError, match="URL") as caught:
        driver.connect(url)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    "overrides",
    [
        {"timeout": 0},
        {"timeout": "soon"},
        {"max_connections": 0},
        {"key_prefix": "a b"},
        {"key_prefix": "{tag}"},
        {"client_name": "two words"},
        {"tls_cert_file": "only.pem"},
        {"redis_pasword": "s3cret"},
        {"redis_password": ["s3cret"]},
    ],
    ids=lambda overrides: next(iter(overrides)),
)
def test_wrong_settings_are_named(driver: Driver, overrides: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(overrides))) as caught:
        driver.connect("redis://127.0.0.1", **overrides)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_a_password_file_that_is_not_there(driver: Driver, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="redis_password_file"):
        driver.connect("redis://127.0.0.1", redis_password_file=tmp_path / "none")


def test_nobody_listens(driver: Driver, port: int, tmp_path: Path) -> None:
    for url in (f"redis://:s3cret@127.0.0.1:{port}", f"unix://:s3cret@{tmp_path}/none"):
        started = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            driver.connect(url, connect_timeout=0.5)
        assert time.monotonic() - started < 5
        assert isinstance(caught.value, ConnectionError)
        assert url.rpartition("@")[2] in str(caught.value)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("name", ["nowhere.invalid", f"{'x' * 64}.invalid"], ids=["no", "long"])
def test_a_name_without_address(driver: Driver, name: str) -> None:
    with pytest.raises(Unavailable, match=f"cannot .*{name}"):
        driver.connect(f"redis://{name}", connect_timeout=1.0)


def test_a_closed_client_stays_closed(driver: Driver, redis_url: str, witness: Any) -> None:
    def is_known() -> bool:
        return "short-lived" in {one["name"] for one in witness.client_list()}

    client = driver.connect(redis_url, client_name="short-lived")
    client.apply(REGISTRY)
    prepared = client.prepare(features=["orders"])
    assert is_known()
    client.close()
    for call in (
        lambda: prepared.get([1]),
        lambda: client.write("customer", [{"customer_id": 1}]),
        lambda: client.execute("PING"),
        lambda: client.refresh(),
    ):
        with pytest.raises(Unavailable, match="closed"):
            call()
    client.close()
    # The server notices a little later that the connections are closed.
    until(lambda: not is_known())


def test_a_client_closes_at_the_end_of_its_block(redis_url: str) -> None:
    with fscore.connect(redis_url) as client:
        client.execute("PING")
    with pytest.raises(Unavailable, match="closed"):
        client.execute("PING")
