"""API keys: which requests are accepted, what each key may read, changes of the file."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from fscore.errors import ConfigError
from fscore.serving import ApiKeys
from fscore_server.auth import authentication, key_file
from fscore_server.process.run import run
from fscore_server.settings import load_settings
from fscore_server.telemetry.metrics import Metrics
from tests.client.driver import PATIENCE, until
from tests.redis_server import RedisServer
from tests.server import keys
from tests.server.both import asking_both, comparable_stream
from tests.server.conftest import UNCHANGING
from tests.server.keys import (
    EXPIRED,
    FULL,
    KEYS,
    NOTHING,
    OTHER,
    PROFILE,
    RANKING,
    TYPO,
    UNKNOWN,
    VISITS,
    Key,
)
from tests.server.server_process import ServerProcess
from tests.unforeseen import failing_once

ONE = "/v1/features?user_id=u1&service=ranking"
MANY = {"service": "ranking", "entities": {"user_id": ["u1", "null"]}}

PROTECTED = [
    ("GET", ONE),
    ("GET", "/v1/features"),
    ("POST", "/v1/features"),
    ("GET", "/v1/services"),
    ("GET", "/v1/views"),
    ("GET", "/v1/versions"),
    ("GET", "/metrics"),
    ("GET", "/openapi.json"),
    ("GET", "/docs"),
    ("GET", "/nowhere"),
    ("DELETE", "/v1/features"),
    ("OPTIONS", "/healthy"),
]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of keys that does not change."""
    return keys.write(tmp_path_factory.mktemp("keys") / "keys.toml", *KEYS)


@pytest.fixture(scope="module")
def hot(any_store: RedisServer, file: Path) -> Iterator[ServerProcess]:
    settings = {"api_keys_file": str(file), "access_log": True, **UNCHANGING}
    with ServerProcess(any_store.url, **settings) as process:
        yield process


@pytest.fixture(scope="module")
def application(any_store: RedisServer, file: Path) -> Iterator[ServerProcess]:
    settings = {"api_keys_file": str(file), "hot_routes": False, **UNCHANGING}
    with ServerProcess(any_store.url, **settings) as process:
        yield process


@pytest.fixture(scope="module")
def http(hot: ServerProcess, application: ServerProcess) -> Iterator[httpx.Client]:
    """A client that asks a server with hot routes and one without, and compares their answers."""
    with asking_both(hot, application) as client:
        yield client


# Which requests are accepted.


@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, "answers only requests with an API key"),
        ({"Authorization": "Basic dTpw"}, "answers only requests with an API key"),
        ({"Authorization": "Bearer"}, "are not a valid API key"),
        ({"Authorization": "Bearer fsk_short"}, "are not a valid API key"),
        ({"Authorization": FULL.secret}, "answers only requests with an API key"),
        ({"X-API-Key": "password"}, "are not a valid API key"),
        (UNKNOWN.header, "is not known"),
        (EXPIRED.header, "has expired"),
        ({**FULL.header, "X-API-Key": FULL.secret}, "more than one"),
    ],
)
@pytest.mark.parametrize(("method", "target"), PROTECTED)
def test_nobody_gets_in_without_a_valid_key(
    http: httpx.Client, method: str, target: str, headers: dict[str, str], detail: str
) -> None:
    http.get(ONE, headers=FULL.header)
    body = MANY if method == "POST" else None
    answer = http.request(method, target, headers=headers, json=body)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["type"] == "/docs#unauthenticated"
    assert detail in problem["detail"]


