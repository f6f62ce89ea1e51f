"""Requests generated from the OpenAPI description: the server never fails, and keeps to it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.redis_server import RedisServer
from tests.server import keys
from tests.server.server_process import ServerProcess


def no_fault_of_the_server(context: Any, response: Any, case: Any) -> bool | None:
    """Check that the status is below 500, or 504 after the caller set a short deadline."""
    if response.status_code == 504 and "X-Request-Timeout-Ms" in (case.headers or {}):
        return None
    return not_a_server_error(context, response, case)


CHECKS = [
    no_fault_of_the_server,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    allow_header_conformance,
]

OPERATIONS = [
    ("/v1/features", "GET", 150),
    ("/v1/features", "POST", 150),
    *((path, "GET", 10) for path in ("/v1/services", "/v1/views", "/v1/versions")),
    *((path, "GET", 10) for path in ("/health/live", "/health/ready", "/metrics")),
    *((path, "GET", 10) for path in ("/openapi.json", "/docs")),
]


@pytest.fixture(scope="module")
def description(server: ServerProcess) -> Any:
    """The server's OpenAPI description."""
    return schemathesis.openapi.from_url(f"{server.url}/openapi.json")


def test_every_operation_is_tried(description: Any) -> None:
    described = {
        (path, method.upper())
        for path, methods in description.raw_schema["paths"].items()
        for method in methods
    }
    assert described == {(path, method) for path, method, _ in OPERATIONS}


@pytest.mark.parametrize(
    ("path", "method", "examples", "mode"),
    [
        *((*operation, GenerationMode.POSITIVE) for operation in OPERATIONS),
        # The other operations take no input that could be wrong.
        *((*operation, GenerationMode.NEGATIVE) for operation in OPERATIONS[:2]),
    ],
)
def test_the_server_does_what_its_description_says(
    description: Any, path: str, method: str, examples: int, mode: GenerationMode
) -> None:
    operation = description[path][method]
    statuses = set()

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    def try_it(case: Any) -> None:
        statuses.add(case.call_and_validate(checks=CHECKS).status_code)

    try_it()
    # Some valid requests must succeed; otherwise nothing beyond validation was tried.
    assert mode is GenerationMode.NEGATIVE or 200 in statuses


@pytest.fixture(scope="module")
def keyed(any_store: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The OpenAPI description of a server that requires API keys."""
    file = keys.write(tmp_path_factory.mktemp("keys") / "keys.toml", keys.FULL, keys.RANKING)
    with ServerProcess(any_store.url, api_keys_file=str(file)) as process:
        url, headers = f"{process.url}/openapi.json", keys.FULL.header
        yield schemathesis.openapi.from_url(url, headers=headers)


@pytest.mark.parametrize(
    ("holder", "always", "never"),
    [
        (keys.FULL, {200}, {401, 403}),
        (keys.RANKING, {200, 403}, {401}),
        (keys.UNKNOWN, {401}, {200}),
    ],
    ids=lambda value: value.name if isinstance(value, keys.Key) else "",
)
def test_a_server_with_keys_does_what_its_description_says(
    keyed: Any, holder: keys.Key, always: set[int], never: set[int]
) -> None:
    statuses = set()

    def try_it(case: Any) -> None:
        # Generated cases may have both headers of the description; the server refuses two.
        case.headers.pop("X-API-Key", None)
        answer = case.call_and_validate(headers=holder.header, checks=CHECKS)
        if not case.path.startswith("/health/"):
            statuses.add(answer.status_code)

    for path, method, examples in OPERATIONS:
        tried = given(case=keyed[path][method].as_strategy())(try_it)
        settings(
            max_examples=min(examples, 30),
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(tried)()
    assert always <= statuses
    assert not never & statuses


@pytest.mark.parametrize("path", sorted({path for path, _, _ in OPERATIONS}))
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_methods_that_are_not_described_are_405(
    server: ServerProcess, path: str, method: str
) -> None:
    assert server.client.request(method, path).status_code == 405
