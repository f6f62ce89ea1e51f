"""The registry in Redis: its operations with written replies, and against real servers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from redis import Redis

from fscore import (
    ConfigError,
    Entity,
    FeatureView,
    Float64,
    Int64,
    InvalidDefinition,
    Registry,
    RegistryConflict,
    String,
    UnsafeChange,
    resolve,
)
from fscore.model.fingerprint import fingerprint
from fscore.operations import registry as store
from fscore.operations.operation import Command, Operation, Step, drive, drive_async

user = Entity("user", join_keys={"user_id": String})


def with_age_as(marker: Any) -> Registry:
    """Return definitions whose one feature has this type."""

    class Profile(FeatureView, entity=user):
        age: marker

    return Registry.from_definitions([Profile])


WHOLE, REAL, TEXT = (with_age_as(marker) for marker in (Int64, Float64, String))


def stored(registry: Registry, revision: int) -> list[Any]:
    """Return the reply to a read of this registry."""
    return [
        str(revision).encode(),
        registry.to_json().encode(),
        registry.digest.encode(),
        b"1700000000000",
        b'{"hash:user":1700000000009}',
    ]


def answered(operation: Operation[Any], *replies: Any) -> tuple[Any, list[Command]]:
    """Run an operation on these replies; return its result and its commands."""
    asked: list[Command] = []
    waiting = iter(replies)

    def execute(command: Any) -> Any:
        asked.append(command)
        return next(waiting)

    result = drive(operation, execute)
    assert list(waiting) == []
    return result, asked


@pytest.mark.parametrize("reply", [b"7", "7", 7])
def test_the_revision_is_one_field(reply: Any) -> None:
    result, asked = answered(store.revision("acme:"), reply)
    assert (result, asked) == (7, [("HGET", "acme:fscore:registry", "revision")])


def test_nothing_applied_is_revision_zero_and_an_empty_registry() -> None:
    assert answered(store.revision(), None)[0] == 0
    assert answered(store.load(), [None] * 5)[0] == store.StoredRegistry(Registry(), 0)


@pytest.mark.parametrize(
    ("known", "reply", "current"),
    [
        (store.StoredRegistry(WHOLE, 3), [b"3", WHOLE.digest.encode()], True),
        (store.StoredRegistry(WHOLE, 3), ["3", WHOLE.digest], True),
        (store.StoredRegistry(WHOLE, 3), [b"4", WHOLE.digest.encode()], False),
        (store.StoredRegistry(WHOLE, 3), [b"3", REAL.digest.encode()], False),
        (store.StoredRegistry(WHOLE, 3), [None, None], False),
        (store.StoredRegistry(Registry(), 0), [None, None], True),
        (store.StoredRegistry(Registry(), 0), [b"1", WHOLE.digest.encode()], False),
    ],
)
def test_a_registry_is_current_while_revision_and_digest_are_its_own(
    known: store.StoredRegistry, reply: list[Any], current: bool
) -> None:
    result, asked = answered(store.is_current(known, "acme:"), reply)
    assert (result, asked) == (current, [("HMGET", "acme:fscore:registry", "revision", "digest")])


def test_loading_takes_bytes_and_text() -> None:
    expiries = {"hash:user": 1_700_000_000_009}
    expected = store.StoredRegistry(WHOLE, 3, 1_700_000_000_000, expiries=expiries)
    reply = stored(WHOLE, 3)
    result, asked = answered(store.load("acme:"), reply)
    assert result == expected
    fields = ("revision", "definitions", "digest", "applied_at", "expiries")
    assert asked == [("HMGET", "acme:fscore:registry", *fields)]
    assert answered(store.load(), [field.decode() for field in reply])[0] == expected
    # A registry that was stored by a version that remembered no expiries.
    assert answered(store.load(), [*reply[:-1], None])[0] == replace(expected, expiries={})


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        (0, b"one", "its field revision is b'one', not a number"),
        (1, None, "a revision but no definitions"),
        (1, b"{", "is not valid JSON"),
        (1, b'{"format": 2}', "reads 1: upgrade fscore"),
        (2, b"0", "its digest is not that of its definitions"),
        (3, b"now", "its field applied_at is b'now', not a number"),
        (4, b"[]", "its field expiries is b'[]', not an object of times"),
    ],
)
def test_a_damaged_registry_is_reported_with_its_key(field: int, value: Any, says: str) -> None:
    reply = stored(WHOLE, 3)
    reply[field] = value
    with pytest.raises(ConfigError) as caught:
        answered(store.load("acme:"), reply)
    assert "acme:fscore:registry" in caught.value.message
    assert says in caught.value.message


def test_applying_replaces_the_revision_that_was_read() -> None:
    result, asked = answered(
        store.apply("acme:", REAL, now_ms=1_700_000_000_001), stored(WHOLE, 3), [1, 4]
    )
    assert (result.revision, result.changed) == (4, True)
    assert str(result.diff) == "~ feature profile.age: type Int64 -> Float64\n1 changed"
    name, _, keys, *arguments = asked[1]
    assert (name, keys) == ("EVAL", 1)
    assert arguments == [
        *("acme:fscore:registry", 3, REAL.to_json(), REAL.digest, 1_700_000_000_001),
        '{"hash:user":1700000000009}',
    ]


def test_applying_what_is_there_already_writes_nothing() -> None:
    result, asked = answered(store.apply("", WHOLE, now_ms=0), stored(WHOLE, 3))
    assert (result.revision, result.changed, len(asked)) == (3, False, 1)


def test_an_unsafe_change_is_refused_and_names_the_flag() -> None:
    with pytest.raises(UnsafeChange, match="--allow-unsafe") as caught:
        answered(store.apply("", WHOLE, now_ms=0), stored(TEXT, 3))
    assert caught.value.changes == (
        "! feature profile.age: type String -> Int64  "
        "(unsafe: what is stored as String does not read as Int64)",
    )
    assert caught.value.changes[0] in caught.value.message
    allowed = store.apply("", WHOLE, allow_unsafe=True, now_ms=0)
    assert answered(allowed, stored(TEXT, 3), [1, 4])[0].revision == 4


def test_somebody_elses_apply_in_between_is_a_conflict() -> None:
    with pytest.raises(RegistryConflict, match="from revision 3 to 5") as caught:
        answered(store.apply("", REAL, now_ms=0), stored(WHOLE, 3), [0, 5])
    assert (caught.value.expected, caught.value.found) == (3, 5)


def test_an_error_of_the_driver_passes_through_both_ways_of_driving() -> None:
    def refuse(step: Step) -> Any:
        raise ConnectionError("gone")

    async def refuse_later(step: Step) -> Any:
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        drive(store.load(), refuse)
    with pytest.raises(ConnectionError, match="gone"):
        asyncio.run(drive_async(store.load(), refuse_later))


class Packed(FeatureView, entity=user, layout="packed"):
    age: Int64
    score: Float64


PACKED = Registry.from_definitions([Packed])
NUMBER = fingerprint([("age", "Int64"), ("score", "Float64")])
OLDER = fingerprint([("age", "Int64")])
SCHEMA = '[["age","Int64"],["score","Float64"]]'


@pytest.mark.parametrize(
    "reply",
    [
        {f"{OLDER:08x}".encode(): b'[["age","Int64"]]', f"{NUMBER:08x}".encode(): SCHEMA.encode()},
        [f"{OLDER:08x}".encode(), b'[["age","Int64"]]', f"{NUMBER:08x}".encode(), SCHEMA.encode()],
        [f"{OLDER:08x}", '[["age","Int64"]]', f"{NUMBER:08x}", SCHEMA],
    ],
)
def test_schemas_are_loaded_if_a_view_is_packed(reply: Any) -> None:
    result, asked = answered(store.load("acme:"), stored(PACKED, 3), reply)
    assert asked[1] == ("HGETALL", "acme:fscore:schemas")
    assert result.schemas == {
        OLDER: (("age", "Int64"),),
        NUMBER: (("age", "Int64"), ("score", "Float64")),
    }


@pytest.mark.parametrize(
    ("number", "columns"),
    [
        (b"x", b'[["age","Int64"]]'),
        (b"00000001", b"{"),
        (b"00000001", b'[["age"]]'),
        (b"00000001", b'[["age","Int"]]'),
        (b"00000001", b"5"),
    ],
)
def test_a_damaged_schema_is_reported_with_its_key(number: bytes, columns: bytes) -> None:
    with pytest.raises(ConfigError) as caught:
        answered(store.load("acme:"), stored(PACKED, 3), {number: columns})
    assert f"the schema {number.decode()} in acme:fscore:schemas" in caught.value.message


def test_applying_stores_the_schemas_of_packed_views_with_the_registry() -> None:
    applying = store.apply("acme:", PACKED, now_ms=5)
    _, asked = answered(applying, [None] * 5, [1, 1])
    name, _, keys, *arguments = asked[1]
    assert (name, keys) == ("EVAL", 2)
    assert arguments == [
        *("acme:fscore:registry", "acme:fscore:schemas"),
        *(0, PACKED.to_json(), PACKED.digest, 5, "{}", f"{NUMBER:08x}", SCHEMA),
    ]


@pytest.fixture
def client(redis_url: str) -> Iterator[Redis]:
    """A redis-py client: the operations bring their own commands, so any client will do."""
    with Redis.from_url(redis_url) as connected:
        yield connected


def sent_by(client: Redis) -> Callable[[Any], Any]:
    return lambda step: client.execute_command(*step)


def test_a_real_server_keeps_revisions_and_notices_conflicts(client: Redis) -> None:
    def apply(registry: Registry) -> store.ApplyResult:
        operation = store.apply("acme:", registry, now_ms=1_700_000_000_000)
        return drive(operation, sent_by(client))

    assert drive(store.revision("acme:"), sent_by(client)) == 0
    assert apply(WHOLE).revision == 1
    assert apply(WHOLE).revision == 1
    assert apply(REAL).revision == 2
    loaded = drive(store.load("acme:"), sent_by(client))
    assert loaded == store.StoredRegistry(REAL, 2, 1_700_000_000_000)
    assert client.type("acme:fscore:registry") == b"hash"

    late = store.apply("acme:", TEXT, now_ms=0)
    send = sent_by(client)
    command = late.send(send(next(late)))
    apply(with_age_as(String))
    with pytest.raises(RegistryConflict):
        late.send(send(command))
    assert drive(store.revision("acme:"), sent_by(client)) == 3


def test_asyncio_runs_the_same_operations(client: Redis) -> None:
    async def execute(step: Any) -> Any:
        return client.execute_command(*step)

    async def run() -> store.StoredRegistry:
        await drive_async(store.apply("", WHOLE, now_ms=5), execute)
        return await drive_async(store.load(), execute)

    assert asyncio.run(run()) == store.StoredRegistry(WHOLE, 1, 5)


def test_a_real_server_keeps_every_schema_that_was_ever_applied(client: Redis) -> None:
    class Wider(FeatureView, entity=user, layout="packed", name="packed"):
        age: Int64
        score: Float64
        size: Int64

    def apply(registry: Registry) -> store.ApplyResult:
        operation = store.apply("acme:", registry, now_ms=1_700_000_000_000)
        return drive(operation, sent_by(client))

    wider = Registry.from_definitions([Wider])
    apply(PACKED)
    apply(wider)
    loaded = drive(store.load("acme:"), sent_by(client))
    assert loaded.registry == wider
    assert [list(dict(columns)) for columns in loaded.schemas.values()] == [
        *(["age", "score"], ["age", "score", "size"]),
    ]
    spec = resolve(wider, entity="user").to_spec(loaded.schemas)
    current, older = spec["views"][0]["schemas"]
    assert current == [
        fingerprint(list(wider.packed_views[0].columns)),
        [
            *(["age", "Int64"], ["score", "Float64"], ["size", "Int64"]),
        ],
    ]
    assert older == [NUMBER, [["age", "Int64"], ["score", "Float64"]]]


def test_a_real_server_refuses_a_fingerprint_that_is_taken(client: Redis) -> None:
    client.hset("fscore:schemas", f"{NUMBER:08x}", '[["other","Int64"]]')
    with pytest.raises(InvalidDefinition, match=f"view packed has .* fingerprint {NUMBER:08x} of"):
        drive(store.apply("", PACKED, now_ms=0), sent_by(client))
    assert drive(store.revision(), sent_by(client)) == 0