@pytest.mark.parametrize("path", ["/health/live", "/health/ready"])
@pytest.mark.parametrize("headers", [{}, UNKNOWN.header, {**FULL.header, "X-API-Key": "x"}])
def test_probes_need_no_key(http: httpx.Client, path: str, headers: dict[str, str]) -> None:
    assert http.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        FULL.header,
        {"authorization": f"bEARER   {FULL.secret}"},
        {"X-API-Key": FULL.secret},
        # The Authorization header belongs to a proxy on the way.
        {"Authorization": "Basic dTpw", "x-api-key": FULL.secret},
    ],
)
def test_a_valid_key_reads_everything(
    http: httpx.Client, hot: ServerProcess, headers: dict[str, str]
) -> None:
    assert http.get(ONE, headers=headers).json()["features"]["age"] == 29
    assert http.post("/v1/features", json=MANY, headers=headers).status_code == 200
    for target in ("/v1/services", "/v1/views", "/v1/versions", "/openapi.json", "/docs"):
        assert http.get(target, headers=headers).status_code == 200, target
    # Its answer differs between servers, and from time to time.
    assert hot.client.get("/metrics", headers=headers).status_code == 200
    assert http.get("/nowhere", headers=headers).status_code == 404
    assert http.delete("/v1/features", headers=headers).status_code == 405


