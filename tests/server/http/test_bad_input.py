"""Bad input gets a problem document of the right kind, and never a 500."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.client.driver import PATIENCE
from tests.redis_server import RedisServer
from tests.server.server_process import ServerProcess

URL = "/v1/features"
LIMIT = 8 * 1024 * 1024
AT_ONCE = 20.0
"""Seconds for three answers that look for no similar names, which would take minutes."""


def check_problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check the form of a problem document, and return it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert body["type"] == f"/docs#{code}"
    assert set(body) - {"offset"} == {
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "request_id",
    }
    assert body["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return body


def post(http: httpx.Client, body: bytes | str, **headers: str) -> httpx.Response:
    content_type = {"Content-Type": "application/json"}
    return http.post(URL, content=body, headers={**content_type, **headers})


def _ranking(entities: str) -> str:
    return f'{{"service":"ranking","entities":{entities}}}'


DEEP = _ranking('{"user_id":' + "[" * 33 + "]" * 33 + "}")


@pytest.mark.parametrize(
    ("body", "offset"),
    [
        ("", 0),
        ("{", 1),
        ('{"service":"ranking",}', None),
        (b'{"service":"\xff"}', 12),
        (DEEP, None),
        ('{"service":"ranking","service":"ranking","entities":{"user_id":["u1"]}}', None),
        (_ranking('{"user_id":["u1"],"user_id":["u2"]}'), None),
        (_ranking('{"user_id":[NaN]}'), None),
        (_ranking('{"user_id":[Infinity]}'), None),
        (_ranking('{"user_id":[-Infinity]}'), None),
        (_ranking('{"user_id":["u1"]} x'), None),
        ('{"features":["price"],"entities":{"item_id":[9223372036854775808]}}', None),
        ('{"features":["price"],"entities":{"item_id":[-9223372036854775809]}}', None),
    ],
)
def test_a_body_that_is_not_json_is_400_with_the_offset(
    http: httpx.Client, body: str | bytes, offset: int | None
) -> None:
    problem = check_problem(post(http, body), 400, "malformed_request")
    assert isinstance(problem["offset"], int)
    if offset is not None:
        assert problem["offset"] == offset


@pytest.mark.parametrize(
    "body",
    [
        "[]",
        "{}",
        "null",
        '{"service":"ranking"}',
        '{"entities":{"user_id":["u1"]},"service":1}',
        '{"features":[],"entities":{"user_id":["u1"]}}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"version":"2"}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"version":0}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"consistency":"strong"}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"timestamps":"yes"}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"as_of":null}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"as_of":1717243200.5}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"as_of":-1}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"as_of":253402300800000}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"as_of":"1717243200000"}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"as_of":"2024-06-01"}',
        '{"features":["age"],"entities":{"user_id":["u1"]},"unknown":1}',
        _ranking("{}"),
        _ranking('{"user_id":[]}'),
        _ranking('{"user_id":"u1"}'),
        _ranking('{"user_id":[null]}'),
        _ranking('{"user_id":[true]}'),
        _ranking('{"user_id":[["u1"]]}'),
        _ranking('{"user_id":["u1",2]}'),
    ],
)
def test_json_that_is_not_a_read_request_is_422(http: httpx.Client, body: str) -> None:
    check_problem(post(http, body), 422, "invalid_request")


@pytest.mark.parametrize(
    ("as_of", "named"),
    [
        ("2024-06-01T12:00:00", "2024-06-01T12:00:00Z, or +02:00 instead of Z"),
        ("1969-12-31T23:59:59Z", "before 1970"),
        ("yesterday", "2024-06-01T12:00:00Z"),
    ],
)
def test_a_wrong_time_in_a_body_says_how_to_write_it(
    http: httpx.Client, as_of: str, named: str
) -> None:
    body = {"as_of": as_of, "features": ["age"], "entities": {"user_id": ["u1"]}}
    problem = check_problem(post(http, json.dumps(body)), 422, "invalid_request")
    assert named in problem["detail"]
    assert problem["offset"] == 10


@pytest.mark.parametrize(
    "entities",
    [
        {"user_id": [1]},
        {"user_id": ["x" * 513]},
        {"user_id": ["☕" * 171]},
        {"user_id": [""]},
    ],
)
def test_keys_that_do_not_fit_are_422_and_not_converted(
    http: httpx.Client, entities: dict[str, Any]
) -> None:
    body = json.dumps({"service": "ranking", "entities": entities})
    check_problem(post(http, body), 422, "invalid_keys")


@pytest.mark.parametrize("value", ['"7"', "true", "7.0", "7e0"])
def test_an_integer_key_takes_only_integers(http: httpx.Client, value: str) -> None:
    response = post(http, f'{{"features":["price"],"entities":{{"item_id":[{value}]}}}}')
    assert response.status_code == 422, response.text


def test_columns_of_unequal_length_are_422(http: httpx.Client) -> None:
    body = {"service": "pairs", "entities": {"user_id": ["a", "b"], "item_id": [1]}}
    check_problem(post(http, json.dumps(body)), 422, "invalid_keys")


@pytest.mark.parametrize(
    "entities",
    [{"item_id": [1]}, {"user_id": ["u1"], "other": [1]}, {"users": ["u1"]}],
)
def test_join_keys_that_are_not_the_services_are_422_and_named(
    http: httpx.Client, entities: dict[str, Any]
) -> None:
    body = json.dumps({"service": "ranking", "entities": entities})
    problem = check_problem(post(http, body), 422, "invalid_request")
    assert any(repr(name) in problem["detail"] for name in entities if name != "user_id")


@pytest.mark.parametrize(
    ("body", "code", "name"),
    [
        ({"service": "rankings"}, "feature_service_not_found", "rankings"),
        ({"features": ["agee"]}, "feature_not_found", "agee"),
        ({"features": ["profiles:age"]}, "feature_view_not_found", "profiles"),
        ({"features": ["profile:agee"]}, "feature_not_found", "agee"),
    ],
)
def test_unknown_names_are_404_and_named(
    http: httpx.Client, body: dict[str, Any], code: str, name: str
) -> None:
    response = post(http, json.dumps({**body, "entities": {"user_id": ["u1"]}}))
    assert name in check_problem(response, 404, code)["detail"]
    parameters = {"service": body["service"]} if "service" in body else {}
    if "features" in body:
        parameters["features"] = ",".join(body["features"])
    response = http.get(URL, params={"user_id": "u1", **parameters})
    assert name in check_problem(response, 404, code)["detail"]


def test_a_name_of_megabytes_is_refused_at_once_and_not_repeated(http: httpx.Client) -> None:
    started = time.monotonic()
    body = json.dumps({"features": ["x" * 4_000_000], "entities": {"user_id": ["u1"]}})
    problem = check_problem(post(http, body), 404, "feature_not_found")
    assert len(problem["detail"]) < 2000
    assert time.monotonic() - started < AT_ONCE


def test_a_hundred_thousand_features_are_refused_at_once(http: httpx.Client) -> None:
    started = time.monotonic()
    names = [f"f{number}" for number in range(100_000)]
    body = json.dumps({"features": names, "entities": {"user_id": ["u1"]}})
    check_problem(post(http, body), 413, "request_too_large")
    assert time.monotonic() - started < AT_ONCE


@pytest.mark.parametrize(
    ("query", "status", "code", "named"),
    [
        ("", 422, "invalid_request", "user_id"),
        ("service=ranking", 422, "invalid_request", "user_id"),
        ("user_id=u1&colour=red", 422, "invalid_request", "colour"),
        ("user_id=u1&service=ranking&colour=red", 422, "invalid_request", "colour"),
        ("user_id=u1&user_id=u2", 422, "invalid_request", "user_id"),
        ("user_id=u1&service=", 422, "invalid_request", "service"),
        ("user_id=u1&features=age,,score", 422, "invalid_request", "features"),
        ("user_id=u1&version=one", 422, "invalid_request", "version"),
        ("user_id=u1&version=0", 422, "invalid_request", "version"),
        ("user_id=u1&version=9223372036854775808", 422, "invalid_request", "version"),
        ("user_id=u1&partial=1", 422, "invalid_request", "partial"),
        ("user_id=u1&consistency=strong", 422, "invalid_request", "consistency"),
        ("user_id=u1&as_of=", 422, "invalid_request", "as_of"),
        ("user_id=u1&as_of=now", 422, "invalid_request", "2024-06-01T12:00:00Z"),
        ("user_id=u1&as_of=-1", 422, "invalid_request", "before 1970"),
        ("user_id=u1&as_of=1717243200.5", 422, "invalid_request", "as_of"),
        ("user_id=u1&as_of=253402300800000", 422, "invalid_request", "milliseconds"),
        ("user_id=u1&as_of=2024-06-01T12:00:00", 422, "invalid_request", "offset from UTC"),
        ("user_id=u1&as_of=2024-06-01T12:00:00+02:00", 422, "invalid_request", "%2B"),
        ("user_id=u1&as_of=0&as_of=0", 422, "invalid_request", "twice"),
        ("visitor_id=a&service=quotes&amount=1", 422, "invalid_request", "'coupon'"),
        ("visitor_id=a&service=quotes&amount=1&coupon=x&x=1", 422, "invalid_request", "'x'"),
        ("visitor_id=a&service=quotes&amount=&coupon=x", 422, "invalid_request", "amount"),
        ("visitor_id=a&service=quotes&amount=nan&coupon=x", 422, "invalid_request", "amount"),
        ("visitor_id=a&service=quotes&amount=1e999&coupon=x", 422, "invalid_request", "range"),
        ("visitor_id=a&service=quotes&amount=1,5&coupon=x", 422, "invalid_request", "'1,5'"),
        ("visitor_id=a&service=visits&amount=1", 422, "invalid_request", "amount"),
        ("visitor_id=a&amount=1", 422, "invalid_request", "amount"),
        ("item_id=x", 422, "invalid_request", "item_id"),
        ("item_id=1.0", 422, "invalid_request", "item_id"),
        ("item_id=1_0", 422, "invalid_request", "item_id"),
        ("item_id=%D9%A1", 422, "invalid_request", "item_id"),
        ("item_id=9223372036854775808", 422, "invalid_request", "item_id"),
        ("user_id=", 422, "invalid_keys", "user_id"),
        (f"user_id={'x' * 513}", 422, "invalid_keys", "user_id"),
        ("user_id=%ff", 400, "malformed_query", "UTF-8"),
        ("user_id=%zz", 400, "malformed_query", "percent"),
        ("user_id=%4", 400, "malformed_query", "percent"),
    ],
)
def test_bad_query_strings(
    http: httpx.Client, query: str, status: int, code: str, named: str
) -> None:
    assert named in check_problem(http.get(f"{URL}?{query}"), status, code)["detail"]


def _quotes(request: str) -> str:
    entities = '"entities":{"visitor_id":["v0042","v0007"]}'
    return f'{{"service":"quotes",{entities},"request":{request}}}'


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        ("[]", "request"),
        ("null", "request"),
        ("1", "request"),
        ("{}", '"amount" (Float64)'),
        ('{"amount":1}', '"coupon" (String)'),
        ('{"amount":1,"coupon":"x","amonut":1}', '"amonut"'),
        ('{"amount":"1","coupon":"x"}', '"amount" (Float64) must be a number'),
        ('{"amount":[1,true],"coupon":"x"}', '"amount" (Float64, row 1) must be a number'),
        ('{"amount":[1,[2]],"coupon":"x"}', '"amount" (Float64, row 1)'),
        ('{"amount":{"a":1},"coupon":"x"}', '"amount" (Float64)'),
        ('{"amount":1e999,"coupon":"x"}', "beyond the range"),
        ('{"amount":1,"coupon":1}', '"coupon" (String) must be a string'),
        ('{"amount":[1],"coupon":"x"}', "1 values for 2 rows"),
        ('{"amount":[1,2,3],"coupon":"x"}', "3 values for 2 rows"),
        ('{"amount":[],"coupon":"x"}', "0 values for 2 rows"),
    ],
)
def test_inputs_that_do_not_fit_are_422_and_named(
    http: httpx.Client, request_: str, named: str
) -> None:
    body = _quotes(request_)
    problem = check_problem(post(http, body), 422, "invalid_request")
    assert named in problem["detail"]
    assert problem["offset"] >= body.index(request_)


@pytest.mark.parametrize(
    "request_",
    [
        '{"amount":NaN,"coupon":"x"}',
        '{"amount":1,"amount":1,"coupon":"x"}',
        '{"amount":9223372036854775808,"coupon":"x"}',
        '{"amount":1,"coupon":"\\ud800"}',
        '{"amount":[1,],"coupon":"x"}',
    ],
)
def test_inputs_that_are_not_json_are_400(http: httpx.Client, request_: str) -> None:
    check_problem(post(http, _quotes(request_)), 400, "malformed_request")


def test_inputs_that_are_missing_or_not_needed_are_422(http: httpx.Client) -> None:
    body = '{"service":"quotes","entities":{"visitor_id":["v0042"]}}'
    problem = check_problem(post(http, body), 422, "invalid_request")
    assert "'amount' (Float64), 'coupon' (String)" in problem["detail"]
    body = '{"service":"ranking","entities":{"user_id":["u1"]},"request":{"amount":1}}'
    assert "amount" in check_problem(post(http, body), 422, "invalid_request")["detail"]


def test_a_post_has_no_query_parameters(http: httpx.Client) -> None:
    check_problem(http.post(f"{URL}?service=ranking", json={}), 422, "invalid_request")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "application/json; charset=latin-1"]
)
def test_other_bodies_than_json_are_415(http: httpx.Client, content_type: str) -> None:
    response = http.post(URL, content=b"{}", headers={"Content-Type": content_type})
    check_problem(response, 415, "unsupported_media_type")


def test_compressed_bodies_are_415(http: httpx.Client) -> None:
    check_problem(
        post(http, b"\x1f\x8b", **{"Content-Encoding": "gzip"}), 415, "unsupported_media_type"
    )


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*"])
def test_what_cannot_be_produced_is_406(http: httpx.Client, accept: str) -> None:
    response = http.get(f"{URL}?user_id=u1", headers={"Accept": accept})
    check_problem(response, 406, "not_acceptable")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", URL, "GET, HEAD, POST"),
        ("PUT", URL, "GET, HEAD, POST"),
        ("OPTIONS", URL, "GET, HEAD, POST"),
        ("POST", "/v1/views", "GET, HEAD"),
        ("POST", "/health/live", "GET, HEAD"),
    ],
)
def test_other_methods_are_405_with_allow(
    http: httpx.Client, method: str, path: str, allowed: str
) -> None:
    response = http.request(method, path)
    check_problem(response, 405, "method_not_allowed")
    assert response.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/features/", "/v1/events/clicks", "/%00"])
def test_other_paths_are_404(http: httpx.Client, path: str) -> None:
    check_problem(http.get(path), 404, "route_not_found")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", ""])
def test_a_timeout_that_is_not_a_number_is_422(http: httpx.Client, value: str) -> None:
    response = http.get(f"{URL}?user_id=u1", headers={"X-Request-Timeout-Ms": value})
    check_problem(response, 422, "invalid_request")


# Limits of a request's size and time.


def _blanks(size: int) -> Iterator[bytes]:
    for _ in range(size // 65536):
        yield b" " * 65536


def test_a_body_over_the_limit_is_413_when_announced(http: httpx.Client) -> None:
    check_problem(post(http, b" " * (LIMIT + 1)), 413, "request_too_large")


def test_a_body_over_the_limit_is_413_when_counted(server: ServerProcess) -> None:
    with httpx.Client(base_url=server.url, timeout=PATIENCE) as client:
        response = client.post(
            URL, content=_blanks(LIMIT * 2), headers={"Content-Type": "application/json"}
        )
        assert "content-length" not in response.request.headers
    check_problem(response, 413, "request_too_large")


def test_a_body_at_the_limit_is_read(http: httpx.Client) -> None:
    body = _ranking('{"user_id":["u1"]}').encode()
    assert post(http, body + b" " * (LIMIT - len(body))).status_code == 200


def test_too_many_values_are_413(http: httpx.Client) -> None:
    body = {"service": "ranking", "entities": {"user_id": ["u1"] * 300_000}}
    check_problem(post(http, json.dumps(body)), 413, "request_too_large")


def exchange(port: int, *parts: bytes) -> tuple[bytes, float]:
    """Send these bytes; return all that the server answers until it closes, and the seconds."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        for part in parts:
            connection.sendall(part)
        started = time.monotonic()
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer, time.monotonic() - started


