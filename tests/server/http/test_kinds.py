"""Every kind of view over HTTP, as of a time, and as a snapshot."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pyarrow as pa
import pytest
import redis

import fscore
import fscore.aio
from tests.redis_server import RedisServer
from tests.server.kinds import AT, HOUR, VISITOR_42
from tests.server.server_process import ServerProcess
from tests.server.store import TWO_HOURS_AGO

VISITORS = ["v0042", "nobody", "v0007", "v0042"]
ONE = {"visitor_id": "v0042", "service": "visits"}
STATUS = [status.name for status in fscore.Status]


def get(http: httpx.Client, **parameters: Any) -> dict[str, Any]:
    response = http.get("/v1/features", params=parameters)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def post(http: httpx.Client, **body: Any) -> dict[str, Any]:
    response = http.post("/v1/features", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_one_entity_has_every_kind(http: httpx.Client) -> None:
    answer = get(http, **ONE, as_of=AT)
    assert answer["features"] == VISITOR_42
    assert list(answer["features"]) == list(VISITOR_42)
    assert answer["statuses"] == {**dict.fromkeys(VISITOR_42, "PRESENT"), "balance": "NULL"}
    assert answer["as_of"] == AT


def test_every_way_to_read_gives_the_same(http: httpx.Client, store: RedisServer) -> None:
    answer = post(http, service="visits", entities={"visitor_id": VISITORS}, as_of=AT)
    many = [dict(zip(answer["features"], row, strict=True)) for row in answer["values"]]
    assert answer["as_of"] == AT
    one_by_one = [get(http, **{**ONE, "visitor_id": name}, as_of=AT) for name in VISITORS]
    assert [one["features"] for one in one_by_one] == many
    assert [list(one["statuses"].values()) for one in one_by_one] == answer["statuses"]

    with fscore.connect(store.url) as client:
        blocking = client.prepare("visits").get(VISITORS, as_of=AT)

    async def read() -> fscore.FeatureTable:
        async with fscore.aio.connect(store.url) as client:
            return await (await client.prepare("visits")).get(VISITORS, as_of=AT)

    for table in (blocking, asyncio.run(read())):
        assert table.to_dicts() == many
        assert [[STATUS[code] for code in row] for row in table.statuses] == answer["statuses"]


def test_arrow_has_every_kind(http: httpx.Client) -> None:
    response = http.post(
        "/v1/features",
        json={"service": "visits", "entities": {"visitor_id": ["v0042"]}, "as_of": AT},
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    table = pa.ipc.open_stream(response.content).read_all()
    assert table.schema.metadata == {b"fscore.version": b"1", b"fscore.as_of": b"%d" % AT}
    (row,) = table.to_pylist()
    assert row["last_3"] == VISITOR_42["last_3"]
    moments = VISITOR_42["last_3_times"]
    assert [round(moment.timestamp() * 1000) for moment in row["last_3_times"]] == moments


INPUTS = {"amount": [19.0, None, 3, 0.5], "coupon": "HELLO"}


def test_inputs_of_the_request_are_computed_with(http: httpx.Client, store: RedisServer) -> None:
    body = {"service": "quotes", "entities": {"visitor_id": VISITORS}, "as_of": AT}
    answer = post(http, **body, request=INPUTS)
    assert answer["features"] == ["share", "tenure", "is_welcome", "platform"]
    assert answer["values"] == [
        [2.0, 90, True, "ios"],
        [1.0, None, True, None],
        [1.5, None, True, None],
        [0.5 / 9.5, 90, True, "ios"],
    ]
    assert answer["statuses"][1] == ["NOT_FOUND", "NOT_FOUND", "PRESENT", "NOT_FOUND"]

    with fscore.connect(store.url) as client:
        table = client.prepare("quotes").get(VISITORS, as_of=AT, request=INPUTS)
    names = answer["features"]
    many = [dict(zip(names, row, strict=True)) for row in answer["values"]]
    assert table.to_dicts() == many
    assert [[STATUS[code] for code in row] for row in table.statuses] == answer["statuses"]

    # A query string has no nulls.
    for row in (0, 2, 3):
        inputs = {"amount": INPUTS["amount"][row], "coupon": "HELLO"}
        one = {"visitor_id": VISITORS[row], "service": "quotes", "as_of": AT}
        assert get(http, **one, **inputs)["features"] == many[row]


def test_the_time_is_an_input_by_itself(http: httpx.Client) -> None:
    one = {"visitor_id": "v0042", "service": "tenure"}
    assert get(http, **one, as_of=AT)["features"] == {"tenure": 90}
    assert get(http, **one, as_of="2024-06-11T12:00:00Z")["statuses"] == {"tenure": "EXPIRED"}
    # Without a service or features, all features that need no inputs are read.
    everything = get(http, visitor_id="v0042", as_of=AT)["features"]
    assert everything.pop("tenure") == 90
    assert everything == VISITOR_42


def test_arrow_has_what_is_computed(http: httpx.Client) -> None:
    response = http.post(
        "/v1/features",
        json={
            "features": ["quote:share", "is_welcome"],
            "entities": {"visitor_id": ["v0042"]},
            "as_of": AT,
            "request": {"amount": 19, "coupon": [None]},
        },
        headers={"Accept": "application/vnd.apache.arrow.stream"},
    )
    table = pa.ipc.open_stream(response.content).read_all()
    assert table.to_pylist() == [{"share": 2.0, "is_welcome": None}]


@pytest.mark.parametrize(
    "as_of",
    [
        "2024-06-01T12:00:00Z",
        "2024-06-01t12:00:00.000z",
        "2024-06-01T14:00:00+02:00",
        "2024-06-01T06:30:00.0009-05:30",
    ],
)
def test_as_of_is_written_as_people_write_times(http: httpx.Client, as_of: str) -> None:
    assert get(http, **ONE, as_of=as_of) == get(http, **ONE, as_of=AT)
    body = {"service": "visits", "entities": {"visitor_id": ["v0042"]}}
    assert post(http, **body, as_of=as_of) == post(http, **body, as_of=AT)


def test_windows_end_as_of_the_time(http: httpx.Client) -> None:
    names = {"visitor_id": "v0042", "features": "seen_1h,last_3,since_seen"}
    assert get(http, **names, as_of=AT - HOUR)["features"] == {
        "seen_1h": 1,
        "last_3": ["kettle"],
        "since_seen": HOUR // 2,
    }
    assert get(http, **names, as_of=AT + HOUR)["features"]["seen_1h"] == 1


def test_rows_expire_as_of_the_time(http: httpx.Client) -> None:
    names = {"user_id": "expired", "features": "clicks"}
    assert get(http, **names)["statuses"] == {"clicks": "EXPIRED"}
    assert get(http, **names, as_of=TWO_HOURS_AGO + HOUR - 1)["features"] == {"clicks": 7}
    late = get(http, **names, as_of=TWO_HOURS_AGO + HOUR)
    assert late["statuses"] == {"clicks": "EXPIRED"}


def test_an_answer_has_the_time_only_if_the_request_had_it(http: httpx.Client) -> None:
    assert "as_of" not in get(http, user_id="u1", features="age")
    assert "as_of" not in post(http, features=["age"], entities={"user_id": ["u1"]})


def _calls(store: RedisServer, *commands: str) -> list[int]:
    with redis.Redis.from_url(store.url) as connection:
        statistics = connection.info("commandstats")
    return [statistics.get(f"cmdstat_{command}", {"calls": 0})["calls"] for command in commands]


def test_a_snapshot_is_one_transaction_for_each_entity(own_store: RedisServer) -> None:
    body = {"service": "visits", "entities": {"visitor_id": VISITORS}, "as_of": AT}
    with ServerProcess(own_store.url) as process:
        plain = post(process.client, **body)
        before = _calls(own_store, "multi", "exec")
        snapshot = post(process.client, **body, consistency="snapshot")
        one = get(process.client, **ONE, as_of=AT, consistency="snapshot")
    assert snapshot == plain
    assert one["features"] == VISITOR_42
    # One transaction for each of three different entities, and one for the single entity.
    assert _calls(own_store, "multi", "exec") == [calls + 4 for calls in before]


def test_a_snapshot_reads_the_version_of_its_time(own_store: RedisServer) -> None:
    body = {"service": "ranking", "entities": {"user_id": ["u1"]}, "consistency": "snapshot"}
    with (
        ServerProcess(own_store.url) as process,
        redis.Redis.from_url(own_store.url) as connection,
    ):
        assert post(process.client, **body)["version"] == 1
        connection.set("feature_version:ranking", 2)
        for answer in (
            post(process.client, **body),
            get(process.client, user_id="u1", service="ranking", consistency="snapshot"),
        ):
            assert answer["version"] == 2
        pinned = post(process.client, **body, version=1)
        assert (pinned["version"], pinned["values"][0][0]) == (1, 29)


def test_the_catalogue_has_what_is_specific_to_each_kind(http: httpx.Client) -> None:
    views = {view["name"]: view for view in http.get("/v1/views").json()["views"]}

    def feature(view: str, name: str) -> dict[str, Any]:
        (found,) = (item for item in views[view]["features"] if item["name"] == name)
        return found

    kinds = {name: views[name]["kind"] for name in ("device", "account", "browsing", "campaigns")}
    assert list(kinds.values()) == ["features", "features", "series", "flags"]
    assert all(views[name]["join_keys"] == {"visitor_id": "String"} for name in kinds)

    assert (views["device"]["layout"], views["device"]["ttl_ms"]) == ("hash", 0)
    assert feature("device", "platform")["ttl_ms"] == HOUR
    assert feature("device", "screens")["ttl_ms"] == 0
    assert views["account"]["layout"] == "packed"
    assert feature("account", "plan")["ttl_ms"] == 24 * HOUR

    browsing = views["browsing"]
    assert browsing["payload"] == [
        {"name": "product", "type": "String", "column": "product_id"},
        {"name": "price", "type": "Float64", "column": "price"},
    ]
    assert (browsing["retention_ms"], browsing["max_events"]) == (24 * HOUR, 0)
    assert (browsing["tile_ms"], browsing["tile_retention_ms"]) == (HOUR, 30 * 24 * HOUR)
    assert (browsing["repeats"], browsing["event_id"], browsing["where"]) == ("count", None, {})
    assert feature("browsing", "spent_7d")["window"] == {
        "op": "sum",
        "field": "price",
        "window_ms": 7 * 24 * HOUR,
        "n": 0,
        "gap_ms": 0,
        "tiles": "granular",
    }
    assert feature("browsing", "dearest_1d")["window"]["tiles"] == "exact"
    assert feature("browsing", "last_3")["window"]["n"] == 3
    assert views["campaigns"]["ids"] == "v%04d"

    assert views["quote"]["kind"] == "request"
    assert views["quote"]["request"] == {"amount": "Float64", "coupon": "String"}
    share = feature("quote", "share")
    assert share["expression"] == 'request["amount"] / browsing:dearest_1d'
    assert share["default"] == 1.0

    services = {item["name"]: item for item in http.get("/v1/services").json()["services"]}
    assert services["quotes"]["request"] == views["quote"]["request"]
    assert services["tenure"]["request"] == services["visits"]["request"] == {}
    assert services["quotes"]["join_keys"] == {"visitor_id": "String"}
    assert services["quotes"]["features"][0] == {
        "name": "share",
        "view": "quote",
        "feature": "share",
        "type": "Float64",
    }


def test_the_description_has_the_inputs(http: httpx.Client) -> None:
    document = http.get("/openapi.json").json()
    parameters = document["paths"]["/v1/features"]["get"]["parameters"]
    schemas = {parameter["name"]: parameter["schema"] for parameter in parameters}
    assert schemas["amount"] == {"type": "number"}
    assert schemas["coupon"] == {"type": "string"}
    request = document["components"]["schemas"]["ReadRequest"]
    assert set(request["properties"]["request"]["properties"]) == {"amount", "coupon"}
    needed = {
        one["properties"]["service"]["const"]: one["properties"]["request"]["required"]
        for one in request["oneOf"]
        if one["required"] != ["features"]
    }
    assert needed["quotes"] == ["amount", "coupon"]
    assert needed["visits"] == []
