"""GET /v1/features."""

from __future__ import annotations

import httpx
import pytest


def test_a_service_answers_its_features_in_its_order(http: httpx.Client) -> None:
    response = http.get("/v1/features", params={"user_id": "u1", "service": "ranking"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.text == (
        '{"entity":{"user_id":"u1"},'
        '"features":{"age":29,"country":"US","score":0.5,"clicks":7},"version":1}'
    )


def test_every_type_has_its_json_form(http: httpx.Client) -> None:
    response = http.get("/v1/features", params={"user_id": "u1"})
    assert response.json() == {
        "entity": {"user_id": "u1"},
        "features": {
            "clicks": 7,
            "last_seen": 1700000000123,
            "recent": ["a", 'b"c'],
            "embedding": [1.0, -2.5, 0.25],
            "token": "AP9vaw==",
            "ratio": 0.1,
            "age": 29,
            "country": "US",
            "score": 0.5,
            "active": True,
        },
        "version": 1,
    }


def test_features_can_be_named(http: httpx.Client) -> None:
    response = http.get("/v1/features", params={"user_id": "u1", "features": "clicks,profile:age"})
    assert response.json()["features"] == {"clicks": 7, "age": 29}


def test_a_version_can_be_named(http: httpx.Client) -> None:
    response = http.get("/v1/features?user_id=u1&features=age&version=2")
    assert response.json() == {"entity": {"user_id": "u1"}, "features": {"age": 30}, "version": 2}


def test_an_unknown_id_is_not_found_value_by_value(http: httpx.Client) -> None:
    response = http.get("/v1/features?user_id=nobody&service=ranking")
    assert response.status_code == 200
    body = response.json()
    assert body["statuses"] == dict.fromkeys(("age", "country", "score", "clicks"), "NOT_FOUND")
    assert body["features"] == {"age": None, "country": "unknown", "score": None, "clicks": None}


@pytest.mark.parametrize(
    ("user_id", "statuses"),
    [
        ("null", ["PRESENT", "NULL", "NULL", "NOT_FOUND"]),
        ("invalid", ["INVALID", "NULL", "PRESENT", "INVALID"]),
        ("expired", ["PRESENT", "PRESENT", "PRESENT", "EXPIRED"]),
        ("wrong", ["INVALID"] * 4),
    ],
)
def test_what_is_not_present_says_why(
    http: httpx.Client, user_id: str, statuses: list[str]
) -> None:
    response = http.get("/v1/features", params={"user_id": user_id, "service": "ranking"})
    assert response.status_code == 200
    assert list(response.json()["statuses"].values()) == statuses


def test_a_number_that_json_does_not_have_is_null(http: httpx.Client) -> None:
    response = http.get("/v1/features?user_id=invalid&features=score")
    assert "NaN" not in response.text
    body = response.json()
    assert (body["features"], body["statuses"]) == ({"score": None}, {"score": "PRESENT"})


def test_integer_keys_are_read_as_integers(http: httpx.Client) -> None:
    body = http.get("/v1/features?item_id=-7&features=price").json()
    assert (body["entity"], body["features"]) == ({"item_id": -7}, {"price": -9.5})


def test_several_entities_and_composite_keys(http: httpx.Client) -> None:
    body = http.get("/v1/features?service=pairs&item_id=7&user_id=u1").json()
    assert body["features"] == {"age": 29, "price": 9.5, "quantity": 3}


def test_ids_are_escaped_on_both_ways(http: httpx.Client) -> None:
    body = http.get("/v1/features", params={"user_id": "a{b}:%", "features": "age"}).json()
    assert (body["entity"], body["features"]) == ({"user_id": "a{b}:%"}, {"age": 1})


@pytest.mark.parametrize("user_id", ["a b", "a+b", "\x00", "\r\n", "☕", "x" * 512, "é,ü"])
def test_any_id_is_looked_up_as_it_is(http: httpx.Client, user_id: str) -> None:
    response = http.get("/v1/features", params={"user_id": user_id, "features": "age"})
    assert response.status_code == 200
    assert response.json()["entity"] == {"user_id": user_id}


def test_head_answers_like_get_without_the_body(http: httpx.Client) -> None:
    response = http.head("/v1/features?user_id=u1&service=ranking")
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["content-length"]) > 0
