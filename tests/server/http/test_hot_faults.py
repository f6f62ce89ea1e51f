"""Faults while a hot route has a request under way."""

from __future__ import annotations

import contextlib
import json
import select
import signal
import socket
import types
from collections.abc import Iterator
from typing import Any

import pytest

import fscore
from fscore import Entity, FeatureService, FeatureView, Int64, String
from tests.client.driver import PATIENCE, until
from tests.client.proxy import FaultProxy
from tests.redis_server import RedisServer
from tests.server.both import comparable_stream
from tests.server.http.test_hot_routes import (
    ONE,
    Conversation,
    get,
    hot_requests,
    post,
    received,
)
from tests.server.server_process import ServerProcess
from tests.server.store import REGISTRY
from tests.shop import Profile

# With these settings only reads of requests go through the proxy, so it counts those alone.
QUIET = {"registry_poll": 3600, "follow_versions": "poll"}


@pytest.fixture
def proxy(any_store: RedisServer) -> Iterator[FaultProxy]:
    """A proxy between a server and its store."""
    with FaultProxy(any_store.port) as between:
        yield between


@contextlib.contextmanager
def learned(url: str, **settings: Any) -> Iterator[tuple[ServerProcess, Conversation]]:
    """Start a server that answers ONE by its hot routes, and open a connection to it."""
    with ServerProcess(url, **{**QUIET, **settings}) as process:
        talk = Conversation(process.port)
        try:
            for _ in range(2):
                talk.send(get())
                assert b'"age":29' in talk.answer()
            assert hot_requests(process) == process.settings.get("hot_routes", True)
            yield process, talk
        finally:
            talk.close()


PLAIN = get()


def begin(talk: Conversation, proxy: FaultProxy, request: bytes = PLAIN) -> None:
    """Send a request, and return when it waits for Redis."""
    before = proxy.requests
    talk.send(request)
    proxy.wait_for_request(before)


def test_equal_requests_of_one_turn_are_one_read(proxy: FaultProxy) -> None:
    with learned(proxy.url) as (process, _), contextlib.ExitStack() as opened:
        talks = [Conversation(process.port) for _ in range(8)]
        for talk in talks:
            opened.callback(talk.close)
            talk.send(get())
            talk.answer()
        before, requests, passed = hot_requests(process), proxy.requests, proxy.passed
        # A suspended process finds all requests that came meanwhile in one turn when it resumes.
        process.pause()
        for number, talk in enumerate(talks):
            talk.connection.sendall(get(ONE, f"X-Request-ID: number-{number}"))
        process.signal(signal.SIGCONT)
        answers = [talk.answer() for talk in talks]
        for number, answer in enumerate(answers):
            assert f"x-request-id: number-{number}\r\n".encode() in answer
            assert b'"age":29' in answer
            assert comparable_stream(answer) == comparable_stream(answers[0]).replace(
                b"number-0", f"number-{number}".encode()
            )
        assert hot_requests(process) == before + len(talks)
        assert proxy.requests == requests + 1
        together = proxy.passed - passed
        talks[0].send(get())
        talks[0].answer()
        assert together == proxy.passed - passed - together


