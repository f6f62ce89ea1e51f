"""The four lines of the guide, and the demo, on the real clickstream."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

import fscore as library
import fscore.aio
from fscore_server.process import embedded
from tests.client.driver import PATIENCE, until
from tests.client.proxy import FaultProxy
from tests.example import CHECKOUT, CLICKSTREAM, EXAMPLE
from tests.redis_server import RedisServer
from tests.server.cli.command import Fscore
from tests.server.ingest.test_ecommerce import counted, read_events

USERS = [f"user_{number:04}" for number in range(600)]


@pytest.fixture(scope="module")
def expected() -> dict[str, dict[str, Any]]:
    """Return the independent count by user: the features of both views."""
    views = counted(read_events(CLICKSTREAM))
    return {user: views["user_profile"][user] | views["user_activity"][user] for user in USERS}


def test_the_four_lines_serve_what_an_independent_count_says(
    redis_server: RedisServer, redis_url: str, port: int, expected: dict[str, dict[str, Any]]
) -> None:
    script = f"""
        export FSCORE_REDIS_URL={redis_url}
        fscore apply examples/ecommerce
        fscore load examples/ecommerce examples/ecommerce/data/ecom.csv.gz
        exec fscore serve --port {port}
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = subprocess.Popen(
        ["bash", "-euc", script],
        cwd=CHECKOUT,
        env={**os.environ, "PATH": path, "FSCORE_REQUEST_TIMEOUT_MS": "10000"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        with httpx.Client(base_url=f"http://localhost:{port}", timeout=PATIENCE) as http:
            until(lambda: is_ready(http))
            check_answers(http, expected)
    finally:
        shell.send_signal(signal.SIGTERM)
        shell.communicate(timeout=PATIENCE)
    assert shell.returncode == 0
    assert not list((EXAMPLE / "data").glob("*.rejects.*"))
    with library.connect(redis_url) as client:
        for user in USERS:
            stored = client.execute("HGETALL", f"user:{{{user}}}:v1")
            assert pairs(stored) == as_text(expected[user])
        prepared = client.prepare("recommendation")
        wanted = [{name: expected[user][name] for name in prepared.features} for user in USERS]
        assert prepared.get({"user_id": USERS}).to_dicts() == wanted
    assert asyncio.run(read_all(redis_url)) == wanted


async def read_all(redis_url: str) -> list[dict[str, Any]]:
    async with fscore.aio.connect(redis_url) as client:
        prepared = await client.prepare("recommendation")
        return (await prepared.get({"user_id": USERS})).to_dicts()


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/health/ready").status_code == 200
    except httpx.TransportError:
        return False


def check_answers(http: httpx.Client, expected: dict[str, dict[str, Any]]) -> None:
    body = {"service": "recommendation", "entities": {"user_id": USERS}}
    many = http.post("/v1/features", json=body).json()
    names = many["features"]
    rows = dict(zip(USERS, many["values"], strict=True))
    for user in USERS:
        wanted = {name: expected[user][name] for name in names}
        assert dict(zip(names, rows[user], strict=True)) == wanted
        query = {"user_id": user, "service": "recommendation"}
        one = http.get("/v1/features", params=query).json()
        assert one["features"] == wanted


def pairs(reply: Any) -> dict[str, str]:
    items = (
        list(reply.items())
        if isinstance(reply, dict)
        else list(zip(reply[::2], reply[1::2], strict=True))
    )
    return {name.decode(): value.decode() for name, value in items}


def as_text(row: dict[str, Any]) -> dict[str, str]:
    fields = {
        name: str(value)
        for name, value in row.items()
        if value is not None and name not in ("user_id", "event_time")
    }
    times = dict.fromkeys(("_ts:user_profile", "_ts:user_activity"), str(row["event_time"]))
    return fields | times


def test_loading_twice_leaves_the_same_store(fscore_on: Fscore, redis_url: str) -> None:
    def store() -> dict[str, dict[str, str]]:
        with library.connect(redis_url) as client:
            keys = [f"user:{{{user}}}:v1" for user in USERS]
            return {key: pairs(client.execute("HGETALL", key)) for key in keys}

    assert fscore_on("apply", EXAMPLE).code == 0
    data = fscore_on.folder / "ecom.csv.gz"
    shutil.copy(CLICKSTREAM, data)
    assert fscore_on("load", EXAMPLE, data).code == 0
    once = store()
    summary = json.loads(fscore_on("load", EXAMPLE, data, "--json").out)
    assert (summary["rows"], summary["rejected"]) == (31_106, 0)
    assert store() == once
    assert list(fscore_on.folder.iterdir()) == [data]


def test_the_demo_shows_everything_and_ends_with_0(
    fscore: Fscore, port: int, expected: dict[str, dict[str, Any]]
) -> None:
    done = fscore("demo", EXAMPLE, DEMO_PORT=str(port), DEMO_SECONDS="0.1")
    assert done.code == 0, done
    # The test's paths are longer than a checkout's, and commands to copy are not wrapped.
    whole = re.compile("curl|-d |/tmp|demo-server.log|ecom.csv.gz")
    assert all(len(line) <= 100 or whole.search(line) for line in done.out.splitlines())
    assert "31,106 rows, 0 rejected" in done.out
    assert len(re.findall(r"^curl ", done.out, re.MULTILINE)) == 5
    assert f'"last_event_time": {expected["user_0000"]["last_event_time"]}' in done.out
    assert "NOT_FOUND" in done.out
    # As of the end of the data, some user has windows that are not empty.
    assert '["desktop", 2, 2, 2, 1180000, true, ' in done.out
    assert '"as_of": 1719698560000' in done.out
    for name in (
        "GET 1 user, recommendation",
        "POST 10 users, recommendation",
        "POST 10 users, live_recommendation",
    ):
        assert re.search(rf"{name} +[\d,]+( +[\d.]+ ms){{3}}", done.out)
    assert embedded.find(fscore.folder / "data") is None
    # A second run, on the data that the first one left.
    again = fscore("demo", EXAMPLE, DEMO_PORT=str(port), DEMO_SECONDS="0")
    assert again.code == 0
    assert "revision 1" in again.out


@pytest.mark.parametrize("redis_server", ["valkey"], indirect=True)
def test_a_slow_answer_does_not_end_the_demo(
    fscore: Fscore, redis_server: RedisServer, redis_url: str, port: int
) -> None:
    with FaultProxy(redis_server.port) as between:
        variables = {"DEMO_PORT": str(port), "FSCORE_REDIS_URL": between.url}
        demo = fscore.start("demo", EXAMPLE, DEMO_SECONDS="0", **variables)
        try:
            assert demo.stdout is not None
            told = list(itertools.takewhile(lambda line: "Latency" not in line, demo.stdout))
            between.hold()
            between.wait_for_request(between.requests)
            # Twice the most time that a server takes for a request.
            time.sleep(0.1)
            between.release()
            rest, errors = demo.communicate(timeout=PATIENCE)
        finally:
            demo.kill()
            demo.communicate()
    assert demo.returncode == 0, (told, rest, errors)


def test_a_busy_port_is_one_line_before_anything_is_started(fscore: Fscore) -> None:
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = fscore("demo", EXAMPLE, DEMO_PORT=str(port))
    assert done.code == 1
    assert done.err == (
        f"error: port {port} cannot be used: Address already in use; end what listens there,"
        f" or choose another with DEMO_PORT={port + 1} make demo\n"
    )
    assert not (fscore.folder / "data").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_demo(fscore: Fscore, port: int, number: signal.Signals) -> None:
    demo = fscore.start("demo", EXAMPLE, DEMO_PORT=str(port))
    try:
        assert demo.stdout is not None
        lines = list(itertools.takewhile(lambda line: "serving at" not in line, demo.stdout))
        assert demo.poll() is None, lines
        running = embedded.find(fscore.folder / "data")
        assert running is not None
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:
            assert http.get("/health/live").status_code == 200
        demo.send_signal(number)
        demo.communicate(timeout=PATIENCE)
        assert demo.returncode == (-9 if number is signal.SIGKILL else 0)
        until(lambda: embedded.find(fscore.folder / "data") is None)
        until(lambda: not answers(port))
    finally:
        demo.kill()
        demo.communicate()


def answers(port: int) -> bool:
    try:
        httpx.get(f"http://127.0.0.1:{port}/health/live", timeout=PATIENCE)
    except httpx.TransportError:
        return False
    return True


def test_serve_without_a_url_serves_from_the_embedded_server(fscore: Fscore, port: int) -> None:
    (fscore.folder / "defs.py").write_text(
        "from fscore import *\n"
        "user = Entity('user', join_keys={'user_id': String})\n"
        "class Profile(FeatureView, entity=user):\n    age: Int64\n"
    )
    server = fscore.start("serve", "--port", port, "--request-timeout-ms", 10_000)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE) as http:
            until(lambda: answers(port))
            # Another command uses the Valkey that the server has started.
            applied = fscore("apply", "defs.py")
            assert applied.code == 0
            assert "embedded Valkey found (run by `fscore serve`)" in applied.err
            until(lambda: is_ready(http))
            reply = http.get("/v1/features", params={"user_id": "x", "features": "age"})
            assert reply.status_code == 200, reply.text
            assert reply.json()["statuses"] == {"age": "NOT_FOUND"}
        server.send_signal(signal.SIGTERM)
        _, log = server.communicate(timeout=PATIENCE)
        assert server.returncode == 0
        assert log.startswith("embedded Valkey started: data in data/valkey (AOF every second)")
        assert embedded.find(fscore.folder / "data") is None
    finally:
        server.kill()
        server.communicate()