@pytest.fixture(scope="module", params=[True, False], ids=["hot", "application"])
def strict(any_store: RedisServer, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server with short timeouts, with hot routes and without."""
    settings = {"header_timeout": 0.3, "body_timeout": 0.3, "hot_routes": request.param}
    with ServerProcess(any_store.url, **settings) as process:
        yield process


@pytest.fixture(scope="module", params=[True, False], ids=["hot", "application"])
def limited(any_store: RedisServer, request: pytest.FixtureRequest) -> Iterator[ServerProcess]:
    """A server with low limits, with hot routes and without."""
    settings = {"max_header_bytes": 4096, "max_clients": 8, "hot_routes": request.param}
    with ServerProcess(any_store.url, **settings) as process:
        yield process


POST_HEAD = b"POST /v1/features HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"GET /v1/features HTTP/1.1\r\nHost:"],
        [POST_HEAD + b"Content-Length: 10\r\n\r\n", b"{"],
        [POST_HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"],
    ],
    ids=["nothing", "half a header", "half a body", "half a chunked body"],
)
def test_what_does_not_arrive_in_time_is_408_and_closed(
    strict: ServerProcess, parts: list[bytes]
) -> None:
    answer, seconds = exchange(strict.port, *parts)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head
    assert json.loads(body)["type"] == "/docs#request_timeout"
    assert seconds < 5


def test_a_header_byte_by_byte_does_not_restart_its_timeout(strict: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", strict.port), timeout=PATIENCE) as connection:
        started = time.monotonic()
        connection.sendall(b"GET / HTTP/1.1\r\nX: ")
        connection.settimeout(0.02)
        answer = b""
        while not answer and time.monotonic() - started < 10:
            connection.sendall(b"x")
            try:
                answer = connection.recv(65536)
            except TimeoutError:
                continue
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nX: " + b"x" * 5000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nX: " + b"x" * 100_000,
        b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["whole", "endless", "long path"],
)
def test_a_header_over_the_limit_is_431(limited: ServerProcess, head: bytes) -> None:
    answer, _ = exchange(limited.port, head)
    assert answer.startswith(b"HTTP/1.1 431 ")
    assert b'"/docs#header_too_large"' in answer


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        POST_HEAD + b"Content-Length: ten\r\n\r\n",
        POST_HEAD + b"Content-Length: -1\r\n\r\n",
        POST_HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
        POST_HEAD + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}",
        POST_HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET / HTTP/1.1\r\nA b: c\r\n\r\n",
    ],
)
def test_bytes_that_are_not_http_are_400_and_closed(limited: ServerProcess, data: bytes) -> None:
    answer, _ = exchange(limited.port, data)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"application/problem+json" in answer


def test_connections_over_the_limit_are_refused(limited: ServerProcess) -> None:
    address = ("127.0.0.1", limited.port)
    held = []
    try:
        for _ in range(8):
            connection = socket.create_connection(address, timeout=PATIENCE)
            held.append(connection)
            # Each connection gets an answer first, so that the server has surely counted it.
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        answer, _ = exchange(limited.port)
        assert answer.startswith(b"HTTP/1.1 429 ")
    finally:
        for connection in held:
            connection.close()


def test_a_caller_that_leaves_during_its_body_is_not_an_error(limited: ServerProcess) -> None:
    with socket.create_connection(("127.0.0.1", limited.port), timeout=PATIENCE) as connection:
        connection.sendall(POST_HEAD + b"Content-Length: 100\r\n\r\n{")
    with limited.new_client() as client:
        assert client.get("/health/live").status_code == 200
    assert not [line for line in limited.log if line["level"] == "error"]


OFFER = b"Connection: Upgrade, HTTP2-Settings%s\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n"


def test_offers_of_other_protocols_are_passed_over(server: ServerProcess) -> None:
    body = b'{"features":["age"],"entities":{"user_id":["u1"]}}'
    first = POST_HEAD + OFFER % b"" + b"Content-Length: %d\r\n\r\n" % len(body) + body
    last = b"GET /v1/features?user_id=u1 HTTP/1.1\r\nHost: x\r\n" + OFFER % b", close" + b"\r\n"
    for parts in ([first + last], [bytes([byte]) for byte in first + last]):
        answer, _ = exchange(server.port, *parts)
        assert answer.count(b"HTTP/1.1 200 ") == 2
        assert b'"values":[[29]]' in answer
        assert b'"clicks":7' in answer


def test_very_many_offers_in_one_chunk(server: ServerProcess) -> None:
    request = b"GET /health/live HTTP/1.1\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
    last = b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer, _ = exchange(server.port, request * 700 + last)
    assert answer.count(b"HTTP/1.1 200 ") == 701


def test_connect_is_refused(server: ServerProcess) -> None:
    answer, _ = exchange(server.port, b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400 ")


def test_a_caller_that_does_not_read_is_left(any_store: RedisServer) -> None:
    body = json.dumps({"service": "everything", "entities": {"user_id": ["nobody"] * 90_000}})
    request = POST_HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body.encode()
    with (
        ServerProcess(any_store.url, write_stall_timeout=0.3) as process,
        socket.socket() as connection,
    ):
        # A small receive buffer, so that unread bytes stay with the server.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", process.port))
        connection.sendall(request)
        # Nothing is read; that the connection was reset shows without reading.
        watch = select.poll()
        watch.register(connection, 0)
        assert watch.poll(1000 * PATIENCE)


def test_idle_connections_are_closed_after_their_time(any_store: RedisServer) -> None:
    with (
        ServerProcess(any_store.url, keep_alive=1) as process,
        socket.create_connection(("127.0.0.1", process.port), timeout=PATIENCE) as connection,
    ):
        for _ in range(3):
            started = time.monotonic()
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
        assert connection.recv(65536) == b""
        assert 0.9 < time.monotonic() - started < 10


def test_pipelined_requests_are_answered_in_order(server: ServerProcess) -> None:
    request = b"GET /v1/features?user_id=u1&features=%s HTTP/1.1\r\nHost: x\r\n%s\r\n"
    answer, _ = exchange(
        server.port,
        request % (b"age", b"") + request % (b"clicks", b"Connection: close\r\n"),
    )
    assert 0 < answer.index(b'{"age":29}') < answer.index(b'{"clicks":7}')
