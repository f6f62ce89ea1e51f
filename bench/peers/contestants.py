"""The HTTP servers of the comparison: how to start each, send it requests, and read its answers.

All servers except Feast's have the same two routes and answer the same JSON document. Feast's
server has a route and a document of its own; the same values are taken from it and compared.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.measure import build
from bench.measure.process import HttpServer, serving
from bench.measure.servers import Server, free_port
from bench.measure.workload import Layout, Workload, values
from bench.peers import Unavailable
from fscore.model.fingerprint import fingerprint

Request = tuple[str, str, str]

# Callers take turns through these. There are so many that equal requests are rarely under way
# together; fscore would send those to Redis only once.
REQUESTS = 2_000

FSCORE = "fscore serve"
FSCORE_PACKED = "fscore serve, packed"
GO_REDIS = {
    "HGETALL": "Go net/http + go-redis, HGETALL",
    "HMGET": "Go net/http + go-redis, HMGET",
    "packed": "Go net/http + go-redis, packed",
}
RUEIDIS = {
    "HGETALL": "Go net/http + rueidis, HGETALL",
    "HMGET": "Go net/http + rueidis, HMGET",
    "packed": "Go net/http + rueidis, packed",
}
RUST = "Rust hyper + redis-rs"
RUST_PACKED = "Rust hyper + redis-rs, packed"
STARLETTE = "Starlette + redis.asyncio"
FEAST = "Feast's server"
FEAST_VECTOR = "Feast's server, precomputed"

# fscore's own default.
DEADLINE_MS = 50

# Short names for the command line; each stands for one or more contestants.
GROUPS = {
    "fscore": (FSCORE, FSCORE_PACKED),
    "go-redis": tuple(GO_REDIS.values()),
    "rueidis": tuple(RUEIDIS.values()),
    "rust": (RUST, RUST_PACKED),
    "starlette": (STARLETTE,),
    "feast": (FEAST, FEAST_VECTOR),
}


@dataclass(frozen=True)
class Contestant:
    """A running server, and how it is asked: the layout, or for Feast the family of services."""

    server: HttpServer
    layout: Layout = "hash"
    # Feast's family of services, `plain` or `vector`; None for servers with our routes.
    feast: str | None = None
    # More would wait in a slow server's queue, and keep it busy long after the load has ended.
    most_connections: int = 1_000

    @property
    def name(self) -> str:
        return self.server.name

    def requests(self, workload: Workload) -> list[Request]:
        """Return method, path and body of each request: GET for one entity, POST for several."""
        batches = workload.batches(REQUESTS)
        if self.feast is not None:
            bodies = [self._feast_body(workload, ids) for ids in batches]
            return [("POST", "/get-online-features", _compact(body)) for body in bodies]
        service, join_key = _of(workload, self.layout).service, workload.join_key
        if workload.entities == 1:
            query = f"/v1/features?service={service}&{join_key}="
            return [("GET", f"{query}{identifier}", "") for (identifier,) in batches]
        bodies = [{"service": service, "entities": {join_key: ids}} for ids in batches]
        return [("POST", "/v1/features", _compact(body)) for body in bodies]

    def document(self, request: Request, workload: Workload) -> tuple[Any, int]:
        """Send a request; return the answer in the form of our routes, and the response's size."""
        status, body, size = self.server.ask(*request)
        if status != 200:
            raise SystemExit(f"{self.name} answers {request[1]} with {status}: {body[:300]!r}")
        answer = json.loads(body)
        return (answer if self.feast is None else _from_feast(answer, workload)), size

    def _feast_body(self, workload: Workload, ids: list[int]) -> dict[str, Any]:
        """Return the body for Feast's route, with full names: Feast finds vectors only by those."""
        return {
            "feature_service": f"{self.feast}{workload.stored}",
            "entities": {workload.join_key: ids},
            "full_feature_names": True,
        }


def _from_feast(answer: Any, workload: Workload) -> dict[str, Any]:
    """Convert Feast's answer, columns by full names in any order, to the form of our routes."""
    names = [name.rpartition("__")[2] for name in answer["metadata"]["feature_names"]]
    columns = dict(zip(names, (column["values"] for column in answer["results"]), strict=True))
    ids = columns[workload.join_key]
    rows = [[columns[name][i] for name in workload.asked] for i in range(len(ids))]
    if workload.entities > 1:
        entities = {workload.join_key: ids}
        return {"features": workload.asked, "entities": entities, "values": rows, "version": 1}
    features = dict(zip(workload.asked, rows[0], strict=True))
    return {"entity": {workload.join_key: ids[0]}, "features": features, "version": 1}


def compare(contestants: Sequence[Contestant], workload: Workload) -> dict[str, float]:
    """Check that all servers answer alike; return the mean size of each one's responses."""
    requests = {each.name: each.requests(workload) for each in contestants}
    sizes = dict.fromkeys(requests, 0.0)
    rounds = len(workload.batches())
    for turn in range(rounds):
        answers = []
        for each in contestants:
            answer, size = each.document(requests[each.name][turn], workload)
            answers.append(answer)
            sizes[each.name] += size / rounds
            if answer != answers[0]:
                raise SystemExit(
                    f"{each.name} and {contestants[0].name} answer {workload.name} differently: "
                    f"{str(answer)[:300]} and {str(answers[0])[:300]}"
                )
    return sizes


