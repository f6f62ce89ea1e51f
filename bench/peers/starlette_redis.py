"""A peer server: the same two routes in an ordinary Starlette application with redis.asyncio.

Its services are fixed and its values are all floats, so it has less to do than a feature store: no
registry, no types, no statuses, no deadlines. `python -m bench.peers.starlette_redis` serves it on
uvicorn with uvloop and httptools.
"""

from __future__ import annotations

import argparse
from typing import Any

import orjson
import redis.asyncio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.measure.workload import Workload


class Features:
    """The two routes; a service's name selects the workload whose entities are read."""

    def __init__(self, url: str, workloads: list[Workload]) -> None:
        self._redis = redis.asyncio.Redis.from_url(url)
        self._services = {workload.service: workload for workload in workloads}
        self._names = {workload.service: workload.asked for workload in workloads}

    def routes(self) -> list[Route]:
        return [
            Route("/v1/features", self.one, methods=["GET"]),
            Route("/v1/features", self.many, methods=["POST"]),
        ]

    async def one(self, request: Request) -> Response:
        query = request.query_params
        workload = self._services.get(query.get("service", ""))
        if workload is None:
            return _problem(404, "no such service")
        join_key, names = workload.join_key, self._names[workload.service]
        try:
            identifier = int(query[join_key])
        except (KeyError, ValueError):
            return _problem(422, f"{join_key} must be an integer")
        row = await self._redis.hmget(workload.key(identifier), names)
        features = dict(zip(names, map(_number, row), strict=True))
        entity = {join_key: identifier}
        return _json({"entity": entity, "features": features, "version": 1})

    async def many(self, request: Request) -> Response:
        try:
            body = orjson.loads(await request.body())
            service, ((join_key, identifiers),) = body["service"], body["entities"].items()
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
            return _problem(422, "the body needs service and entities with one join key")
        workload = self._services.get(service)
        if workload is None:
            return _problem(404, "no such service")
        if join_key != workload.join_key or not all(type(one) is int for one in identifiers):
            return _problem(422, f"{workload.join_key} must be integers")
        names = self._names[service]
        pipeline = self._redis.pipeline(transaction=False)
        for identifier in identifiers:
            pipeline.hmget(workload.key(identifier), names)
        rows = [list(map(_number, row)) for row in await pipeline.execute()]
        entities = {join_key: identifiers}
        answer = {"features": names, "entities": entities, "values": rows, "version": 1}
        return _json(answer)


def _number(text: bytes | str | None) -> float | None:
    return None if text is None else float(text)


def _json(answer: Any) -> Response:
    return Response(orjson.dumps(answer), media_type="application/json")


def _problem(status: int, detail: str) -> Response:
    body = orjson.dumps({"status": status, "detail": detail})
    return Response(body, status, media_type="application/problem+json")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--redis-url", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--widths", type=int, nargs="+", required=True)
    given = parser.parse_args()
    workloads = [Workload(1, width, width) for width in given.widths]
    app = Starlette(routes=Features(given.redis_url, workloads).routes())
    uvicorn.run(
        app, port=given.port, loop="uvloop", http="httptools", ws="none", access_log=False,
        log_level="warning", server_header=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
