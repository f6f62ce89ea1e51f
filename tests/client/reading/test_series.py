"""Reads of series and flags, compared with a plain computation over the same events."""

from __future__ import annotations

import functools
import operator
import random
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from fscore import (
    Bool,
    Entity,
    EventSource,
    FeatureService,
    FeatureView,
    FlagView,
    Float64,
    Int64,
    List,
    Payload,
    Registry,
    SeriesView,
    String,
    Timestamp,
    window,
)
from fscore.types import Status
from tests.client.driver import Driver

SECOND = 1_000
MINUTE = 60 * SECOND
NOW = 1_700_000_000_000

user = Entity("user", join_keys={"user_id": String})
member = Entity("member", join_keys={"member_id": Int64})
shop = EventSource("shop", event_time="at")


class Buys(SeriesView, entity=user, source=shop, retention="2h"):
    item: String = Payload()
    price: Float64 = Payload()
    pieces: Int64 = Payload()
    last_3: List[String] = window.last(3, "item")
    last_3_times: List[Timestamp] = window.last_times(3)
    last_2_pieces: List[Int64] = window.last(2, "pieces")
    n_5m: Int64 = window.count("5m")
    n_all: Int64 = window.count()
    spent_10m: Float64 = window.sum("price", "10m")
    pieces_30m: Int64 = window.sum("pieces", "30m")
    mean_10m: Float64 = window.mean("price", "10m")
    low_10m: Float64 = window.min("price", "10m")
    high_10m: Int64 = window.max("pieces", "10m")
    items_30m: Int64 = window.distinct("item", "30m")
    since: Int64 = window.time_since_last()
    session: Int64 = window.session_length(gap="90s")


class Counted(SeriesView, entity=user, source=shop, retention="1d"):
    """Features for which the server only counts; it returns no events."""

    c_1m: Int64 = window.count("1m")
    c_1h: Float64 = window.count("1h")


class Profile(FeatureView, entity=user):
    age: Int64


class Seen(FlagView, entity=user, source=shop, ids="user_%04d"):
    seen_promo: Bool
    seen_offer: Bool


class Rare(FlagView, entity=member):
    is_rare: Bool


everything = FeatureService("everything", features=[Profile, Buys, Counted, Seen])
series = FeatureService("series", features=[Buys])
REGISTRY = Registry.from_definitions([everything, series, Rare])


@dataclass(frozen=True)
class Event:
    time: int
    item: str
    price: float | None
    pieces: int | None

    @property
    def member(self) -> str:
        escaped = self.item.replace("%", "%25").replace(",", "%2C").replace("#", "%23")
        price, pieces = ("%N" if v is None else str(v) for v in (self.price, self.pieces))
        return f"{escaped},{price},{pieces}#{self.time}"


def events(seed: int, count: int) -> list[Event]:
    """Return random events: some have the same time, some are at the edges of windows."""
    chance = random.Random(seed)
    edges = [NOW - m * MINUTE + d for m in (5, 10, 30) for d in (-1, 0, 1)]
    made = []
    for _ in range(count):
        time = chance.choice([chance.randrange(NOW - 3 * 60 * MINUTE, NOW + MINUTE), *edges])
        item = chance.choice(["hat", "a,b", "50%", "#1", "Schuh ü", ""])
        price = chance.choice([None, chance.randrange(10_000) / 100])
        made.append(Event(time, item, price, chance.choice([None, chance.randrange(-5, 9)])))
    return list({(event.time, event.member): event for event in made}.values())


def expected(stored: list[Event], as_of: int) -> dict[str, Any]:
    """Compute the features of `Buys` from their definitions."""
    retained = [e for e in stored if as_of - 120 * MINUTE < e.time <= as_of]
    ordered = sorted(retained, key=lambda e: (e.time, e.member.encode()))

    def within(minutes: int) -> list[Event]:
        return [e for e in ordered if e.time > as_of - minutes * MINUTE]

    newest = ordered[::-1]
    prices = [e.price for e in within(10) if e.price is not None]
    # Added one by one, because from Python 3.12 on `sum` compensates for rounding errors.
    spent = functools.reduce(operator.add, prices, 0.0)
    pieces = [e.pieces for e in within(10) if e.pieces is not None]
    names = [e.item.replace("%", "%25").replace(",", "%2C").replace("#", "%23") for e in within(30)]
    session = 0
    if newest and as_of - newest[0].time <= 90 * SECOND:
        first = newest[0].time
        for event in newest:
            if first - event.time > 90 * SECOND:
                break
            first = event.time
        session = newest[0].time - first
    return {
        "last_3": [e.item for e in newest[:3]] or None,
        "last_3_times": [e.time for e in newest[:3]] or None,
        "last_2_pieces": [e.pieces for e in newest[:2] if e.pieces is not None] if newest else None,
        "n_5m": len(within(5)),
        "n_all": len(ordered),
        "spent_10m": spent,
        "pieces_30m": sum(e.pieces for e in within(30) if e.pieces is not None),
        "mean_10m": spent / len(prices) if prices else None,
        "low_10m": min(prices, default=None),
        "high_10m": max(pieces, default=None),
        "items_30m": len(set(names)),
        "since": as_of - newest[0].time if newest else None,
        "session": session,
    }


