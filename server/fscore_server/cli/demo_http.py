"""The requests that the demo sends to its server, and how long the answers take."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["TIMEOUT", "Query", "Timing", "measure", "queries", "wait_until_ready"]

_SERVICE = "recommendation"
_LIVE_SERVICE = "live_recommendation"
_LIVE = [
    *("platform", "clicks_30m", "clicks_24h", "clicks_7d", "time_on_site", "has_seen_promo"),
    "last_3_events",
]
# The time of the sample's newest event, ten minutes before, and users with events shortly before.
_END = "2024-06-29T22:02:40Z"
_BEFORE = "2024-06-29T21:52:40Z"
_BUSY = [f"user_{number:04}" for number in (248, 205, 478, 231, 558, 176, 241, 83, 363, 42)]
TIMEOUT = 5.0
"""Seconds that the demo waits for an answer."""
_MOST_REQUESTS = 2_000
_MOST_SECONDS = 2.0
_WARM_UP = 50
_POLL_SECONDS = 0.05
_WIDTH = 92


@dataclass(frozen=True, slots=True)
class Query:
    """One request, as a curl command, with its answer."""

    title: str
    curl: str
    body: Any

    def answer(self) -> str:
        """Return the answer as JSON for a terminal of 100 columns, rows on lines of their own."""
        return _laid_out(self.body)


@dataclass(frozen=True, slots=True)
class Timing:
    """The latency of a number of requests, in milliseconds: p50, p90 and p99."""

    name: str
    requests: int
    percentiles: tuple[float, float, float]


def wait_until_ready(port: int, seconds: float, alive: Callable[[], bool]) -> bool:
    """Poll `/health/ready` until the server is ready; return False if `seconds` have passed or the
    server has ended."""
    deadline = time.monotonic() + seconds
    while alive() and time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        try:
            connection.request("GET", "/health/ready")
            if connection.getresponse().status == 200:
                return True
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(_POLL_SECONDS)
    return False


def queries(port: int) -> Iterator[Query]:
    """Send requests of different kinds and yield each with its answer."""
    base = f"http://localhost:{port}"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)

    def get(title: str, target: str) -> Query:
        return Query(title, f"curl '{base}{target}'", _get(connection, target))

    yield get("One user", f"/v1/features?user_id=user_0000&service={_SERVICE}")
    body = json.dumps({"features": _LIVE, "entities": {"user_id": _BUSY}, "as_of": _END})
    curl = f"curl {base}/v1/features -H 'Content-Type: application/json' \\\n  -d '{body}'"
    yield Query(
        "Ten users in one request, as of the end of the data", curl, _post(connection, body)
    )
    visitor = f"/v1/features?user_id={_BUSY[0]}"
    yield get(
        "Everything about one user, at one point in time",
        f"{visitor}&service={_LIVE_SERVICE}&consistency=snapshot&as_of={_END}",
    )
    yield get(
        "The same user ten minutes earlier",
        f"{visitor}&features={','.join(_LIVE)}&as_of={_BEFORE}",
    )
    yield get(
        "Chosen features, and an unknown user",
        "/v1/features?user_id=nobody&features=platform,events_total,last_event_time",
    )
    connection.close()


def measure(port: int) -> Iterator[Timing]:
    """Time requests of different kinds on one connection, bounded in count and in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
    users = [f"user_{number:04}" for number in range(600)]

    def one(number: int) -> None:
        user = users[number % len(users)]
        _get(connection, f"/v1/features?user_id={user}&service={_SERVICE}")

    def ten(service: str) -> Callable[[int], None]:
        def request(number: int) -> None:
            first = number * 10 % len(users)
            entities = {"user_id": users[first : first + 10]}
            body = {"service": service, "entities": entities, "as_of": _END}
            _post(connection, json.dumps(body))

        return request

    yield _timed("GET 1 user, recommendation", one)
    yield _timed("POST 10 users, recommendation", ten(_SERVICE))
    yield _timed("POST 10 users, live_recommendation", ten(_LIVE_SERVICE))
    connection.close()


def _timed(name: str, request: Callable[[int], None]) -> Timing:
    for number in range(_WARM_UP):
        request(number)
    taken: list[float] = []
    end = time.perf_counter() + _MOST_SECONDS
    for number in range(_MOST_REQUESTS):
        started = time.perf_counter()
        if started >= end:
            break
        request(number)
        taken.append((time.perf_counter() - started) * 1000)
    taken.sort()
    p50, p90, p99 = (taken[int(len(taken) * part)] for part in (0.5, 0.9, 0.99))
    return Timing(name, len(taken), (p50, p90, p99))


def _get(connection: http.client.HTTPConnection, target: str) -> Any:
    connection.request("GET", target)
    return _answer(connection)


def _post(connection: http.client.HTTPConnection, body: str) -> Any:
    connection.request("POST", "/v1/features", body, {"Content-Type": "application/json"})
    return _answer(connection)


def _answer(connection: http.client.HTTPConnection) -> Any:
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise OSError(f"the server answered {response.status}: {content.decode(errors='replace')}")
    return json.loads(content)


def _laid_out(body: dict[str, Any]) -> str:
    members = [f"  {json.dumps(name)}: {_member(value)}" for name, value in body.items()]
    return "{\n" + ",\n".join(members) + "\n}"


def _member(value: Any) -> str:
    text = json.dumps(value)
    if isinstance(value, list) and value and isinstance(value[0], list):
        rows = (_filled([json.dumps(item) for item in row], indent=5).strip() for row in value)
        return "[\n" + ",\n".join(f"    [{row}]" for row in rows) + "\n  ]"
    if len(text) <= _WIDTH:
        return text
    if isinstance(value, dict):
        items = [f"{json.dumps(name)}: {_item(json.dumps(name), of)}" for name, of in value.items()]
        return f"{{\n{_filled(items)}\n  }}"
    return f"[\n{_filled([json.dumps(item) for item in value])}\n  ]"


def _item(name: str, value: Any) -> str:
    """Return a member's value; a list that is wider than the terminal gets lines of its own."""
    text = json.dumps(value)
    if not isinstance(value, list) or len(name) + len(text) + 2 <= _WIDTH:
        return text
    return f"[\n{_filled([json.dumps(item) for item in value], indent=6)}\n    ]"


def _filled(items: list[str], indent: int = 4) -> str:
    """Return the items on as few lines as fit the width, none of them broken."""
    lines = [""]
    for item in items:
        if lines[-1] and len(lines[-1]) + len(item) + 2 > _WIDTH:
            lines.append("")
        lines[-1] += f"{', ' if lines[-1] else ''}{item}"
    return ",\n".join(" " * indent + line for line in lines)
