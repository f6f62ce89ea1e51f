"""Raw bytes to a server with hot routes and to one without: both answer the same, in order.

The other tests compare the answers to whole requests, because their client asks both servers.
"""

from __future__ import annotations

import contextlib
import json
import random
import socket
from collections.abc import Iterator, Sequence

import pytest

from tests.client.driver import PATIENCE
from tests.redis_server import RedisServer
from tests.server.both import comparable_stream
from tests.server.server_process import ServerProcess

ONE = "/v1/features?user_id=u1&service=ranking"


def get(target: str = ONE, *headers: str) -> bytes:
    """Return a GET as most clients write it."""
    lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1:8080", "Accept: */*", *headers]
    return "\r\n".join([*lines, "", ""]).encode()


def post(body: object, *headers: str) -> bytes:
    """Return a POST as most clients write it."""
    text = body if isinstance(body, bytes) else json.dumps(body, separators=(",", ":")).encode()
    lines = [
        "POST /v1/features HTTP/1.1",
        "Host: 127.0.0.1:8080",
        "Content-Type: application/json",
        f"Content-Length: {len(text)}",
        *headers,
    ]
    return "\r\n".join([*lines, "", ""]).encode() + text


LAST = get("/health/live", "Connection: close")

PLAIN = [
    get(),
    get("/v1/features?user_id=nobody&service=ranking", "X-Request-ID: mine"),
    get(ONE, f"traceparent: 00-{'a' * 32}-{'b' * 16}-01", "tracestate: a=1,b=2"),
    get(ONE, "traceparent: 00-malformed"),
    get("/v1/features?item_id=-7&features=price,title", "X-Request-Timeout-Ms: 9000"),
    get("/v1/features?user_id=u%31&features=age&version=2&partial=false"),
    get("/v1/features?visitor_id=v0042&service=visits&as_of=1717243200000"),
    get("/v1/features?visitor_id=v0042&service=quotes&amount=2.5&coupon=x&as_of=1717243200000"),
    post({"service": "ranking", "entities": {"user_id": ["u1", "null", "u1"]}}),
    post({"features": ["age"], "entities": {"user_id": ["u1"]}, "timestamps": True}),
    post({"service": "pairs", "entities": {"item_id": [7, 7], "user_id": ["u1", "null"]}}),
    post(
        {
            "service": "quotes",
            "entities": {"visitor_id": ["v0042", "v0007"]},
            "request": {"amount": [1, 2], "coupon": "x"},
            "as_of": 1717243200000,
        }
    ),
]
"""Requests that hot routes answer once they have learned them."""

OTHERS = [
    get("/health/live"),
    get("/v1/services", "X-Request-ID: catalogue"),
    get("/nowhere"),
    get("/v1/features?user_id=u1&service=no"),
    get("/v1/features?user_id=%zz&service=ranking"),
    get("/v1/features?user_id=&service=ranking"),
    get(f"{ONE}&user_id=u2"),
    get(ONE, "Accept: text/html"),
    get(ONE, "X-Request-Timeout-Ms: soon"),
    get("/v1/features?user_id=u1&service=ranking&consistency=snapshot"),
    post({"service": "ranking", "entities": {"user_id": [1]}}),
    post({"service": "ranking", "entities": {"user_id": ["u1"]}, "consistency": "snapshot"}),
    post(b'{"service":"ranking",'),
    post({"service": "ranking", "entities": {"user_id": ["u1"]}}, "Content-Encoding: gzip"),
    get().replace(b"GET", b"DELETE"),
]
"""Requests that they never answer."""

BODY = b'{"service":"ranking","entities":{"user_id":["u1"]}}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
POST = b"POST /v1/features HTTP/1.1\r\nContent-Type: application/json\r\n"

UNUSUAL = [
    b"\r\n\r\n" + get(),
    get().replace(b"\r\n", b"\n"),
    get().replace(b" HTTP/1.1", b" HTTP/1.0"),
    get().replace(b" HTTP/1.1", b"  HTTP/1.1"),
    get().replace(b"GET ", b"get "),
    get().replace(b" /v1", b" http://x/v1"),
    get().replace(b" /v1", b" //v1"),
    get("/v1/./features?user_id=u1&service=ranking"),
    get("/v1/fe%61tures?user_id=u1&service=ranking"),
    get(f"{ONE}#part"),
    get('/v1/features?user_id=u1&service="ranking"'),
    get("/v1/features?user_id=a{b}&features=age"),
    get("/v1/features?user_id=a?b&features=age"),
    get(f"{ONE}&"),
    get("/v1/features?user_id=u1&&service=ranking"),
    get("/v1/features"),
    get("/v1/features?"),
    get(ONE, "Connection: keep-alive"),
    get(ONE, "Connection: Keep-Alive, x"),
    get(ONE, "Proxy-Connection: close"),
    get(ONE, "Content-Length: 0"),
    get(ONE, "Content-Length: 2") + b"{}",
    get(ONE, "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    get(ONE, "Expect: 100-continue"),
    get(ONE, "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: x"),
    get(ONE, "Accept: application/json"),
    get(ONE, "X-Request-ID: a", "X-Request-ID: b"),
    get(ONE, "X-Request-ID: a b", "X-Request-ID: b"),
    get(ONE, "X-Request-ID:   spaced  "),
    get(ONE, "traceparent: a", "traceparent: b"),
    get(ONE, "tracestate: a=1", "tracestate: b=2 "),
    get(ONE, "X-Request-ID:"),
    get(ONE, "X-Request-Timeout-Ms: 9000", "X-Request-Timeout-Ms: no"),
    get(ONE, "X-Request-Timeout-Ms: 9999999999"),
    get(ONE, "A : b"),
    get(ONE, "A b: c"),
    get(ONE, "A"),
    get(ONE, ": b"),
    get(ONE, " folded: x"),
    get(ONE, "A: b\r\n folded"),
    get(ONE, "A:\tb\t"),
    get(ONE, "A: \x7f"),
    get(ONE, "A: \0"),
    get(ONE, "A: é"),
    get(ONE, *(f"Header-{number}: {'x' * 400}" for number in range(60))),
    get(ONE, *(f"Header-{number}: {'x' * 400}" for number in range(100))),
    POST + LENGTH + b"\r\n" + BODY,
    POST.lower().replace(b"post", b"POST").replace(b"http", b"HTTP") + LENGTH + b"\r\n" + BODY,
    POST + LENGTH.replace(b": ", b": 0") + b"\r\n" + BODY,
    POST + LENGTH.replace(b": ", b":\t") + b"\r\n" + BODY,
    POST + LENGTH + LENGTH + b"\r\n" + BODY,
    POST + b"Content-Length: 0\r\n\r\n",
    POST + b"\r\n",
    POST + b"Expect: 100-continue\r\n" + LENGTH + b"\r\n" + BODY,
    POST + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    POST.replace(b"features", b"features?a=b") + LENGTH + b"\r\n" + BODY,
    POST.replace(b"json", b"json; charset=utf-8") + LENGTH + b"\r\n" + BODY,
    POST.replace(b"Content-Type: application/json\r\n", b"") + LENGTH + b"\r\n" + BODY,
    POST + b"Accept: application/vnd.apache.arrow.stream\r\n" + LENGTH + b"\r\n" + BODY,
    b"\x16\x03\x01",
]
"""Requests that are not written as most clients write them, or no requests."""


@pytest.fixture(scope="module")
def learned(server: ServerProcess) -> ServerProcess:
    """The server with hot routes, which has learned the plain requests."""
    for request in PLAIN:
        assert received(server.port, [request, LAST]).count(b"HTTP/1.1 200 ") == 2
    return server


def received(port: int, parts: Sequence[bytes]) -> bytes:
    """Send these parts on a new connection; return all that it receives until it is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = b""
        # The server may close the connection before it has read everything; it has answered then.
        with contextlib.suppress(ConnectionError):
            for part in parts:
                connection.sendall(part)
        with contextlib.suppress(ConnectionError):
            while chunk := connection.recv(65536):
                stream += chunk
        return stream


class Conversation:
    """A connection, and a second one, whose answers show that the server has read each part."""

    def __init__(self, port: int) -> None:
        address = ("127.0.0.1", port)
        self.connection = socket.create_connection(address, timeout=PATIENCE)
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._other = socket.create_connection(address, timeout=PATIENCE)

    def send(self, part: bytes) -> None:
        """Send a part, and wait until the server has read it by itself."""
        self.connection.sendall(part)
        self._other.sendall(get("/health/live"))
        assert _answer(self._other).startswith(b"HTTP/1.1 200 ")

    def answer(self) -> bytes:
        """Read the next answer."""
        return _answer(self.connection)

    def close(self) -> None:
        self.connection.close()
        self._other.close()


def _answer(connection: socket.socket) -> bytes:
    stream = b""
    while b"\r\n\r\n" not in stream:
        chunk = connection.recv(1)
        assert chunk, "closed"
        stream += chunk
    length = int(stream.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while length:
        chunk = connection.recv(length)
        assert chunk, "closed"
        stream += chunk
        length -= len(chunk)
    return stream


@pytest.fixture
def conversation(learned: ServerProcess) -> Iterator[Conversation]:
    """A conversation with the server that has hot routes."""
    opened = Conversation(learned.port)
    yield opened
    opened.close()


def hot_requests(server: ServerProcess) -> float:
    """Return how many requests hot routes have answered so far."""
    return server.metric("fscore_hot_requests_total")


def test_plain_requests_are_answered_by_hot_routes(
    learned: ServerProcess, application: ServerProcess
) -> None:
    before = hot_requests(learned)
    for request in PLAIN:
        # One request per connection, because two in one piece are no longer plain.
        talk = Conversation(learned.port)
        talk.send(request)
        assert talk.answer().startswith(b"HTTP/1.1 200 ")
        talk.close()
    assert hot_requests(learned) - before == len(PLAIN)
    assert hot_requests(application) == 0


@pytest.mark.parametrize("request_", OTHERS)
def test_other_requests_are_not_answered_by_hot_routes(
    learned: ServerProcess, request_: bytes
) -> None:
    received(learned.port, [request_, LAST])
    before = hot_requests(learned)
    talk = Conversation(learned.port)
    talk.send(request_)
    talk.answer()
    talk.close()
    assert hot_requests(learned) == before


@pytest.mark.parametrize("request_", UNUSUAL)
def test_unusual_requests_get_the_same_answers(
    learned: ServerProcess, application: ServerProcess, request_: bytes
) -> None:
    answers = {
        comparable_stream(received(process.port, parts))
        for process in (learned, application)
        for parts in ([request_, LAST], [request_ + LAST])
    }
    assert len(answers) == 1, answers
    # Plain requests before and after it do not change that.
    both = [PLAIN[0] + request_ + PLAIN[0] + LAST]
    one, other = (received(process.port, both) for process in (learned, application))
    assert comparable_stream(one) == comparable_stream(other)


@pytest.mark.parametrize("request_", [PLAIN[0], PLAIN[3], PLAIN[6], OTHERS[4], OTHERS[10]])
def test_a_request_that_is_cut_anywhere(
    conversation: Conversation, application: ServerProcess, request_: bytes
) -> None:
    expected = Conversation(application.port)
    expected.send(request_)
    answer = comparable_stream(expected.answer())
    expected.close()
    for end in range(1, len(request_)):
        conversation.send(request_[:end])
        conversation.send(request_[end:])
        assert comparable_stream(conversation.answer()) == answer, end
        # The next request comes whole, so a hot route answers it.
        conversation.send(PLAIN[0])
        assert b'"age":29' in conversation.answer()


@pytest.mark.parametrize("request_", [PLAIN[1], PLAIN[7]])
def test_a_request_byte_by_byte(conversation: Conversation, request_: bytes) -> None:
    conversation.send(request_)
    whole = comparable_stream(conversation.answer())
    for index in range(len(request_)):
        conversation.send(request_[index : index + 1])
    assert comparable_stream(conversation.answer()) == whole


@pytest.mark.parametrize("seed", range(40))
def test_requests_of_all_kinds_in_pieces_of_any_size(
    learned: ServerProcess, application: ServerProcess, seed: int
) -> None:
    chooser = random.Random(seed)
    requests = chooser.choices([*PLAIN, *PLAIN, *OTHERS], k=chooser.randint(2, 12))
    stream = b"".join(requests) + LAST
    cuts = sorted(chooser.sample(range(1, len(stream)), chooser.randint(0, 6)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, None], strict=True)]
    expected = comparable_stream(received(application.port, [stream]))
    assert expected.count(b"HTTP/1.1 ") == len(requests) + 1
    for parts in ([stream], pieces, [*requests, LAST]):
        assert comparable_stream(received(learned.port, parts)) == expected


def test_both_count_the_same(any_store: RedisServer) -> None:
    counted = []
    for hot in (True, False):
        with ServerProcess(any_store.url, hot_routes=hot) as process:
            for request in [*PLAIN, *PLAIN, *OTHERS]:
                received(process.port, [request + LAST])
                talk = Conversation(process.port)
                talk.send(request)
                talk.answer()
                talk.close()
            lines = process.client.get("/metrics").text.splitlines()
        counted.append(
            [
                line
                for line in lines
                if line.startswith(
                    (
                        "fscore_http_requests_total",
                        "fscore_http_requests_in_flight",
                        "fscore_feature_values_total",
                        "fscore_http_request_duration_seconds_count",
                    )
                )
            ]
        )
    assert counted[0] == counted[1]