@pytest.mark.parametrize("hot_routes", [True, False], ids=["hot", "application"])
class TestBothPaths:
    """Faults that are handled alike with hot routes and without."""

    def test_what_is_sent_behind_a_request_waits_for_its_answer(
        self, proxy: FaultProxy, hot_routes: bool
    ) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (_, talk):
            proxy.hold()
            begin(talk, proxy, get(ONE, "X-Request-ID: first"))
            for request in (
                get("/health/live", "X-Request-ID: second"),
                get(ONE, "X-Request-ID: third"),
                get("/v1/features?user_id=%zz", "X-Request-ID: fourth"),
                get(ONE, "X-Request-ID: fifth")[:20],
            ):
                talk.send(request)
            proxy.release()
            talk.send(get(ONE, "X-Request-ID: fifth")[20:])
            for name, status in (
                (b"first", b"200"),
                (b"second", b"200"),
                (b"third", b"200"),
                (b"fourth", b"400"),
                (b"fifth", b"200"),
            ):
                answer = talk.answer()
                assert answer.startswith(b"HTTP/1.1 " + status)
                assert b"x-request-id: " + name + b"\r\n" in answer

    def test_a_deadline_that_passes_is_504(self, proxy: FaultProxy, hot_routes: bool) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (process, talk):
            proxy.hold()
            begin(talk, proxy, get(ONE, "X-Request-ID: late", "X-Request-Timeout-Ms: 200"))
            answer = talk.answer()
            assert answer.startswith(b"HTTP/1.1 504 ")
            assert b'"/docs#deadline_exceeded"' in answer
            assert b'"request_id":"late"' in answer
            line = process.wait_for("deadline passed")
            assert (line["request_id"], line["status"]) == ("late", 504)
            proxy.release()
            # The connection to Redis and this one are still in order.
            talk.send(get())
            assert b'"age":29' in talk.answer()
            assert process.metric("fscore_http_requests_total", status="504") == 1
            assert process.metric("fscore_http_requests_in_flight") == 1

    def test_a_read_whose_connection_ends_is_done_again(
        self, proxy: FaultProxy, hot_routes: bool
    ) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (process, talk):
            proxy.hold()
            begin(talk, proxy, get(ONE, "X-Request-ID: twice"))
            talk.send(get("/health/live", "X-Request-ID: behind"))
            proxy.release()
            proxy.cut()
            answer = talk.answer()
            assert b'"age":29' in answer
            assert b"x-request-id: twice\r\n" in answer
            assert b"x-request-id: behind\r\n" in talk.answer()
            # Two answers for the set-up, and this one.
            assert process.metric("fscore_http_requests_total", route="/v1/features") == 3
            assert process.metric("fscore_http_requests_in_flight") == 1

    def test_a_read_is_tried_three_times(self, proxy: FaultProxy, hot_routes: bool) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (_, talk):
            connections, before = proxy.connections, proxy.requests
            proxy.hold()
            talk.send(get())
            for attempt in range(3):
                proxy.wait_for_request(before)
                before = proxy.requests
                proxy.cut()
                if attempt < 2:
                    proxy.wait_for_connection(connections)
                    connections = proxy.connections
            answer = talk.answer()
            assert answer.startswith(b"HTTP/1.1 503 ")
            assert b'"/docs#unavailable"' in answer
            proxy.release()

    def test_bytes_that_are_not_a_reply_are_a_fault_of_the_store(
        self, proxy: FaultProxy, hot_routes: bool
    ) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (_, talk):
            proxy.inject(b"?!\r\n")
            talk.send(get())
            answer = talk.answer()
            assert answer.startswith(b"HTTP/1.1 502 ")
            assert b'"/docs#protocol_error"' in answer
            talk.send(get())
            assert b'"age":29' in talk.answer()

    def test_a_caller_that_leaves_is_forgotten(self, proxy: FaultProxy, hot_routes: bool) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (process, talk):
            proxy.hold()
            begin(talk, proxy)
            other = Conversation(process.port)
            begin(other, proxy)
            talk.close()
            proxy.release()
            assert b'"age":29' in other.answer()
            other.close()
            assert process.metric("fscore_http_requests_in_flight") == 1
            assert not [line for line in process.log if line["level"] == "error"]

    def test_a_caller_that_leaves_before_another_attempt_is_forgotten(
        self, proxy: FaultProxy, hot_routes: bool
    ) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (process, talk):
            proxy.hold()
            begin(talk, proxy)
            talk.close()
            proxy.cut()
            proxy.release()
            until(lambda: process.metric("fscore_http_requests_in_flight") == 1)
            assert process.client.get(ONE).status_code == 200
            assert not [line for line in process.log if line["level"] == "error"]

    def test_ending_waits_for_what_is_begun(self, proxy: FaultProxy, hot_routes: bool) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (process, talk):
            idle = Conversation(process.port)
            proxy.hold()
            begin(talk, proxy)
            process.signal(signal.SIGTERM)
            # It closes idle connections before it waits for the others.
            with contextlib.suppress(ConnectionResetError):
                assert idle.connection.recv(1) == b""
            idle.close()
            proxy.release()
            answer = talk.answer()
            assert b'"age":29' in answer
            assert answer.count(b"connection: close\r\n") == 1
            assert talk.connection.recv(1) == b""
            assert process.wait() == 0

    def test_over_the_limit_requests_are_429(self, proxy: FaultProxy, hot_routes: bool) -> None:
        with learned(proxy.url, hot_routes=hot_routes, max_requests=2) as (process, talk):
            proxy.hold()
            begin(talk, proxy)
            second, third = (Conversation(process.port) for _ in range(2))
            begin(second, proxy)
            third.connection.sendall(get())
            answer = third.answer()
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"retry-after: 1\r\n" in answer
            proxy.release()
            for waiting in (talk, second):
                assert b'"age":29' in waiting.answer()
            third.connection.sendall(get())
            assert b'"age":29' in third.answer()
            second.close()
            third.close()

    def test_an_idle_connection_is_closed_after_its_time(
        self, proxy: FaultProxy, hot_routes: bool
    ) -> None:
        with learned(proxy.url, hot_routes=hot_routes, keep_alive=1) as (_, talk):
            assert talk.connection.recv(1) == b""

    def test_a_request_that_waits_is_not_idle(self, proxy: FaultProxy, hot_routes: bool) -> None:
        settings = {"keep_alive": 1, "request_timeout_ms": 2500}
        with learned(proxy.url, hot_routes=hot_routes, **settings) as (_, talk):
            proxy.hold()
            begin(talk, proxy)
            assert talk.answer().startswith(b"HTTP/1.1 504 ")
            proxy.release()

    def test_a_caller_that_does_not_read_is_left(self, proxy: FaultProxy, hot_routes: bool) -> None:
        ids = ["nobody"] * 6000
        many = post({"service": "everything", "entities": {"user_id": ids}})
        settings = {"write_stall_timeout": 0.3, "hot_routes": hot_routes}
        with learned(proxy.url, **settings) as (process, _), socket.socket() as connection:
            received(process.port, [many, get("/health/live", "Connection: close")])
            # A small receive buffer, so that unread bytes stay with the server.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.settimeout(PATIENCE)
            connection.connect(("127.0.0.1", process.port))
            watch = select.poll()
            watch.register(connection, 0)
            connection.setblocking(False)
            for _ in range(1000):
                with contextlib.suppress(BlockingIOError, ConnectionResetError, BrokenPipeError):
                    connection.sendall(many)
                if watch.poll(20):
                    break
            assert watch.poll(0)

    def test_each_answered_request_has_an_access_line(
        self, proxy: FaultProxy, hot_routes: bool
    ) -> None:
        with learned(proxy.url, hot_routes=hot_routes, access_log=True) as (process, talk):
            talk.send(get(ONE, "X-Request-ID: find-me"))
            talk.answer()
            line = process.wait_for("request")
            while line["request_id"] != "find-me":
                line = process.wait_for("request")
            assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/features", 200)
            assert line["ms"] > 0
            assert "u1" not in json.dumps(line)

    def test_invalid_values_are_logged(self, proxy: FaultProxy, hot_routes: bool) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (process, talk):
            target = "/v1/features?user_id=invalid&service=ranking"
            talk.send(get(target, "X-Request-ID: find-me"))
            assert b'"statuses"' in talk.answer()
            line = process.wait_for("stored value")
            assert (line["feature"], line["request_id"]) == ("age", "find-me")
            assert line["values"] == 2
            assert process.metric("fscore_feature_values_total", status="INVALID") == 2


