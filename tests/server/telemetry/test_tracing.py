"""Tracing: trace ids in log lines, and spans at a collector, with hot routes and without."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.client.driver import PATIENCE
from tests.client.proxy import FaultProxy
from tests.redis_server import RedisServer
from tests.server.collector import Collector, Hanging, environment
from tests.server.http.test_hot_faults import QUIET, begin, learned
from tests.server.http.test_hot_routes import ONE, get, hot_requests, post
from tests.server.server_process import ServerProcess

ID = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
SAMPLED = f"traceparent: 00-{ID}-{PARENT}-01"
UNSAMPLED = f"traceparent: 00-{ID}-{PARENT}-00"
MALFORMED = [
    f"traceparent: 00-{ID.upper()}-{PARENT}-01",
    f"traceparent: 00-{'0' * 32}-{PARENT}-01",
    f"traceparent: 00-{ID}-{'0' * 16}-01",
    f"traceparent: ff-{ID}-{PARENT}-01",
    f"traceparent: 00-{ID}-{PARENT}-01-more",
    f"traceparent: 00-{ID}-{PARENT}",
    f"{SAMPLED}\r\n{SAMPLED}",
]
LATER = f"traceparent: cc-{ID}-{PARENT}-01-more"

SERVER, ERROR, UNSET = 2, 2, 0

BOTH = pytest.mark.parametrize("hot_routes", [True, False], ids=["hot", "application"])


def access_line(process: ServerProcess, request_id: str) -> dict[str, Any]:
    while True:
        line = process.wait_for("request")
        if line.get("request_id") == request_id:
            return line


def recording(
    store: RedisServer, collector: Collector | Hanging, **settings: Any
) -> contextlib.AbstractContextManager[ServerProcess]:
    return ServerProcess(
        store.url, tracing="otlp", environment=collector.environment, **{**QUIET, **settings}
    )


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as listening:
        yield listening


@BOTH
class TestLines:
    """Log lines have the trace id, whether spans are recorded or not."""

    def test_access_lines_have_the_trace(self, any_store: RedisServer, hot_routes: bool) -> None:
        with learned(any_store.url, hot_routes=hot_routes, access_log=True) as (process, talk):
            expected: list[tuple[str, str | None]]
            expected = [(header, ID) for header in (SAMPLED, UNSAMPLED, LATER)]
            expected += [(header, None) for header in (*MALFORMED, "tracestate: a=1")]
            for number, (header, trace_id) in enumerate(expected):
                talk.send(get(ONE, f"X-Request-ID: n{number}", header))
                assert b'"age":29' in talk.answer()
                assert access_line(process, f"n{number}").get("trace_id") == trace_id, header
            # A malformed header does not keep a request from the hot routes; a repeated one does.
            most = 1 + len(expected) - 1
            assert hot_requests(process) == (most if hot_routes else 0)

    def test_lines_about_values_have_the_trace(
        self, any_store: RedisServer, hot_routes: bool
    ) -> None:
        with learned(any_store.url, hot_routes=hot_routes) as (process, talk):
            talk.send(get("/v1/features?user_id=invalid&service=ranking", UNSAMPLED))
            assert b'"statuses"' in talk.answer()
            assert process.wait_for("stored value")["trace_id"] == ID

    def test_error_lines_have_the_trace_and_documents_do_not(
        self, proxy: FaultProxy, hot_routes: bool
    ) -> None:
        with learned(proxy.url, hot_routes=hot_routes) as (process, talk):
            proxy.hold()
            talk.send(get(ONE, UNSAMPLED, "X-Request-Timeout-Ms: 200"))
            answer = talk.answer()
            assert answer.startswith(b"HTTP/1.1 504")
            assert ID.encode() not in answer
            assert process.wait_for("deadline passed")["trace_id"] == ID


@pytest.fixture
def proxy(any_store: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(any_store.port) as between:
        yield between


@BOTH
class TestSpans:
    """The spans that a collector receives."""

    def test_a_sampled_request_has_a_span(
        self, any_store: RedisServer, collector: Collector, hot_routes: bool
    ) -> None:
        settings: dict[str, Any] = {
            "hot_routes": hot_routes,
            "tracing": "otlp",
            "environment": {
                **collector.environment,
                "OTEL_SERVICE_NAME": "features",
                "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
                "OTEL_EXPORTER_OTLP_HEADERS": "x-tenant=blue",
            },
        }
        with learned(any_store.url, **settings) as (process, talk):
            before = time.monotonic()
            talk.send(get(ONE, SAMPLED, "tracestate: a=1,b=2", "X-Request-ID: find-me"))
            talk.answer()
            took = time.monotonic() - before
            (span,) = collector.wait_for(1)
            assert (span.name, span.kind, span.status) == ("GET /v1/features", SERVER, UNSET)
            assert (span.trace_id, span.parent_id, span.trace_state) == (ID, PARENT, "a=1,b=2")
            assert 0 < span.seconds <= took
            assert span.attributes == {
                "http.request.method": "GET",
                "http.route": "/v1/features",
                "http.response.status_code": 200,
                "url.scheme": "http",
                "server.address": "127.0.0.1",
                "fscore.definitions.service": "ranking",
                "fscore.rows": 1,
                "fscore.request_id": "find-me",
            }
            assert span.resource["service.name"] == "features"
            assert span.resource["deployment.environment.name"] == "test"
            assert span.resource["service.version"]
            assert collector.headers[0]["x-tenant"] == "blue"
            many = post(
                {"service": "ranking", "entities": {"user_id": ["u1", "null", "u1"]}}, SAMPLED
            )
            for number in range(2):
                talk.send(many)
                talk.answer()
                span = collector.wait_for(2 + number)[-1]
                assert span.name == "POST /v1/features"
                assert (span.attributes["fscore.rows"], span.trace_state) == (3, "")
            assert hot_requests(process) == (4 if hot_routes else 0)
            for count, states, passed_on in [
                (4, ["tracestate: a=1", "tracestate: b=2"], "a=1,b=2"),
                (5, ["tracestate: of no form"], ""),
            ]:
                talk.send(get(ONE, SAMPLED, *states))
                talk.answer()
                assert collector.wait_for(count)[-1].trace_state == passed_on
            talk.send(get(ONE, LATER.replace("-01-", "-03-"), "X-Request-ID: later"))
            talk.answer()
            assert collector.wait_for(6)[-1].parent_id == PARENT

    def test_what_is_not_sampled_has_none(
        self, any_store: RedisServer, collector: Collector, hot_routes: bool
    ) -> None:
        settings: dict[str, Any] = {"hot_routes": hot_routes, "tracing": "otlp"}
        with learned(any_store.url, environment=collector.environment, **settings) as (_, talk):
            for header in (UNSAMPLED, *MALFORMED, "X-None: 1"):
                talk.send(get(ONE, header))
                talk.answer()
            talk.send(get(ONE, LATER, "X-Request-ID: last"))
            talk.answer()
        # All recorded spans were sent in order, before the process ended.
        assert [span.attributes["fscore.request_id"] for span in collector.spans] == ["last"]

    def test_a_ratio_of_requests_begin_a_trace(
        self, any_store: RedisServer, collector: Collector, hot_routes: bool
    ) -> None:
        settings = {"hot_routes": hot_routes, "tracing_ratio": 1, "access_log": True}
        with recording(any_store, collector, **settings) as process:
            ids = ["first", "second", "malformed", "unsampled", "probe"]
            for request_id in ids:
                headers = {"X-Request-ID": request_id}
                if request_id == "malformed":
                    headers["traceparent"] = f"ff-{ID}-{PARENT}-01"
                if request_id == "unsampled":
                    headers["traceparent"] = UNSAMPLED.partition(": ")[2]
                path = "/health/live" if request_id == "probe" else ONE
                assert process.client.get(path, headers=headers).status_code == 200
            lines = {name: access_line(process, name) for name in ids}
        spans = {span.attributes["fscore.request_id"]: span for span in collector.spans}
        assert list(spans) == ["first", "second", "malformed"]
        for name, span in spans.items():
            assert lines[name]["trace_id"] == span.trace_id
            assert span.parent_id == ""
        assert len({span.trace_id for span in spans.values()}) == 3
        assert ID not in {span.trace_id for span in spans.values()}
        assert lines["unsampled"]["trace_id"] == ID
        assert "trace_id" not in lines["probe"]

    def test_errors_of_the_server_are_errors_of_the_span(
        self, proxy: FaultProxy, collector: Collector, hot_routes: bool
    ) -> None:
        settings: dict[str, Any] = {
            "hot_routes": hot_routes,
            "tracing": "otlp",
            "environment": collector.environment,
        }
        with learned(proxy.url, **settings) as (_, talk):
            for request, status in [
                (get("/v1/features?user_id=u1&service=no", SAMPLED), b"404"),
                (get("/nowhere/else", SAMPLED), b"404"),
                (get("/v1/features?user_id=&service=ranking", SAMPLED), b"422"),
                (get(ONE, SAMPLED).replace(b"GET", b"DELETE"), b"405"),
                (get(ONE, SAMPLED).replace(b"GET", b"MKCOL"), b"405"),
            ]:
                talk.send(request)
                assert talk.answer().startswith(b"HTTP/1.1 " + status)
            proxy.hold()
            talk.send(get(ONE, SAMPLED, "X-Request-Timeout-Ms: 200"))
            assert talk.answer().startswith(b"HTTP/1.1 504")
            spans = collector.wait_for(6)
        seen = [
            (
                span.name,
                span.attributes["http.request.method"],
                span.attributes["http.response.status_code"],
                span.attributes.get("error.type"),
                span.status,
            )
            for span in spans
        ]
        assert seen == [
            ("GET /v1/features", "GET", 404, None, UNSET),
            ("GET", "GET", 404, None, UNSET),
            ("GET /v1/features", "GET", 422, None, UNSET),
            ("DELETE /v1/features", "DELETE", 405, None, UNSET),
            ("HTTP /v1/features", "_OTHER", 405, None, UNSET),
            ("GET /v1/features", "GET", 504, "deadline_exceeded", ERROR),
        ]
        # The span names only services that exist.
        assert [span.attributes.get("fscore.definitions.service") for span in spans[:2]] == [
            None,
            None,
        ]
        late = spans[-1].attributes
        assert (late["fscore.definitions.service"], late["fscore.rows"]) == ("ranking", 1)
        assert spans[-1].seconds >= 0.2

    def test_nothing_that_was_asked_for_or_answered_is_sent(
        self, any_store: RedisServer, collector: Collector, hot_routes: bool
    ) -> None:
        with recording(any_store, collector, hot_routes=hot_routes) as process:
            headers = {"traceparent": SAMPLED.partition(": ")[2], "X-Caller": "header-1"}
            for _ in range(2):
                for target in [
                    "/v1/features?item_id=7&features=price,title",
                    "/v1/features?user_id=entity-1&service=ranking",
                    "/v1/features?user_id=invalid&service=ranking",
                    "/v1/features?user_id=entity-1&service=service-1",
                    "/v1/features?user_id=entity-1&features=feature-1",
                    "/v1/features?entity-1=entity-1",
                    "/path-1/entity-1?entity-1",
                ]:
                    process.client.get(target, headers=headers)
                for body in [
                    {"service": "ranking", "entities": {"user_id": ["entity-1"]}},
                    {"features": ["title"], "entities": {"item_id": [7]}},
                    {"service": "service-1", "entities": {"user_id": ["entity-1"]}},
                    {"entity-1": "body-1"},
                ]:
                    process.client.post("/v1/features", json=body, headers=headers)
            process.client.request("METHOD-1", "/v1/features", headers=headers)
        assert len(collector.spans) >= 22
        sent = b"".join(collector.bodies)
        for hidden in [
            *(b"%s-1" % word for word in (b"entity", b"service", b"feature", b"path", b"body")),
            *(b"header-1", b"METHOD-1", b"Kettle", b"user_id", b"item_id", b"title", b"price"),
        ]:
            assert hidden not in sent, hidden

    def test_a_collector_that_refuses_does_not_disturb_requests(
        self, any_store: RedisServer, port: int, hot_routes: bool
    ) -> None:
        variables = {
            **environment(port),
            "OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20s3cret,s3cret-alone",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://user:s3cret@127.0.0.1:{port}",
        }
        settings: dict[str, Any] = {"hot_routes": hot_routes, "tracing": "otlp", "grace": 1}
        with learned(any_store.url, environment=variables, log_level="debug", **settings) as (
            process,
            talk,
        ):
            for _ in range(50):
                talk.send(get(ONE, SAMPLED))
                assert b'"age":29' in talk.answer()
            line = process.wait_for("OpenTelemetry complains")
            while "Connection refused" not in line["cause"]:
                line = process.wait_for("OpenTelemetry complains")
            assert hot_requests(process) == (51 if hot_routes else 0)
            process.signal(signal.SIGTERM)
            assert process.wait() == 0
        assert "s3cret" not in "".join(process.raw_log)

    def test_a_collector_that_hangs_does_not_disturb_requests(
        self, any_store: RedisServer, hot_routes: bool
    ) -> None:
        with contextlib.ExitStack() as opened:
            hanging = opened.enter_context(Hanging())
            variables = {
                **hanging.environment,
                "OTEL_BSP_MAX_QUEUE_SIZE": "4",
                "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "1",
            }
            settings: dict[str, Any] = {"hot_routes": hot_routes, "tracing": "otlp", "grace": 1}
            process, talk = opened.enter_context(
                learned(any_store.url, environment=variables, **settings)
            )
            talk.send(get(ONE, SAMPLED))
            talk.answer()
            opened.enter_context(hanging.wait_for_request())
            for _ in range(100):
                talk.send(get(ONE, SAMPLED))
                assert b'"age":29' in talk.answer()
            # One span is being sent, and four wait in the queue.
            dropped = process.wait_for("OpenTelemetry complains")
            assert dropped["cause"] == "Queue full, dropping Span."
            process.signal(signal.SIGTERM)
            # Long before the exporter's own timeout.
            assert process.wait() == 0
            process.wait_for("spans were not exported")
        said = [line for line in process.log if line["message"] == "OpenTelemetry complains"]
        assert len(said) <= 5

    def test_the_end_sends_what_is_recorded(
        self, any_store: RedisServer, collector: Collector, hot_routes: bool
    ) -> None:
        variables = {**collector.environment, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        settings: dict[str, Any] = {"hot_routes": hot_routes, "tracing": "otlp"}
        with learned(any_store.url, environment=variables, **settings) as (process, talk):
            for _ in range(20):
                talk.send(get(ONE, SAMPLED))
                talk.answer()
            assert collector.spans == []
            process.signal(signal.SIGTERM)
            assert process.wait() == 0
        assert len(collector.spans) == 20
        assert all(span.resource["service.name"] == "fscore" for span in collector.spans)


def test_a_caller_that_left_has_a_span(proxy: FaultProxy, collector: Collector) -> None:
    settings: dict[str, Any] = {"tracing": "otlp", "environment": collector.environment}
    with learned(proxy.url, **settings) as (process, talk):
        proxy.hold()
        begin(talk, proxy, get(ONE, SAMPLED))
        talk.close()
        # The server handles this request after the end of the other connection.
        assert process.client.get("/health/live").status_code == 200
        proxy.release()
        (span,) = collector.wait_for(1)
    assert span.attributes["error.type"] == "client_gone"
    assert "http.response.status_code" not in span.attributes
    assert (span.status, span.attributes["fscore.definitions.service"]) == (UNSET, "ranking")


def test_each_worker_sends_its_own(any_store: RedisServer, collector: Collector) -> None:
    with recording(any_store, collector, workers=2, access_log=True) as process:
        workers: set[int] = set()
        count = 0
        # The kernel spreads connections over the two workers.
        while len(workers) < 2:
            headers = {"traceparent": SAMPLED.partition(": ")[2], "X-Request-ID": f"n{count}"}
            with process.new_client() as client:
                assert client.get(ONE, headers=headers).status_code == 200
            workers.add(access_line(process, f"n{count}")["worker"])
            count += 1
    assert len(collector.spans) == count
    assert len({span.resource["service.instance.id"] for span in collector.spans}) == 2


def test_a_second_interrupt_does_not_wait_for_the_collector(any_store: RedisServer) -> None:
    with Hanging() as hanging:
        variables = {**hanging.environment, "OTEL_BSP_SCHEDULE_DELAY": "3600000"}
        settings: dict[str, Any] = {"tracing": "otlp", "environment": variables, "grace": 600}
        with ServerProcess(any_store.url, **settings) as process:
            process.client.get(ONE, headers={"traceparent": SAMPLED.partition(": ")[2]})
            process.signal(signal.SIGINT)
            # The server is ending: it sends its spans and waits for the collector.
            with hanging.wait_for_request():
                process.signal(signal.SIGINT)
                # Long before the grace and the exporter's own timeout are over.
                process.wait()


def run_without_opentelemetry(program: str) -> subprocess.CompletedProcess[str]:
    hidden = "import sys\nsys.modules['opentelemetry'] = None\n"
    return subprocess.run(
        [sys.executable, "-c", hidden + program], capture_output=True, text=True, timeout=PATIENCE
    )


def test_without_the_extra_it_says_what_to_install(any_store: RedisServer) -> None:
    run = run_without_opentelemetry(
        "from fscore_server.cli import main\n"
        f"sys.argv = ['fscore', 'serve', '--port', '0', '--redis-url', {any_store.url!r}]\n"
        "import os\nos.environ['FSCORE_TRACING'] = 'otlp'\n"
        "os.environ['FSCORE_WORKERS'] = '2'\n"
        "main()\n"
    )
    assert run.returncode != 0
    text = " ".join(run.stderr.split())
    assert "pip install opentelemetry-sdk opentelemetry-exporter-otlp-proto-http" in text
    assert "Traceback" not in text


def test_without_tracing_opentelemetry_is_not_imported(any_store: RedisServer) -> None:
    run = run_without_opentelemetry(
        "from fscore_server.http.app import create_app\n"
        "from fscore_server.settings import ServerSettings\n"
        f"create_app(ServerSettings(redis_url={any_store.url!r}))\n"
    )
    assert (run.returncode, run.stderr) == (0, "")
