"""POST /v1/features, and a comparison of all ways to read."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pyarrow as pa
import pytest

import fscore
import fscore.aio
from tests.redis_server import RedisServer
from tests.server.store import NOW_MS, TWO_HOURS_AGO

USERS = ["u1", "nobody", "null", "expired", "invalid", "u1"]


def post(http: httpx.Client, body: dict[str, Any], **headers: str) -> httpx.Response:
    return http.post("/v1/features", json=body, headers=headers)


def test_rows_are_in_the_order_of_the_request(http: httpx.Client) -> None:
    response = post(http, {"service": "ranking", "entities": {"user_id": ["u1", "null", "u1"]}})
    assert response.status_code == 200
    assert response.json() == {
        "features": ["age", "country", "score", "clicks"],
        "entities": {"user_id": ["u1", "null", "u1"]},
        "values": [[29, "US", 0.5, 7], [31, "unknown", None, None], [29, "US", 0.5, 7]],
        "version": 1,
        "statuses": [
            ["PRESENT"] * 4,
            ["PRESENT", "NULL", "NULL", "NOT_FOUND"],
            ["PRESENT"] * 4,
        ],
    }


def test_without_anything_missing_there_are_no_statuses(http: httpx.Client) -> None:
    body = post(http, {"features": ["age"], "entities": {"user_id": ["u1"]}}).json()
    assert set(body) == {"features", "entities", "values", "version"}


def test_event_times_are_answered_if_asked_for(http: httpx.Client) -> None:
    request = {
        "features": ["age", "clicks"],
        "entities": {"user_id": ["u1", "expired", "nobody"]},
        "timestamps": True,
    }
    assert post(http, request).json()["event_times"] == [
        [NOW_MS, NOW_MS],
        [NOW_MS, TWO_HOURS_AGO],
        [None, None],
    ]


def test_a_version_can_be_named(http: httpx.Client) -> None:
    body = post(http, {"features": ["age"], "entities": {"user_id": ["u1"]}, "version": 2}).json()
    assert (body["values"], body["version"]) == ([[30]], 2)


@pytest.mark.parametrize("consistency", ["eventual", "primary", "snapshot"])
def test_every_consistency_is_served(http: httpx.Client, consistency: str) -> None:
    request = {"features": ["age"], "entities": {"user_id": ["u1"]}, "consistency": consistency}
    assert post(http, request).json()["values"] == [[29]]


def test_several_entities_by_columns(http: httpx.Client) -> None:
    request = {"service": "pairs", "entities": {"item_id": [7, 7], "user_id": ["u1", "null"]}}
    assert post(http, request).json()["values"] == [[29, 9.5, 3], [31, 9.5, None]]


def test_arrow_is_answered_if_it_is_preferred(http: httpx.Client) -> None:
    request = {"service": "everything", "entities": {"user_id": USERS}}
    response = post(http, request, Accept="application/vnd.apache.arrow.stream")
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    table = pa.ipc.open_stream(response.content).read_all()
    assert table.num_rows == len(USERS)
    assert table.column("age").to_pylist() == [29, None, 31, 29, None, 29]


def _as_dicts(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(zip(body["features"], row, strict=True)) for row in body["values"]]


def test_get_post_arrow_and_both_drivers_agree(http: httpx.Client, store: RedisServer) -> None:
    # Without types whose JSON form differs from the Python value.
    features = ["age", "country", "active", "clicks", "last_seen", "recent"]
    request = {"features": features, "entities": {"user_id": USERS}}
    many = _as_dicts(post(http, request).json())

    with fscore.connect(store.url) as client:
        blocking = client.prepare(features=features).get({"user_id": USERS})

    async def read() -> fscore.FeatureTable:
        async with fscore.aio.connect(store.url) as client:
            prepared = await client.prepare(features=features)
            return await prepared.get({"user_id": USERS})

    names = ",".join(features)
    one_by_one = [
        http.get("/v1/features", params={"user_id": user_id, "features": names}).json()["features"]
        for user_id in USERS
    ]
    assert one_by_one == many
    assert blocking.to_dicts() == many
    assert asyncio.run(read()).to_dicts() == many


def test_a_thousand_entities(http: httpx.Client) -> None:
    ids = [f"u{number}" for number in range(1000)]
    body = post(http, {"service": "ranking", "entities": {"user_id": ids}}).json()
    assert len(body["values"]) == 1000
    assert body["values"][1] == [29, "US", 0.5, 7]
    assert body["values"][2] == [None, "unknown", None, None]
