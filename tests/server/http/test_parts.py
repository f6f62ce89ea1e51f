"""Parts that need no running server: query strings, media types, settings, counters, caches."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fscore._fscore import is_request_id
from fscore.errors import ERRORS, ConfigError, FscoreError, InvalidRequest, Overloaded
from fscore_server.http import query, request_id
from fscore_server.http.negotiation import response_type
from fscore_server.problems import KINDS, Problem, problem_of
from fscore_server.reading.cache import Cache
from fscore_server.settings import load_settings
from fscore_server.telemetry.logs import JsonFormatter, RateLimited, TextFormatter
from fscore_server.telemetry.metrics import Metrics

# Query strings.

NAMES = st.dictionaries(st.text(min_size=1), st.text(), max_size=5)


@given(NAMES)
def test_a_query_string_reads_back(parameters: dict[str, str]) -> None:
    encodable = {
        name: value
        for name, value in parameters.items()
        if not any("\ud800" <= letter <= "\udfff" for letter in name + value)
    }
    assert query.parse(urlencode(encodable).encode()) == encodable


@given(st.binary(max_size=60))
def test_any_query_string_is_read_or_refused(raw: bytes) -> None:
    try:
        query.parse(raw)
    except (Problem, InvalidRequest) as error:
        assert problem_of(error).kind.status in (400, 422)


@given(st.binary(max_size=60))
def test_any_query_string_is_a_request_or_refused(raw: bytes) -> None:
    try:
        asked = query.read_request(raw)
    except (Problem, InvalidRequest) as error:
        assert problem_of(error).kind.status in (400, 422)
    else:
        reserved = {"service", "features", "version", "partial", "consistency", "as_of"}
        assert asked.names == [name for name in query.parse(raw) if name not in reserved]


# Media types.

JSON, ARROW = b"application/json", b"application/vnd.apache.arrow.stream"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        (None, JSON),
        (b"*/*", JSON),
        (b"", JSON),
        (b"application/*", JSON),
        (ARROW, ARROW),
        (b"APPLICATION/VND.apache.arrow.stream", ARROW),
        (b"application/json;q=0.5, " + ARROW, ARROW),
        (ARROW + b";q=0.5, */*", JSON),
        (b"text/html, */*;q=0.1", JSON),
        (b"*/*, application/json;q=0", ARROW),
        (ARROW + b";q=nan, */*", JSON),
    ],
)
def test_the_preferred_type_is_chosen(accept: bytes | None, chosen: bytes) -> None:
    headers = [] if accept is None else [(b"accept", accept)]
    assert response_type(headers, (JSON, ARROW)) == chosen


def test_several_accept_headers_are_one_list() -> None:
    headers = [(b"accept", b"text/html"), (b"accept", ARROW)]
    assert response_type(headers, (JSON, ARROW)) == ARROW


# Request ids.


def test_ids_of_two_sources_differ() -> None:
    one, other = request_id.generator(), request_id.generator()
    ids = {source() for source in (one, other) for _ in range(10)}
    assert len(ids) == 20
    assert all(is_request_id(made) for made in ids)


# Problems.


def test_every_error_is_a_problem_of_its_own_status() -> None:
    for code, error in ERRORS.items():
        kind = problem_of(error("said so")).kind
        if code in KINDS:
            assert (kind.code, kind.status) == (code, error.status)
        else:
            assert kind.code == "internal_error"


def test_retry_after_is_whole_seconds() -> None:
    for seconds, header in ((None, b"1"), (0.2, b"1"), (2.1, b"3")):
        problem = problem_of(Overloaded("full", retry_after=seconds))
        assert problem.headers == ((b"retry-after", header),)


def test_what_is_not_foreseen_says_nothing_to_the_caller() -> None:
    problem = problem_of(ValueError("a secret"))
    assert problem.kind.status == 500
    assert b"secret" not in problem.document("id", "/")


def test_faults_of_the_store_do_not_show_its_address() -> None:
    for code in ("unavailable", "config_error", "authentication_failed", "protocol_error"):
        error: FscoreError = ERRORS[code]("10.0.0.7:6379 refused user reader")
        assert b"10.0.0.7" not in problem_of(error).document("id", "/")


# Settings.


def test_secrets_are_hidden_in_every_repr() -> None:
    settings = load_settings(redis_url="redis://:s3cret@127.0.0.1:6379", redis_password="s3cret")
    assert "s3cret" not in f"{settings!r} {settings} {settings.model_dump_json()}"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_only_loopback_is_listened_on_without_authentication(host: str) -> None:
    with pytest.raises(ConfigError, match="insecure_no_auth"):
        load_settings(host=host)
    assert load_settings(host=host, insecure_no_auth=True).host == host


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_is_listened_on(host: str) -> None:
    assert load_settings(host=host).host == host


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSCORE_PORT", "9999")
    monkeypatch.setenv("FSCORE_WORKERS", "3")
    assert (load_settings().port, load_settings(port=1).port) == (9999, 1)
    assert load_settings(workers=None).workers == 3


def test_unknown_variables_and_arguments_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSCORE_WORKRES", "3")
    with pytest.raises(ConfigError, match="FSCORE_WORKERS"):
        load_settings()
    monkeypatch.delenv("FSCORE_WORKRES")
    with pytest.raises(ConfigError, match="colour"):
        load_settings(colour="red")


def test_wrong_values_are_named_all_at_once() -> None:
    with pytest.raises(ConfigError, match=r"port.*workers"):
        load_settings(port=70000, workers=0)


# Logs.


def _record(**fields: object) -> logging.LogRecord:
    record = logging.makeLogRecord(
        {"name": "root", "msg": "it %s", "args": ("happened",), "levelname": "INFO"}
    )
    record.fields = fields
    return record


def test_lines_for_machines_are_one_json_object() -> None:
    line = JsonFormatter(worker=2).format(_record(path="/a\nb", ms=1.5))
    assert "\n" not in line
    entry = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry.pop("time"))
    assert entry == {
        "level": "info",
        "logger": "root",
        "message": "it happened",
        "worker": 2,
        "path": "/a\nb",
        "ms": 1.5,
    }


def test_lines_for_people_are_short() -> None:
    line = TextFormatter().format(_record(path="/a\nb c", ms=1.5))
    # Text from a caller cannot forge a line of the log.
    assert re.fullmatch(r"\d\d:\d\d:\d\d info    it happened path='/a\\nb c' ms=1.5", line)


# Counters.


def test_workers_count_apart_and_are_shown_together(tmp_path: Path) -> None:
    routes = [("GET", "/a"), ("POST", "/a")]
    workers = [Metrics(routes, worker=n, workers=2, path=tmp_path / "m") for n in range(2)]
    for number, metrics in enumerate(workers):
        for _ in range(number + 1):
            metrics.request_started()
            metrics.request_finished("GET", "/a", 200, 0.003)
        metrics.values([5, 0, 0, 0, 1, 0])
    for metrics in workers:
        text = metrics.render().decode()
        for number in (0, 1):
            labels = f'worker="{number}",method="GET",route="/a"'
            assert f'requests_total{{{labels},status="200"}} {number + 1}\n' in text
            assert f'duration_seconds_bucket{{{labels},le="0.002"}} 0\n' in text
            assert f'duration_seconds_bucket{{{labels},le="0.005"}} {number + 1}\n' in text
            assert f'values_total{{worker="{number}",status="INVALID"}} 1\n' in text


def test_a_replaced_worker_goes_on_counting_without_the_dead_ones_requests(tmp_path: Path) -> None:
    first = Metrics([], path=tmp_path / "m")
    first.request_started()
    first.values_present(3)
    second = Metrics([], path=tmp_path / "m")
    assert second.in_flight == 0
    assert 'values_total{worker="0",status="PRESENT"} 3\n' in second.render().decode()


def test_unknown_routes_are_counted_as_others() -> None:
    metrics = Metrics([("GET", "/a")])
    metrics.request_started()
    metrics.request_finished("GET", "/nowhere", 404, 0.1)
    assert 'method="other",route="other",status="404"} 1\n' in metrics.render().decode()


# Caches and rates.


def test_a_cache_is_bounded_and_forgets_with_its_registry() -> None:
    cache: Cache[int] = Cache(2)
    one, other = object(), object()
    cache.put("a", one, 1)
    cache.put("b", one, 2)
    assert cache.get("a", one) == 1
    cache.put("c", one, 3)
    assert [cache.get(key, one) for key in "abc"] == [1, None, 3]
    assert cache.get("a", other) is None
    cache.put("a", other, 4)
    assert (cache.get("a", other), cache.get("c", other), cache.get("a", one)) == (4, None, None)


def test_a_cache_is_bounded_by_weight() -> None:
    cache: Cache[int] = Cache(10)
    registry = object()
    for number in range(5):
        cache.put(number, registry, number, 4)
    assert [cache.get(number, registry) for number in range(5)] == [None, None, None, 3, 4]
    cache.put(3, registry, 33, 6)
    assert (cache.get(3, registry), cache.get(4, registry)) == (33, 4)
    cache.put("all", registry, 1, 10)
    cache.put("too much", registry, 1, 11)
    assert (cache.get("all", registry), cache.get(3, registry)) == (1, None)
    assert cache.get("too much", registry) is None


def test_a_rate_lets_some_through_and_counts_the_rest() -> None:
    now = 0.0
    limited = RateLimited(2, 1.0, clock=lambda: now)
    assert [limited.admit() for _ in range(4)] == [0, 0, None, None]
    now = 1.0
    assert limited.admit() == 2
