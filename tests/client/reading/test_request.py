"""Features computed on request: the inputs that a read brings, in both clients."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import numpy as np
import pytest

from fscore import (
    Bool,
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Float64,
    Int64,
    InvalidValue,
    List,
    Payload,
    Registry,
    RequestView,
    SeriesView,
    String,
    Timestamp,
    Vector,
    request,
    window,
)
from fscore import functions as fn
from tests.client.driver import Driver

AT = 1_717_243_200_000
DAY = 86_400_000

user = Entity("user", join_keys={"user_id": Int64})


class Profile(FeatureView, entity=user, ttl="30d"):
    signed_up: Timestamp
    taste: Vector[Literal[2]]


class Orders(SeriesView, entity=user, retention="90d"):
    price: Float64 = Payload()
    spent_30d: Float64 = window.sum("price", "30d")


class Basket(
    RequestView,
    entity=user,
    request={
        "amount": Float64,
        "coupon": String,
        "due": Timestamp,
        "query": Vector[Literal[2]],
        "items": List[Int64],
    },
):
    share: Float64 = Feature(request["amount"] / Orders.spent_30d, default=-1.0)
    tenure: Int64 = Feature((request.now - Profile.signed_up) // DAY)
    is_welcome: Bool = Feature(request["coupon"] == "WELCOME")
    wait: Int64 = Feature(request["due"] - request.now)
    fit: Float64 = Feature(fn.dot(request["query"], Profile.taste))
    count: Int64 = Feature(fn.length(request["items"]))


REGISTRY = Registry.from_definitions(
    [
        FeatureService("basket", features=[Basket]),
        FeatureService("share", features=[Basket.share, Orders.spent_30d]),
        FeatureService("tenure", features=[Basket.tenure]),
    ]
)
INPUTS = {
    "amount": [5.0, None, 5],
    "coupon": "WELCOME",
    "due": dt.datetime(2024, 6, 1, 12, 0, 1, tzinfo=dt.UTC),
    "query": [[1.0, 2.0], None, [0.5, 0.5]],
    "items": [[1, 2], [], None],
}


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url)
    connected.apply(REGISTRY)
    profile = {"user_id": 1, "signed_up": AT - 90 * DAY, "taste": [2.0, 1.0]}
    connected.write("profile", [profile], event_time=AT - DAY)
    connected.write("orders", [{"user_id": 1, "price": 10.0}], event_time=AT - DAY)
    return connected


@pytest.mark.parametrize("consistency", ["eventual", "snapshot"])
def test_inputs_are_for_each_row_or_for_all(client: Any, consistency: str) -> None:
    basket = client.prepare("basket")
    assert list(basket.request) == list(INPUTS)
    table = basket.get([1, 2, 1], as_of=AT, request=INPUTS, consistency=consistency)
    rest = {"is_welcome": True, "wait": 1000}
    assert table.to_dicts() == [
        {"share": 0.5, "tenure": 90, "fit": 4.0, "count": 2, **rest},
        {"share": -1.0, "tenure": None, "fit": None, "count": 0, **rest},
        {"share": 0.5, "tenure": 90, "fit": 1.5, "count": None, **rest},
    ]


def test_only_what_is_asked_for_needs_inputs(client: Any) -> None:
    share = client.prepare("share")
    assert share.request == {"amount": "Float64"}
    table = share.get([1], as_of=AT, request={"amount": np.array([2.5])})
    assert table.to_dicts() == [{"share": 0.25, "spent_30d": 10.0}]
    tenure = client.prepare("tenure")
    assert tenure.request == {}
    assert tenure.get([1], as_of=AT).to_dicts() == [{"tenure": 90}]
    assert "tenure" in client.prepare(entity="user").features
    assert "share" not in client.prepare(entity="user").features


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, '"amount" (Float64)'),
        ({}, '"amount" (Float64)'),
        ({"amount": 1.0, "amont": 1.0}, '"amont"'),
        ({"amount": "1"}, "amount must be Float64, not str"),
        ({"amount": [1.0, 2.0]}, "amount has 2 values for 1 rows"),
        ({"amount": [True]}, "amount (row 0)"),
    ],
)
def test_inputs_that_do_not_fit_are_named(client: Any, given: Any, named: str) -> None:
    with pytest.raises(InvalidValue) as error:
        client.prepare("share").get([1], request=given)
    assert named in str(error.value)
    assert error.value.feature in ("amount", "amont")
    # The connection still works.
    assert client.prepare("tenure").get([1], as_of=AT).to_dicts() == [{"tenure": 90}]


def test_inputs_are_a_mapping(client: Any) -> None:
    with pytest.raises(InvalidValue, match="request must be a mapping"):
        client.prepare("share").get([1], request=[1.0])


def test_a_service_without_inputs_takes_none(client: Any) -> None:
    with pytest.raises(InvalidValue, match="which need none"):
        client.prepare("tenure").get([1], request={"amount": 1.0})