def test_a_caller_that_reads_late_gets_all_answers_in_order(proxy: FaultProxy) -> None:
    """The part of an answer that the socket does not accept is sent before the next answer."""
    request = [post({"service": "ranking", "entities": {"user_id": [f"{name}"] * 500}})
               for name in ("u1", "u2", "nobody")]  # fmt: skip
    last = get("/health/live", "Connection: close")
    with learned(proxy.url) as (process, _), socket.socket() as late:
        each = [comparable_stream(received(process.port, [one, last])) for one in request]
        end = comparable_stream(received(process.port, [last]))
        # A small receive buffer, so that unread bytes stay with the server.
        late.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        late.settimeout(PATIENCE)
        late.connect(("127.0.0.1", process.port))
        wanted = b""
        for turn in range(1000):
            hot, before = hot_requests(process), proxy.requests
            late.sendall(request[turn % 3])
            wanted += each[turn % 3].removesuffix(end)
            proxy.wait_for_request(before)

            def settled(hot: float = hot) -> bool:
                # One request in flight is the scrape itself; another one waits in the application.
                return hot_requests(process) > hot or in_flight(process) > 1

            until(settled)
            if hot_requests(process) == hot:
                break
        assert turn > 3
        late.sendall(last)
        found = b""
        while data := late.recv(8192):
            found += data
        assert comparable_stream(found) == wanted + end