def raw_get(target: str, *headers: str) -> bytes:
    lines = [f"GET {target} HTTP/1.1", "Host: x", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def received(server: ServerProcess, sent: bytes) -> bytes:
    """Send bytes after which the server closes the connection; return all that it answers."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE) as connection:
        connection.sendall(sent)
        stream = b""
        while part := connection.recv(65536):
            stream += part
    return stream


TWICE = [
    [f"Authorization: Bearer {FULL.secret}"] * 2,
    [f"Authorization: Bearer {FULL.secret}", f"authorization: Bearer {UNKNOWN.secret}"],
    ["Authorization: Basic dTpw", f"Authorization: Bearer {FULL.secret}"],
    [f"X-API-Key: {FULL.secret}"] * 2,
    [f"X-API-Key: {FULL.secret}", f"Authorization: Bearer {FULL.secret}"],
    [f"X-API-Key: {FULL.secret}, {FULL.secret}"],
    [f"X-API-Key: {FULL.secret}\u00e9"],
    [f"Authorization: Bearer {FULL.secret} x"],
]


@pytest.mark.parametrize("fields", TWICE)
def test_a_request_with_doubtful_credentials_is_refused(
    hot: ServerProcess, application: ServerProcess, fields: list[str]
) -> None:
    good = raw_get(ONE, f"X-API-Key: {FULL.secret}")
    sent = good + raw_get(ONE, *fields) + good + raw_get("/health/live", "Connection: close")
    streams = [received(server, sent) for server in (hot, hot, application)]
    assert comparable_stream(streams[0]) == comparable_stream(streams[2])
    assert comparable_stream(streams[1]) == comparable_stream(streams[2])
    statuses = [part[:3] for part in streams[1].split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"401", b"200", b"200"]


def test_plain_reads_with_a_key_are_answered_by_the_hot_routes(hot: ServerProcess) -> None:
    for key, target in (
        (FULL, ONE),
        (RANKING, ONE),
        (PROFILE, "/v1/features?user_id=u1&features=age"),
        (VISITS, "/v1/features?user_id=u1&features=age,clicks"),
    ):
        assert hot.client.get(target, headers=key.header).status_code == 200
        before = hot_count(hot)
        for _ in range(3):
            assert hot.client.get(target, headers=key.header).status_code == 200
        assert hot_count(hot) == before + 3
        assert hot.client.get(target, headers=NOTHING.header).status_code == 403
        assert hot.client.get(target).status_code == 401
        assert hot_count(hot) == before + 3


def metrics(server: ServerProcess, key: Key = FULL) -> str:
    return server.client.get("/metrics", headers=key.header).text


def hot_count(server: ServerProcess) -> int:
    return sum(
        int(line.split()[-1])
        for line in metrics(server).splitlines()
        if line.startswith("fscore_hot_requests_total{")
    )


# What each key may read.

U = {"user_id": "u1"}


@pytest.mark.parametrize(
    ("key", "asked", "denied"),
    [
        (RANKING, {**U, "service": "ranking"}, None),
        (RANKING, {**U, "service": "ranking", "features": "age"}, None),
        (RANKING, {**U, "service": "everything"}, "service 'everything'"),
        (RANKING, {**U, "service": "missing"}, "service 'missing'"),
        (RANKING, {**U, "features": "age"}, "view 'profile'"),
        (RANKING, {**U}, "view '"),
        (PROFILE, {**U, "features": "profile:age,country"}, None),
        (PROFILE, {**U, "service": "ranking"}, "service 'ranking'"),
        (PROFILE, {**U, "features": "age,clicks"}, "view 'activity'"),
        (PROFILE, {**U, "features": "activity:missing"}, "view 'activity'"),
        (PROFILE, {**U, "features": "missing:age"}, "view 'missing'"),
        (PROFILE, {**U, "features": "aeg"}, "write it as view:feature"),
        # A service that reads only views of the scope.
        (VISITS, {**U, "service": "ranking"}, None),
        (VISITS, {**U, "features": "price"}, "view 'product'"),
        (VISITS, {"visitor_id": "v0042", "service": "quotes", "amount": "2", "coupon": "x"}, None),
        (NOTHING, {**U, "service": "ranking"}, "service 'ranking'"),
        (NOTHING, {**U, "features": "age"}, "view 'profile'"),
    ],
)
def test_a_key_reads_what_its_scope_has(
    http: httpx.Client, key: Key, asked: dict[str, str], denied: str | None
) -> None:
    # First with a full key, so that a hot route learns the selection if it is valid.
    http.get("/v1/features", params=asked, headers=FULL.header)
    answer = http.get("/v1/features", params=asked, headers=key.header)
    if denied is None:
        assert answer.status_code == 200, answer.text
        return
    assert (answer.status_code, answer.json()["type"]) == (403, "/docs#not_permitted")
    assert denied in answer.json()["detail"]


def test_the_scope_holds_for_many_entities(http: httpx.Client) -> None:
    for key, status in ((FULL, 200), (RANKING, 200), (PROFILE, 403), (NOTHING, 403)):
        answer = http.post("/v1/features", json=MANY, headers=key.header)
        assert answer.status_code == status
    by_name = {"features": ["age"], "entities": {"user_id": ["u1"]}}
    for key, status in ((FULL, 200), (PROFILE, 200), (RANKING, 403)):
        answer = http.post("/v1/features", json=by_name, headers=key.header)
        assert answer.status_code == status


def test_what_is_computed_of_a_view_is_of_that_view(http: httpx.Client) -> None:
    asked = {"visitor_id": "v0042", "service": "quotes", "amount": "2", "coupon": "x"}
    assert http.get("/v1/features", params=asked, headers=FULL.header).status_code == 200
    answer = http.get("/v1/features", params=asked, headers=PROFILE.header)
    assert answer.status_code == 403


def test_names_out_of_scope_are_not_suggested(http: httpx.Client) -> None:
    asked = {**U, "features": "profile:agee"}
    answer = http.get("/v1/features", params=asked, headers=PROFILE.header)
    assert answer.status_code == 404
    assert "did you mean age?" in answer.json()["detail"]
    for asked in ({**U, "service": "rankin"}, {**U, "features": "profil:age"}):
        answer = http.get("/v1/features", params=asked, headers=TYPO.header)
        assert (answer.status_code, "did you mean" in answer.text) == (404, False)
        answer = http.get("/v1/features", params=asked, headers=FULL.header)
        assert (answer.status_code, "did you mean" in answer.text) == (404, True)
    for features in ("clickz", "activty:clicks", "activity:clickz"):
        asked = {**U, "features": features}
        answer = http.get("/v1/features", params=asked, headers=PROFILE.header)
        assert answer.status_code == 403
        assert "clicks" not in answer.text.replace("activty:clicks", "")


def test_join_keys_out_of_scope_are_not_listed(http: httpx.Client) -> None:
    shown = http.get("/v1/features?no=1", headers=FULL.header)
    assert (shown.status_code, "item_id" in shown.text) == (422, True)
    hidden = http.get("/v1/features?no=1", headers=PROFILE.header)
    assert (hidden.status_code, "item_id" in hidden.text) == (422, False)


def test_the_catalogue_shows_what_the_key_may_read(http: httpx.Client) -> None:
    def listed(path: str, key: Key, field: str = "name") -> set[str]:
        items = http.get(path, headers=key.header).json()[path.rpartition("/")[2]]
        return {item[field] for item in items}

    assert {"ranking", "everything", "pairs", "quotes"} <= listed("/v1/services", FULL)
    assert {"profile", "activity", "product"} <= listed("/v1/views", FULL)
    for key, services, views in (
        (RANKING, {"ranking"}, set[str]()),
        (PROFILE, set[str](), {"profile"}),
        (VISITS, {"ranking", "everything", "quotes"}, {"profile", "activity"}),
        (NOTHING, set[str](), set[str]()),
    ):
        assert listed("/v1/services", key) == services
        assert listed("/v1/versions", key, "service") == services
        assert listed("/v1/views", key) == views
        shown = http.get("/openapi.json", headers=key.header).text
        assert ('"pairs"' in shown, '"ranking"' in shown) == (False, "ranking" in services)
    assert '"pairs"' in http.get("/openapi.json", headers=FULL.header).text


def test_the_description_says_that_a_key_is_needed(http: httpx.Client) -> None:
    described = http.get("/openapi.json", headers=FULL.header).json()
    assert set(described["components"]["securitySchemes"]) == {"bearer", "api_key"}
    for path, methods in described["paths"].items():
        for operation in methods.values():
            probe = path.startswith("/health/")
            assert ("security" in operation, "401" in operation["responses"]) == (
                not probe,
                not probe,
            )
            assert ("403" in operation["responses"]) == (path == "/v1/features")


# Changes of the file.


@pytest.fixture
def changing(tmp_path: Path) -> Path:
    """A file of keys that a test changes."""
    return keys.write(tmp_path / "keys.toml", FULL, RANKING)


def status(client: httpx.Client, key: Key, target: str = ONE) -> int:
    return client.get(target, headers=key.header).status_code


@pytest.mark.parametrize("hot_routes", [True, False])
def test_rotation_and_revocation_reach_open_connections(
    any_store: RedisServer, changing: Path, hot_routes: bool
) -> None:
    with ServerProcess(
        any_store.url, api_keys_file=str(changing), hot_routes=hot_routes
    ) as process:
        limits = httpx.Limits(max_connections=1, max_keepalive_connections=1)
        with httpx.Client(base_url=process.url, limits=limits, timeout=PATIENCE) as client:
            assert [status(client, RANKING) for _ in range(3)] == [200, 200, 200]
            assert status(client, OTHER) == 401
            keys.write(changing, FULL, RANKING, OTHER)
            assert process.wait_for("API keys were read")["keys"] == 3
            assert [status(client, key) for key in (RANKING, OTHER, OTHER)] == [200, 200, 200]
            keys.write(changing, FULL, OTHER)
            process.wait_for("API keys were read")
            assert [status(client, key) for key in (RANKING, OTHER, OTHER)] == [401, 200, 200]
            # A changed scope is followed too.
            keys.write(changing, FULL, Key("other", 'services = ["everything"]'))
            process.wait_for("API keys were read")
            assert [status(client, key) for key in (OTHER, OTHER, FULL)] == [403, 403, 200]


def test_a_file_that_became_wrong_keeps_the_last_good_keys(
    any_store: RedisServer, changing: Path
) -> None:
    with ServerProcess(any_store.url, api_keys_file=str(changing)) as process:
        assert 'fscore_api_keys_valid{worker="0"} 1' in metrics(process)
        for text, cause in (("[[key]]\nname = 1\n", "key 1: name"), ("", "has no [[key]]")):
            keys.replace(changing, text)
            assert cause in process.wait_for("the last good keys stay")["cause"]
            assert 'fscore_api_keys_valid{worker="0"} 0' in metrics(process)
            assert [status(process.client, key) for key in (RANKING, OTHER)] == [200, 401]
        changing.unlink()
        assert "cannot be read" in process.wait_for("the last good keys stay")["cause"]
        assert status(process.client, RANKING) == 200
        assert process.client.get("/health/ready").status_code == 200
        keys.write(changing, FULL, OTHER)
        process.wait_for("API keys were read")
        assert 'fscore_api_keys_valid{worker="0"} 1' in metrics(process)
        assert [status(process.client, key) for key in (RANKING, OTHER)] == [401, 200]
        # The server has looked many times, but it logs each problem once.
        errors = [line for line in process.log if line["level"] == "error"]
        assert len(errors) == 3


def test_a_link_that_leads_elsewhere_is_followed(any_store: RedisServer, tmp_path: Path) -> None:
    first = keys.write(tmp_path / "first.toml", FULL)
    second = keys.write(tmp_path / "second.toml", OTHER)
    link = tmp_path / "keys.toml"
    link.symlink_to(first)
    with ServerProcess(any_store.url, api_keys_file=str(link)) as process:
        link.unlink()
        link.symlink_to(second)
        process.wait_for("API keys were read")
        assert [status(process.client, key) for key in (FULL, OTHER)] == [401, 200]


def test_every_worker_follows(any_store: RedisServer, changing: Path) -> None:
    with ServerProcess(any_store.url, workers=2, api_keys_file=str(changing)) as process:
        keys.write(changing, FULL, OTHER)
        assert await_workers(process, "API keys were read") == {0, 1}
        for _ in range(20):
            # Each request has a new connection, which the kernel gives to either worker.
            answers = [
                httpx.get(process.url + ONE, headers=key.header, timeout=PATIENCE).status_code
                for key in (RANKING, OTHER)
            ]
            assert answers == [401, 200]
        keys.replace(changing, "")
        assert await_workers(process, "the last good keys stay") == {0, 1}
        shown = metrics(process)
        assert [f'fscore_api_keys_valid{{worker="{n}"}} 0' in shown for n in (0, 1)] == [True, True]


def test_an_unforeseen_error_does_not_end_the_following(
    changing: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(authentication, "_LOOK_EVERY", 0.01)
    changes: list[ApiKeys] = []

    async def scenario() -> None:
        following = authentication.Authentication(changing, Metrics([]), changes.append)
        await following.start()
        try:
            before = len(changes)
            monkeypatch.setattr(key_file, "compiled", failing_once(key_file.compiled))
            keys.write(changing, FULL, OTHER)
            await asyncio.to_thread(until, lambda: len(changes) > before)
        finally:
            await following.stop()

    asyncio.run(scenario())
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == [
        "the file of API keys cannot be used; the last good keys stay"
    ]


def await_workers(process: ServerProcess, message: str) -> set[int]:
    return {process.wait_for(message)["worker"] for _ in range(2)}


def test_a_worker_that_starts_with_a_wrong_file_lets_nobody_in(
    any_store: RedisServer, changing: Path
) -> None:
    with ServerProcess(any_store.url, workers=2, api_keys_file=str(changing)) as process:
        keys.replace(changing, "")
        await_workers(process, "the last good keys stay")
        os.kill(worker_processes(process)[0], signal.SIGKILL)
        ended = process.wait_for("a worker process ended")["worker"]
        assert process.wait_for("nobody can read")["worker"] == ended
        keys.write(changing, FULL)
        await_workers(process, "API keys were read")
        assert [status(process.client, key) for key in (FULL, RANKING)] == [200, 401]


def worker_processes(process: ServerProcess) -> list[int]:
    pid = process.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# The log.


def test_logs_name_the_key_and_never_have_it(any_store: RedisServer, changing: Path) -> None:
    keys.write(changing, *KEYS)
    with ServerProcess(any_store.url, api_keys_file=str(changing), access_log=True) as process:
        for key in (*KEYS, UNKNOWN):
            for headers in (key.header, {"X-API-Key": key.secret}):
                for number in range(3):
                    process.client.get(
                        ONE, headers={**headers, "X-Request-ID": f"{key.name}{number}"}
                    )
                process.client.post("/v1/features", json=MANY, headers=headers)
        process.client.get(f"/v1/features?user_id=u1&features={FULL.name}", headers=FULL.header)
        for wrong in (
            f'[[key]]\nkey = "{FULL.secret}"\nsha256 = "{OTHER.secret}"\nname = "{FULL.secret}"\n',
            f"[[key]]\n{FULL.secret} = 1\n",
            f"{FULL.secret} = 1\n",
        ):
            keys.replace(changing, wrong)
            process.wait_for("the last good keys stay")
        shown = metrics(process)
    lines = [line for line in process.log if line["message"] == "request"]
    named = {line["request_id"]: line.get("key") for line in lines}
    assert (named["full2"], named["ranking2"], named["profile2"]) == ("full", "ranking", "profile")
    assert (named["expired0"], named["unknown0"]) == ("expired", None)
    everything = "".join(process.raw_log) + shown
    for key in (*KEYS, UNKNOWN, OTHER):
        assert key.secret not in everything
        assert key.secret[4:20] not in everything


# The start.


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", r"it has no \[\[key\]\]"),
        ("[[key]\n", "is not valid TOML"),
        ("\udcff", "is not in UTF-8"),
        ('name = "x"\n' + FULL.entry, "unknown field 'name'"),
        ("[key]\n", r"must be written as \[\[key\]\]"),
        (FULL.entry + "role = 1\n", r"key 1 \(full\): unknown field 'role'"),
        (FULL.entry + OTHER.entry + 'sha256x = "a"\n', r"key 2 \(other\): unknown field"),
        ('[[key]]\nname = "x"\nsha256 = "abc"\n', r"key 1 \(x\): sha256 must be the 64"),
        (Key("x", "expires = 2030-01-01").entry, "expires must be a date and a time with a zone"),
        (Key("x", "expires = 2030-01-01T00:00:00").entry, "with a zone"),
        (Key("x", 'services = "ranking"').entry, "services must be a list of names"),
        (Key("x", "views = [1]").entry, "views must be a list of names"),
        (Key("a b").entry, "name must be"),
        (Key("fsk_a").entry, "key 1: name must be"),
        (Key("x", f"views = {'1' * 5000}").entry, "is not valid TOML"),
        (FULL.entry + FULL.entry, "key 2 is key 1 again"),
    ],
)
def test_a_wrong_file_is_an_error_at_the_start(tmp_path: Path, text: str, part: str) -> None:
    file = tmp_path / "keys.toml"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ConfigError, match=part) as caught:
        run(load_settings(api_keys_file=file))
    assert str(file) in str(caught.value)


def test_a_file_that_is_not_there_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: No such file.*fscore key create"):
        run(load_settings(api_keys_file=tmp_path / "none.toml"))


def test_a_file_that_all_may_read_is_warned_of(any_store: RedisServer, changing: Path) -> None:
    changing.chmod(0o644)
    with ServerProcess(any_store.url, api_keys_file=str(changing)) as process:
        assert any("everybody on this machine" in line["message"] for line in process.log)
        assert status(process.client, FULL) == 200


def test_with_keys_it_listens_beyond_loopback(any_store: RedisServer, changing: Path) -> None:
    settings = {"host": "0.0.0.0", "api_keys_file": str(changing)}
    with ServerProcess(any_store.url, **settings) as process:
        url = f"http://127.0.0.1:{process.port}{ONE}"
        assert httpx.get(url, timeout=PATIENCE).status_code == 401
        assert httpx.get(url, headers=FULL.header, timeout=PATIENCE).status_code == 200


def test_keys_hold_although_it_may_listen_without(any_store: RedisServer, changing: Path) -> None:
    with ServerProcess(
        any_store.url, api_keys_file=str(changing), insecure_no_auth=True
    ) as process:
        assert process.client.get(ONE).status_code == 401
