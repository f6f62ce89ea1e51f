"""A user's script, from definitions to a model's matrix; `assert_type` holds what editors know.

mypy checks that no call answers Any if its type is known, and a test runs it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, assert_type

import numpy as np
import numpy.typing as npt
import pandas as pd
import polars as pl
import pyarrow as pa

import fscore
import fscore.aio
from fscore import Entity, EventSource, Feature, FeatureService, FeatureView, Float64, Int64, String
from fscore import window as over

user = Entity("user", join_keys={"user_id": Int64})
orders = EventSource("orders", event_time="at", timestamp_format="unix_ms")


class Profile(FeatureView, entity=user, ttl="30d"):
    age: Int64
    country: String = Feature(default="unknown")
    score: Float64


class Spending(fscore.SeriesView, entity=user, source=orders, retention="7d"):
    amount: Float64 = fscore.Payload()
    spent_1d: Float64 = over.sum("amount", "1d")


class Quote(fscore.RequestView, entity=user, request={"price": Float64}):
    share: Float64 = Feature(fscore.request["price"] / Spending.spent_1d, default=0.0)


ranking = FeatureService("ranking", features=[Profile, Spending.spent_1d, Quote])


def run(url: str, now_ms: int) -> list[dict[str, Any]]:
    with fscore.connect(url, timeout=5.0, follow_versions="poll", key_prefix="try:") as client:
        assert_type(client, fscore.Client)
        registry = fscore.Registry.from_definitions([ranking])
        assert_type(client.plan(registry), fscore.RegistryDiff)
        assert_type(client.apply(registry).revision, int)
        rows = pd.DataFrame({"user_id": [1, 2], "age": [29, 31], "score": [0.5, None]})
        assert_type(client.write(Profile, rows, ordering="event_time"), fscore.WriteResult)
        events = [{"user_id": 1, "at": now_ms, "amount": 12.5}]
        assert_type(client.push(orders, events).views, Mapping[str, fscore.WriteResult])
        prepared = client.prepare(ranking)
        assert_type(prepared, fscore.Prepared)
        table = prepared.get([1, 2, 3], request={"price": 2.5}, consistency="snapshot")
        assert_type(table, fscore.FeatureTable)
        assert_type(table[0], dict[str, Any])
        assert_type(table.statuses, npt.NDArray[np.uint8])
        assert_type(table.features, tuple[str, ...])
        assert_type(table.to_arrow(), pa.Table)
        assert_type(table.to_polars(keys=True), pl.DataFrame)
        ages = table.column("age", missing="mask")
        assert_type(ages, np.ma.MaskedArray[Any, np.dtype[Any]])
        assert_type(client.versions.create(ranking, comment="again"), int)
        asyncio.run(again(url))
        return table.to_dicts(keys=True)


async def again(url: str) -> None:
    async with await fscore.aio.connect(url, key_prefix="try:") as client:
        assert_type(client, fscore.aio.Client)
        prepared = await client.prepare(features=[Profile.age, "spending:spent_1d"], entity=user)
        assert_type(prepared, fscore.aio.Prepared)
        assert_type(await prepared.get({"user_id": [1]}), fscore.FeatureTable)
        assert_type((await client.write("profile", [{"user_id": 4}])).rows, int)