def store(witness: Any, key: str, stored: list[Event]) -> None:
    if stored:
        witness.zadd(key, {event.member: event.time for event in stored})


@pytest.fixture(params=["2", "3"], ids=["resp2", "resp3"])
def reader(request: pytest.FixtureRequest, driver: Driver, redis_url: str) -> Any:
    client = driver.connect(redis_url, prefer_resp3=request.param == "3")
    client.apply(REGISTRY)
    return client


@pytest.mark.parametrize("consistency", ["eventual", "snapshot"])
def test_windows_are_what_their_definitions_say(
    reader: Any, witness: Any, consistency: Literal["eventual", "snapshot"]
) -> None:
    users = {f"user_{n:04d}": events(n, count) for n, count in enumerate([0, 1, 3, 40, 400, 2000])}
    for name, stored in users.items():
        store(witness, f"buys:user:{{{name}}}", stored)
    prepared = reader.prepare("series")
    for as_of in (NOW, NOW - 1, NOW + 1, NOW - 37 * MINUTE, NOW - 5 * 60 * MINUTE):
        table = prepared.get(list(users), as_of=as_of, consistency=consistency)
        for name, row, codes in zip(users, table.to_dicts(), table.statuses, strict=True):
            wanted = expected(users[name], as_of)
            assert row == wanted, (name, as_of)
            codes = dict(zip(table.features, codes, strict=True))
            assert {f for f, code in codes.items() if code != Status.PRESENT} == {
                feature for feature, value in wanted.items() if value is None
            }
            assert set(codes.values()) <= {Status.PRESENT, Status.NOT_FOUND}


def test_a_script_that_the_server_forgot_is_loaded_again(reader: Any, witness: Any) -> None:
    store(
        witness, "buys:user:{user_0001}", [Event(NOW - n * SECOND, "x", 1.0, 1) for n in range(200)]
    )
    prepared = reader.prepare(features=["session", "n_5m"])
    for consistency in ("eventual", "snapshot", "eventual"):
        witness.script_flush()
        row = prepared.get(["user_0001"], as_of=NOW, consistency=consistency).to_dicts()
        assert row == [{"session": 199 * SECOND, "n_5m": 200}]
    witness.config_resetstat()
    prepared.get(["user_0001"], as_of=NOW)
    assert "cmdstat_script|load" not in witness.info("commandstats"), "it is loaded once"


def test_a_service_of_every_kind_is_one_request(reader: Any, witness: Any) -> None:
    witness.hset("user:{user_0042}:v1", mapping={"age": 29})
    store(witness, "counted:user:{user_0042}", [Event(NOW - MINUTE, "x", 1, 1)])
    witness.setbit("flag:seen_promo:{0}", 42, 1)
    prepared = reader.prepare("everything")
    names = ["user_0042", "user_42", "user_70000", "user_0042"]
    for consistency in ("eventual", "snapshot"):
        table = prepared.get(names, as_of=NOW, consistency=consistency)
        rows = table.to_dicts()
        shown = [(r["age"], r["c_1m"], r["c_1h"], r["seen_promo"], r["seen_offer"]) for r in rows]
        assert shown == [
            (29, 0, 1.0, True, False),
            (None, 0, 0.0, None, None),
            (None, 0, 0.0, False, False),
            (29, 0, 1.0, True, False),
        ]
        unknown = dict(zip(table.features, table.statuses[1], strict=True))
        assert unknown["seen_promo"] == unknown["seen_offer"] == Status.NOT_FOUND


def test_flags_of_many_ids_are_one_command_a_shard(reader: Any, witness: Any) -> None:
    ids = [*range(0, 200_000, 601), 2**62]
    for identity in ids[::2]:
        witness.setbit(f"flag:is_rare:{{{identity >> 16}}}", identity & 0xFFFF, 1)
    prepared = reader.prepare(features=["is_rare"])
    witness.config_resetstat()
    column = prepared.get(ids).column("is_rare").tolist()
    assert column == [place % 2 == 0 for place in range(len(ids))]
    stats = witness.info("commandstats")
    assert stats["cmdstat_bitfield_ro"]["calls"] == 4
    assert stats["cmdstat_getbit"]["calls"] == 1


def test_a_key_of_another_kind_is_invalid_and_alone(reader: Any, witness: Any) -> None:
    witness.set("buys:user:{user_0001}", "text")
    witness.hset("flag:seen_promo:{0}", "a", "b")
    witness.hset("user:{user_0001}:v1", "age", 29)
    for consistency in ("eventual", "snapshot"):
        table = reader.prepare("everything").get(["user_0001"], consistency=consistency)
        codes = dict(zip(table.features, table.statuses[0], strict=True))
        assert codes["age"] == codes["seen_offer"] == codes["c_1m"] == Status.PRESENT
        assert codes["n_5m"] == codes["session"] == codes["seen_promo"] == Status.INVALID
