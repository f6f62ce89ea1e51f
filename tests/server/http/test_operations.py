"""Request ids, deadlines, health, metrics, the catalogue, the description and the logs."""

from __future__ import annotations

import json
import re
import time

import httpx
import pytest

from tests.redis_server import RedisServer
from tests.server.server_process import ServerProcess
from tests.server.store import REGISTRY

ONE = "/v1/features?user_id=u1&service=ranking"


@pytest.mark.parametrize("path", [ONE, "/v1/services", "/health/live", "/nowhere"])
def test_a_request_id_is_taken_and_returned(http: httpx.Client, path: str) -> None:
    response = http.get(path, headers={"X-Request-ID": "abc-123/x"})
    assert response.headers["x-request-id"] == "abc-123/x"


@pytest.mark.parametrize("value", [b"", b"x" * 129, b"a b", "é".encode()])
def test_a_request_id_that_cannot_be_logged_is_replaced(http: httpx.Client, value: bytes) -> None:
    made = http.get(ONE, headers={b"X-Request-ID": value}).headers["x-request-id"]
    assert re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]+", made)


def test_request_ids_are_not_made_twice(http: httpx.Client) -> None:
    ids = {http.get(ONE).headers["x-request-id"] for _ in range(50)}
    assert len(ids) == 50


def test_live_and_ready(http: httpx.Client) -> None:
    assert http.get("/health/live").json() == {"status": "live"}
    ready = http.get("/health/ready")
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "revision": 1, "reasons": []},
    )


def test_metrics_count_requests_and_values(server: ServerProcess) -> None:
    def requests(status: str) -> float:
        return server.metric(
            "fscore_http_requests_total", method="GET", route="/v1/features", status=status
        )

    def values(status: str) -> float:
        return server.metric("fscore_feature_values_total", status=status)

    before = requests("200"), requests("404"), values("PRESENT"), values("INVALID")
    assert server.client.get(ONE).status_code == 200
    assert server.client.get(f"{ONE}&user_id=").status_code == 422
    assert server.client.get("/v1/features?user_id=u1&service=no").status_code == 404
    assert server.client.get("/v1/features?user_id=invalid&service=ranking").status_code == 200
    after = requests("200"), requests("404"), values("PRESENT"), values("INVALID")
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1, 5, 2]
    assert server.metric("fscore_http_request_duration_seconds_count", route="/v1/features") > 0
    # The scrape itself is in flight.
    assert server.metric("fscore_http_requests_in_flight") == 1
    assert server.metric("fscore_registry_revision") == 1
    assert server.metric("fscore_service_version", service="ranking") == 1


def test_metrics_are_well_formed(server: ServerProcess) -> None:
    text = server.client.get("/metrics").text
    assert text.endswith("\n")
    for line in text.splitlines():
        if not line.startswith("# "):
            assert re.fullmatch(r'[a-z_]+\{([a-z]+="[^"]*",?)+\} [0-9.]+', line), line
    buckets = re.findall(
        r'duration_seconds_bucket\{worker="0",method="GET",route="/metrics",le="([^"]+)"\} (\d+)',
        text,
    )
    counts = [int(count) for _, count in buckets]
    assert buckets[-1][0] == "+Inf"
    assert counts == sorted(counts)


def test_the_catalogue_lists_what_is_defined(http: httpx.Client) -> None:
    services = http.get("/v1/services").json()
    assert services["revision"] == 1
    ranking = next(item for item in services["services"] if item["name"] == "ranking")
    assert [feature["name"] for feature in ranking["features"]] == [
        "age",
        "country",
        "score",
        "clicks",
    ]
    assert ranking["features"][1] == {
        "name": "country",
        "view": "profile",
        "feature": "country",
        "type": "String",
    }
    assert ranking["join_keys"] == {"user_id": "String"}
    pairs = next(item for item in services["services"] if item["name"] == "pairs")
    assert pairs["join_keys"] == {"user_id": "String", "item_id": "Int64"}

    views = {view["name"]: view for view in http.get("/v1/views").json()["views"]}
    assert set(views) == set(REGISTRY.views)
    assert views["activity"]["ttl_ms"] == 3_600_000
    assert views["profile"]["features"][1]["default"] == "unknown"
    assert views["profile"]["owner"] == "growth"

    versions = http.get("/v1/versions").json()
    assert versions["revision"] == 1
    found = {item["service"]: item for item in versions["versions"]}
    assert set(found) == set(REGISTRY.services)
    assert (found["ranking"]["version"], found["ranking"]["previous"]) == (1, None)
    assert [item["version"] for item in found["ranking"]["versions"]] == [1]


def test_the_catalogue_has_no_parameters(http: httpx.Client) -> None:
    assert http.get("/v1/views?x=1").status_code == 422


def test_the_page_needs_nothing_from_elsewhere(http: httpx.Client) -> None:
    response = http.get("/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.findall(r"(?:src|href)=[\"']?https?:", response.text)
    assert "default-src 'none'" in response.headers["content-security-policy"]


def test_every_kind_of_problem_is_described(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    described = {f"/docs#{kind['code']}" for kind in document["x-problems"]}
    assert described == set(
        document["components"]["schemas"]["Problem"]["properties"]["type"]["enum"]
    )


def test_the_description_names_the_join_keys_and_services(http: httpx.Client) -> None:
    parameters = http.get("/openapi.json").json()["paths"]["/v1/features"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert schemas["item_id"]["type"] == "integer"
    assert schemas["service"]["enum"] == sorted(REGISTRY.services)


def test_access_lines_have_the_id_and_nothing_that_was_asked_for(any_store: RedisServer) -> None:
    with ServerProcess(any_store.url, access_log=True) as process:
        process.client.get(ONE, headers={"X-Request-ID": "find-me"})
        line = process.wait_for("request")
    assert line["request_id"] == "find-me"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/v1/features", 200)
    assert line["ms"] > 0
    assert "u1" not in json.dumps(line)


def test_invalid_values_are_logged_with_their_reason(any_store: RedisServer) -> None:
    with ServerProcess(any_store.url) as process:
        process.client.get("/v1/features?user_id=invalid&features=age")
        line = process.wait_for("stored value")
        started = time.monotonic()
        for _ in range(100):
            process.client.get("/v1/features?user_id=invalid&features=age")
        seconds = time.monotonic() - started
    assert line["feature"] == "age"
    assert line["reason"]
    # Ten a second, in the second of the first request and in each that began since.
    lines = [entry for entry in process.log if "stored value" in entry["message"]]
    assert len(lines) <= 10 * (2 + seconds)


def test_secrets_are_nowhere_in_the_log(any_store: RedisServer) -> None:
    # Redis refuses the credentials, which is when an error would be likeliest to quote them.
    url = any_store.url.replace("redis://", "redis://reader:s3cret-pass@")
    with ServerProcess(url, access_log=True, log_level="debug", startup_wait=0) as process:
        process.wait_for("Redis refuses")
        ready = process.client.get("/health/ready")
        response = process.client.get(ONE)
    assert ready.status_code == 503
    assert response.status_code == 503
    assert "s3cret" not in "".join(process.raw_log) + ready.text + response.text
