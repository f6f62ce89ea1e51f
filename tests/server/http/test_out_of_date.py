"""A worker that was suspended, as on a paused machine, first looks at the definitions again.

Meanwhile the rows that it had learned to read were moved or removed. When it resumes, it finds the
waiting requests in the same turn of the loop as all timers that have become due.
"""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from typing import Any

import pytest

import fscore
from tests.client.driver import until
from tests.client.proxy import FaultProxy
from tests.redis_server import RedisServer
from tests.server.http.test_hot_routes import Conversation, get, hot_requests
from tests.server.server_process import ServerProcess

POLL = 0.2
BOUND = 2 * POLL
"""Seconds after which a look at the definitions is out of date."""

ITEM = "/v1/features?item_id=7&features=price"
USER = "/v1/features?user_id=u1&service=ranking"


@pytest.fixture(params=["push", "poll"])
def worker(own_store: RedisServer, request: pytest.FixtureRequest) -> ServerProcess:
    """A server that looks every fifth of a second, with a subscription to promotions or without."""
    return ServerProcess(own_store.url, registry_poll=POLL, follow_versions=request.param)


def answer(talk: Conversation, target: str) -> Any:
    talk.send(get(target))
    return content(talk.answer())


def content(stream: bytes) -> Any:
    assert stream.startswith(b"HTTP/1.1 200 ")
    return json.loads(stream.partition(b"\r\n\r\n")[2])


def answers_after(process: ServerProcess, target: str, change: Callable[[], object]) -> list[Any]:
    """Teach a worker the target, suspend it, make the change, and resume it; return its answers.

    They are the answers to eight callers that asked meanwhile, and to a second request of each.
    """
    talks = [Conversation(process.port) for _ in range(8)]
    try:
        for talk in talks:
            answer(talk, target)
        until(lambda: is_hot(process, talks[0], target))
        process.pause()
        try:
            stopped = time.monotonic()
            change()
            until(lambda: time.monotonic() - stopped > BOUND)
            for talk in talks:
                talk.connection.sendall(get(target))
        finally:
            process.signal(signal.SIGCONT)
        answers = []
        for talk in talks:
            answers.append(content(talk.answer()))
            talk.connection.sendall(get(target))
            answers.append(content(talk.answer()))
        until(lambda: is_hot(process, talks[0], target))
        return answers
    finally:
        for talk in talks:
            talk.close()


def is_hot(process: ServerProcess, talk: Conversation, target: str) -> bool:
    """Return whether a hot route answers the target now."""
    before = hot_requests(process)
    answer(talk, target)
    return hot_requests(process) == before + 1


def test_rows_that_were_migrated_meanwhile_are_found(
    own_store: RedisServer, worker: ServerProcess
) -> None:
    with worker, fscore.connect(own_store.url) as client:
        found = answers_after(worker, ITEM, lambda: client.migrate("product", "packed", settle=0))
        assert [one["features"] for one in found] == [{"price": 9.5}] * 16


def test_a_version_that_was_retired_meanwhile_is_not_read(
    own_store: RedisServer, worker: ServerProcess
) -> None:
    with worker, fscore.connect(own_store.url, registry_poll=0.01) as client:

        def promote_and_retire() -> None:
            services = ("ranking", "everything", "pairs")
            created = {service: client.versions.create(service) for service in services}
            row = {"user_id": "u1", "age": 92, "country": "US", "score": 0.5, "active": True}
            client.write("profile", [row], version=created["ranking"])
            # All services that read the same rows, because a version in use cannot be retired.
            for service, version in created.items():
                client.versions.promote(service, version)
            client.versions.retire("ranking", 1, force=True)

        found = answers_after(worker, USER, promote_and_retire)
        assert {one["version"] for one in found} == {2}
        assert {one["features"]["age"] for one in found} == {92}


def test_a_reply_that_comes_too_late_is_asked_for_again(own_store: RedisServer) -> None:
    """The process may have been suspended before or after the read was sent."""
    with (
        FaultProxy(own_store.port) as proxy,
        ServerProcess(proxy.url, registry_poll=POLL, follow_versions="poll") as process,
        fscore.connect(own_store.url) as client,
    ):
        talk = Conversation(process.port)
        assert answer(talk, ITEM)["features"] == {"price": 9.5}
        until(lambda: is_hot(process, talk, ITEM))
        proxy.hold()
        talk.send(get(ITEM))
        asked = time.monotonic()
        client.write("product", [{"item_id": 7, "price": 10.5, "title": "Kettle"}])
        until(lambda: time.monotonic() - asked > BOUND)
        proxy.release()
        assert content(talk.answer())["features"] == {"price": 10.5}
        talk.close()