def started(
    redis: Server,
    widths: Sequence[int],
    wanted: Sequence[str],
    stack: contextlib.ExitStack,
    workers: int = 1,
    timeout_ms: int = DEADLINE_MS,
    environment: Mapping[str, str] | None = None,
) -> tuple[list[Contestant], dict[str, str]]:
    """Start the servers of the wanted groups; also return the reason for each absent one.

    `environment` has variables for fscore's server, beside those of this process.
    """
    running: list[Contestant] = []
    absent: dict[str, str] = {}
    for group in wanted:
        try:
            if group == "fscore":
                running += stack.enter_context(_fscore(redis, workers, timeout_ms, environment))
            elif group == "starlette":
                running.append(stack.enter_context(_starlette(redis, widths)))
            elif group == "feast":
                running += stack.enter_context(_feast(redis, widths))
            else:
                for name in GROUPS[group]:
                    running.append(stack.enter_context(_native(group, name, redis, widths)))
        except Unavailable as reason:
            absent |= dict.fromkeys(GROUPS[group], str(reason))
    return running, absent


@contextlib.contextmanager
def _fscore(
    redis: Server, workers: int, timeout_ms: int, environment: Mapping[str, str] | None
) -> Iterator[list[Contestant]]:
    """Start fscore's server, which serves both layouts, and return a contestant for each."""
    port = free_port()
    command = [sys.executable, "-m", "fscore_server.cli", "serve", "--port", str(port)]
    command += ["--redis-url", redis.url(), "--workers", str(workers)]
    command += ["--request-timeout-ms", str(timeout_ms)]
    with serving(FSCORE, command, port, "/health/ready", environment) as server:
        packed = HttpServer(FSCORE_PACKED, server.port, server.pid)
        yield [Contestant(server), Contestant(packed, "packed")]


@contextlib.contextmanager
def _native(group: str, name: str, redis: Server, widths: Sequence[int]) -> Iterator[Contestant]:
    """Start the servers in Go and Rust, one for each way to read."""
    port = free_port()
    layout: Layout = "packed" if name.endswith("packed") else "hash"
    read = name.rpartition(", ")[2].lower() if ", " in name else "hgetall"
    if group == "rust":
        command = [str(build.rust_server()), "--redis", f"redis://127.0.0.1:{redis.port}"]
    else:
        address = f"127.0.0.1:{redis.port}"
        command = [str(build.go_server()), "--redis", address, "--client", group]
    command += ["--port", str(port), "--read", read]
    for width in widths:
        workload = Workload(1, width, width, layout=layout)
        schema = fingerprint([(feature, "Float64") for feature in workload.asked])
        parts = (workload.entity, workload.join_key, workload.view, str(width), str(schema))
        command += ["--service", f"{workload.service}={':'.join(parts)}"]
    with serving(name, command, port, _probe(widths[0], layout)) as server:
        yield Contestant(server, layout)


@contextlib.contextmanager
def _starlette(redis: Server, widths: Sequence[int]) -> Iterator[Contestant]:
    port = free_port()
    command = [
        sys.executable, "-m", "bench.peers.starlette_redis", "--redis-url", redis.url(),
        "--port", str(port), "--widths", *map(str, widths),
    ]  # fmt: skip
    with serving(STARLETTE, command, port, _probe(widths[0], "hash")) as server:
        yield Contestant(server, most_connections=32)


@contextlib.contextmanager
def _feast(redis: Server, widths: Sequence[int]) -> Iterator[list[Contestant]]:
    """Start `feast serve` with one worker, in an environment of its own.

    By default it replaces the worker every 1,000 requests, which would distort the figures;
    `--max-requests 0` turns that off.
    """
    binaries = build.virtualenv("feast")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="fscore-feast-") as folder:
        rows = []
        for width in widths:
            path = Path(folder) / f"{width}.npy"
            np.save(path, values(width))
            rows.append(f"{width}={path}")
        script = str(Path(__file__).parent / "feast_store.py")
        address = f"127.0.0.1:{redis.port}"
        filled = subprocess.run(
            [str(binaries / "python"), script, folder, address, *rows],
            capture_output=True, text=True,
        )  # fmt: skip
        if filled.returncode:
            raise Unavailable(f"Feast's store could not be filled: {filled.stderr[-600:]}")
        command = [
            str(binaries / "feast"), "-c", folder, "serve", "--host", "127.0.0.1",
            "--port", str(port), "--workers", "1", "--max-requests", "0", "--no-access-log",
        ]  # fmt: skip
        with serving(FEAST, command, port, "/health") as server:
            vector = HttpServer(FEAST_VECTOR, server.port, server.pid)
            yield [
                Contestant(server, feast="plain", most_connections=16),
                Contestant(vector, feast="vector", most_connections=16),
            ]


def _probe(width: int, layout: Layout) -> str:
    workload = Workload(1, width, width, layout=layout)
    return f"/v1/features?service={workload.service}&{workload.join_key}=0"


def _of(workload: Workload, layout: Layout) -> Workload:
    return Workload(workload.entities, workload.features, workload.stored, layout=layout)


def _compact(body: object) -> str:
    return json.dumps(body, separators=(",", ":"))
