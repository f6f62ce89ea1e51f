"""The peer server: the same two routes as one would write them with Starlette and redis.asyncio.

It knows its one service beforehand and its values are floats, so it has less to do than a feature
store: no registry, no types, no statuses, no deadlines. `python -m bench.peers.starlette_redis`
serves on uvicorn with uvloop and httptools.
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

from bench.definitions import SERVICE
from bench.workload import Workload


class Features:
    """The two routes over one workload's entities."""

    def __init__(self, url: str, workload: Workload) -> None:
        self._redis = redis.asyncio.Redis.from_url(url)
        self._workload = workload
        self._names = workload.asked
        self._service = f"{SERVICE}{workload.stored}"
        self._join_key = f"{workload.entity}_id"

    def routes(self) -> list[Route]:
        return [
            Route("/v1/features", self.one, methods=["GET"]),
            Route("/v1/features", self.many, methods=["POST"]),
        ]

    async def one(self, request: Request) -> Response:
        query = request.query_params
        if query.get("service") != self._service:
            return _problem(404, "no such service")
        try:
            identifier = int(query[self._join_key])
        except (KeyError, ValueError):
            return _problem(422, f"{self._join_key} must be an integer")
        row = await self._redis.hmget(self._workload.key(identifier), self._names)
        features = dict(zip(self._names, map(_number, row), strict=True))
        entity = {self._join_key: identifier}
        return _json({"entity": entity, "features": features, "version": 1})

    async def many(self, request: Request) -> Response:
        try:
            body = orjson.loads(await request.body())
            service, identifiers = body["service"], body["entities"][self._join_key]
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return _problem(422, f"the body needs service and entities.{self._join_key}")
        if service != self._service:
            return _problem(404, "no such service")
        if not all(type(identifier) is int for identifier in identifiers):
            return _problem(422, f"{self._join_key} must be integers")
        pipeline = self._redis.pipeline(transaction=False)
        for identifier in identifiers:
            pipeline.hmget(self._workload.key(identifier), self._names)
        rows = [list(map(_number, row)) for row in await pipeline.execute()]
        entities = {self._join_key: identifiers}
        answer = {"features": self._names, "entities": entities, "values": rows, "version": 1}
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
    parser.add_argument("--features", type=int, required=True)
    parser.add_argument("--stored", type=int, required=True)
    given = parser.parse_args()
    workload = Workload(1, given.features, given.stored)
    app = Starlette(routes=Features(given.redis_url, workload).routes())
    uvicorn.run(
        app, port=given.port, loop="uvloop", http="httptools", ws="none", access_log=False,
        log_level="warning", server_header=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
