"""Counters in Prometheus's text format, shared by the worker processes.

A scrape reaches one worker, whichever accepts the connection, so it must be able to answer for
all. Every series is known when the server starts (fixed routes, statuses and buckets), so each
worker counts in a row of its own in one shared array of doubles, and any worker renders all rows.
A row has one writer, so counting takes no lock and costs one addition. prometheus_client's
multi-process mode looks up labelled children, takes a lock for each, and reads a file per process
at a scrape.
"""

from __future__ import annotations

import itertools
import mmap
import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from fscore import Status
from fscore.serving import RouteCounters
from fscore_server.problems import KINDS

MEDIA_TYPE = b"text/plain; version=0.0.4; charset=utf-8"

# Upper bounds in seconds, finest around the usual time of a read.
BUCKETS = (
    0.00025, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip
VALUE_STATUSES = tuple(status.name for status in Status)

# Counts requests whose route or method is not one of the server's.
OTHER = ("other", "other")

# The caller closed the connection before there was an answer: counted, never sent.
CLIENT_GONE = 499

_STATUSES = sorted({200, CLIENT_GONE, *(kind.status for kind in KINDS.values())})
_STATUS_INDEX = {status: index for index, status in enumerate(_STATUSES)}
# A row begins with: requests in flight, the revision, requests answered before ASGI, whether the
# file of API keys is valid, values by status. The routes follow.
_IN_FLIGHT, _REVISION, _HOT, _API_KEYS, _VALUES = range(5)
# The slot for the file of API keys. It stays zero if the server has no such file.
_WRONG, _RIGHT = 1.0, 2.0
_ROUTES = _VALUES + len(VALUE_STATUSES)
# A route has: requests by status, one slot per bucket and one for +Inf, the sum of seconds.
_ROUTE_SLOTS = len(_STATUSES) + len(BUCKETS) + 2
_DOUBLE = 8


class Metrics:
    """The counters of all workers; `worker` is the row that this process counts in."""

    def __init__(
        self,
        routes: Sequence[tuple[str, str]],
        *,
        worker: int = 0,
        workers: int = 1,
        path: Path | None = None,
    ) -> None:
        self._routes = [*routes, OTHER]
        self._index = {route: index for index, route in enumerate(self._routes)}
        self._other = self._index[OTHER]
        self._workers = workers
        self._row_slots = _ROUTES + len(self._routes) * _ROUTE_SLOTS
        self._slots = _shared_doubles(self._row_slots * workers, path)
        self._row = worker * self._row_slots
        # A worker that replaces a dead one continues its counts, but the dead one's requests are
        # no longer in flight.
        self._slots[self._row + _IN_FLIGHT] = 0.0

    @property
    def in_flight(self) -> float:
        """How many requests this worker is answering now."""
        return self._slots[self._row + _IN_FLIGHT]

    def route_counters(self, method: str, path: str) -> RouteCounters:
        """Return the slots of this route's counters, which the hot path counts in by itself."""
        base = self._row + _ROUTES + self._index[method, path] * _ROUTE_SLOTS
        places = {
            "in_flight": self._row + _IN_FLIGHT,
            "hot": self._row + _HOT,
            "values": self._row + _VALUES,
            "answered": base + _STATUS_INDEX[200],
            "gone": base + _STATUS_INDEX[CLIENT_GONE],
            "buckets": base + len(_STATUSES),
        }
        return RouteCounters(self._slots, places, list(BUCKETS))

    def request_started(self) -> None:
        self._slots[self._row + _IN_FLIGHT] += 1.0

    def request_finished(self, method: str, path: str, status: int, seconds: float) -> None:
        slots = self._slots
        slots[self._row + _IN_FLIGHT] -= 1.0
        index = self._index.get((method, path), self._other)
        base = self._row + _ROUTES + index * _ROUTE_SLOTS
        slots[base + _STATUS_INDEX[status]] += 1.0
        base += len(_STATUSES)
        slots[base + bisect_left(BUCKETS, seconds)] += 1.0
        slots[base + len(BUCKETS) + 1] += seconds

    def values_present(self, count: int) -> None:
        """Count `count` values that are all PRESENT."""
        self._slots[self._row + _VALUES] += count

    def values(self, counts: Sequence[int]) -> None:
        """Count values by status; `counts` is in the order of the status codes."""
        for status, count in enumerate(counts):
            if count:
                self._slots[self._row + _VALUES + status] += count

    def revision(self, revision: int) -> None:
        """Record the registry revision that this worker serves."""
        self._slots[self._row + _REVISION] = revision

    def api_keys_valid(self, valid: bool) -> None:
        """Record whether this worker could use the file of API keys when it last looked."""
        self._slots[self._row + _API_KEYS] = _RIGHT if valid else _WRONG

    def render(self, versions: Mapping[str, int] | None = None) -> bytes:
        """Return the exposition of every worker's row, and the version that each service reads.

        The services are not known when the server starts, so their versions cannot be shared
        series. `versions` are those of the worker that answers; the others differ from it for
        milliseconds after a promotion.
        """
        lines = itertools.chain(self._lines(), _versions(versions or {}))
        return "".join(f"{line}\n" for line in lines).encode()

    def _lines(self) -> Iterator[str]:
        yield "# HELP fscore_http_requests_in_flight Requests being answered now."
        yield "# TYPE fscore_http_requests_in_flight gauge"
        for worker, row in self._rows():
            yield f'fscore_http_requests_in_flight{{worker="{worker}"}} {row[_IN_FLIGHT]:.0f}'
        yield "# HELP fscore_registry_revision Revision of the definitions being served."
        yield "# TYPE fscore_registry_revision gauge"
        for worker, row in self._rows():
            yield f'fscore_registry_revision{{worker="{worker}"}} {row[_REVISION]:.0f}'
        yield "# HELP fscore_hot_requests_total Requests answered before the web framework."
        yield "# TYPE fscore_hot_requests_total counter"
        for worker, row in self._rows():
            yield f'fscore_hot_requests_total{{worker="{worker}"}} {row[_HOT]:.0f}'
        yield from self._api_key_lines()
        yield "# HELP fscore_feature_values_total Feature values answered, by status."
        yield "# TYPE fscore_feature_values_total counter"
        for worker, row in self._rows():
            for name, count in zip(VALUE_STATUSES, row[_VALUES:], strict=False):
                labels = f'worker="{worker}",status="{name}"'
                yield f"fscore_feature_values_total{{{labels}}} {count:.0f}"
        yield "# HELP fscore_http_requests_total Requests answered, by route and status."
        yield "# TYPE fscore_http_requests_total counter"
        for labels, series in self._series():
            for status, count in zip(_STATUSES, series, strict=False):
                if count:
                    yield f'fscore_http_requests_total{{{labels},status="{status}"}} {count:.0f}'
        yield "# HELP fscore_http_request_duration_seconds Time from header to answer."
        yield "# TYPE fscore_http_request_duration_seconds histogram"
        for labels, series in self._series():
            yield from _histogram(labels, series[len(_STATUSES) :])

    def _api_key_lines(self) -> Iterator[str]:
        found = [(worker, row[_API_KEYS]) for worker, row in self._rows() if row[_API_KEYS]]
        if found:
            yield "# HELP fscore_api_keys_valid Whether the file of API keys is valid."
            yield "# TYPE fscore_api_keys_valid gauge"
        for worker, state in found:
            yield f'fscore_api_keys_valid{{worker="{worker}"}} {int(state == _RIGHT)}'

    def _rows(self) -> Iterator[tuple[int, list[float]]]:
        for worker in range(self._workers):
            start = worker * self._row_slots
            yield worker, list(self._slots[start : start + self._row_slots])

    def _series(self) -> Iterator[tuple[str, list[float]]]:
        for worker, row in self._rows():
            for index, (method, path) in enumerate(self._routes):
                start = _ROUTES + index * _ROUTE_SLOTS
                yield (
                    f'worker="{worker}",method="{method}",route="{path}"',
                    row[start : start + _ROUTE_SLOTS],
                )


def _versions(versions: Mapping[str, int]) -> Iterator[str]:
    if versions:
        yield "# HELP fscore_service_version Version of its data that the service reads."
        yield "# TYPE fscore_service_version gauge"
    for service, version in versions.items():
        yield f'fscore_service_version{{service="{service}"}} {version}'


def _histogram(labels: str, slots: list[float]) -> Iterator[str]:
    name = "fscore_http_request_duration_seconds"
    total = 0.0
    for bound, count in zip((*BUCKETS, "+Inf"), slots, strict=False):
        total += count
        yield f'{name}_bucket{{{labels},le="{bound}"}} {total:.0f}'
    yield f"{name}_sum{{{labels}}} {slots[-1]:.6f}"
    yield f"{name}_count{{{labels}}} {total:.0f}"


def _shared_doubles(count: int, path: Path | None) -> memoryview[float]:
    size = count * _DOUBLE
    if path is None:
        return memoryview(mmap.mmap(-1, size)).cast("d")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size < size:
            os.ftruncate(descriptor, size)
        return memoryview(mmap.mmap(descriptor, size)).cast("d")
    finally:
        os.close(descriptor)