def in_flight(process: ServerProcess) -> float:
    return process.metric("fscore_http_requests_in_flight")


def test_new_definitions_are_answered_at_once(own_store: RedisServer) -> None:
    settings = {"registry_poll": 0.3, "follow_versions": "poll"}
    with learned(own_store.url, **settings) as (process, talk):
        fresh = FeatureService("ranking", features=[Profile.country])
        with fscore.connect(own_store.url) as client:
            client.apply(fscore.Registry.from_definitions([fresh]), allow_unsafe=True)

        def features() -> Any:
            talk.send(get())
            return json.loads(talk.answer().partition(b"\r\n\r\n")[2])["features"]

        until(lambda: features() == {"country": "US"})

        def is_hot() -> bool:
            before = hot_requests(process)
            assert features() == {"country": "US"}
            return hot_requests(process) == before + 1

        # A machine that was busy since the last look has the application look again first.
        until(is_hot)


def test_a_version_that_is_switched_to_is_answered_at_once(own_store: RedisServer) -> None:
    with learned(own_store.url, registry_poll=3600, follow_versions="push") as (process, talk):
        with fscore.connect(own_store.url) as client:
            client.versions.create("ranking")
            client.write("profile", [{"user_id": "u1", "age": 92}], version=2)
            client.versions.promote("ranking", 2)

        def answer() -> Any:
            talk.send(get())
            return json.loads(talk.answer().partition(b"\r\n\r\n")[2])

        until(lambda: answer()["version"] == 2)
        before = hot_requests(process)
        assert answer()["features"]["age"] == 92
        assert hot_requests(process) == before + 1


def test_rows_of_a_newer_schema_are_read_again_by_it(own_store: RedisServer) -> None:
    reader = Entity("reader", join_keys={"reader_id": String})

    def definitions(features: dict[str, Any]) -> fscore.Registry:
        def body(namespace: dict[str, Any]) -> None:
            namespace["__annotations__"] = features

        options = {"entity": reader, "layout": "packed"}
        view: Any = types.new_class("Shelf", (FeatureView,), options, body)
        extra = fscore.Registry.from_definitions([view])
        return fscore.Registry(
            {**REGISTRY.entities, **extra.entities},
            {**REGISTRY.views, **extra.views},
            REGISTRY.services,
        )

    with fscore.connect(own_store.url) as client:
        client.apply(definitions({"books": Int64}))
        client.write("shelf", [{"reader_id": "a", "books": 3}])
        target = "/v1/features?reader_id=a&features=books"
        with learned(own_store.url) as (process, talk):
            for _ in range(2):
                talk.send(get(target))
                assert b'"books":3}' in talk.answer()
            client.apply(definitions({"books": Int64, "lent": Int64}))
            client.write("shelf", [{"reader_id": "a", "books": 4, "lent": 1}])
            talk.send(get(target))
            answer = talk.answer()
            assert b'"books":4}' in answer and b"statuses" not in answer
            before = hot_requests(process)
            talk.send(get(target))
            assert comparable_stream(talk.answer()) == comparable_stream(answer)
            assert hot_requests(process) == before + 1
