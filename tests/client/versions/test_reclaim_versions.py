"""Retiring a version removes all its keys and no others, and keeps to the rate."""

from __future__ import annotations

import time
from typing import Any

import pytest

from fscore import ConfigError, Entity, FeatureService, FeatureView, Int64, Registry, String
from fscore.operations.operation import Pause
from fscore.operations.scan import share_scanned
from fscore.versions.removal import ReclaimProgress, reclaim
from tests.client.driver import Driver

user = Entity("user", join_keys={"user_id": String})
user_2 = Entity("user_2", join_keys={"user_id": String})
pair = Entity("pair", join_keys={"user_id": String, "sku": Int64})


class Profile(FeatureView, entity=user):
    age: Int64


class Other(FeatureView, entity=user_2):
    size: Int64


class Affinity(FeatureView, entity=pair):
    clicks: Int64


ranking = FeatureService("ranking", features=[Profile.age, Affinity.clicks])
others = FeatureService("others", features=[Other.size])
REGISTRY = Registry.from_definitions([ranking, others])

# Ids that look like the ends of keys, or like patterns.
LOOK_ALIKES = [
    *("1", "v1", "1}:v1", "{1}:v1", "x:v1", "}:v1:", "*", "a*b", "[v1]", "?", "\\", "%", "%7D"),
    *(
        "%7D%3Av1",
        "1,2",
        " ",
        "\n",
        "\x00",
        "é",
        "☕",
        "user:{1}:v1",
        "v11",
        "profile",
        ":v1:profile",
    ),
]


@pytest.fixture
def client(driver: Driver, redis_url: str) -> Any:
    connected = driver.connect(redis_url, registry_poll=0.01)
    connected.apply(REGISTRY)
    return connected


def write(client: Any, version: int, ids: list[str]) -> None:
    """Write a row of each entity for each id."""
    one = [1] * len(ids)
    client.write("profile", {"user_id": ids, "age": one}, version=version)
    client.write("other", {"user_id": ids, "size": one}, version=version)
    client.write("affinity", {"user_id": ids, "sku": one, "clicks": one}, version=version)


def keys(witness: Any) -> set[bytes]:
    return {key for key in witness.scan_iter(count=1000) if b"fscore:" not in key}


def test_look_alikes_stay(client: Any, witness: Any) -> None:
    for version in (1, 10, 11, 12, 111):
        write(client, version, LOOK_ALIKES)
    before = keys(witness)
    assert len(before) == 5 * 3 * len(LOOK_ALIKES)
    retired = {key for key in before if key.startswith((b"user:", b"pair:"))}
    retired = {key for key in retired if key.endswith(b"}:v1")}
    assert len(retired) == 2 * len(LOOK_ALIKES)
    # Keys of packed views, of other tenants, of other programs, and of views without versions.
    packed = [b"user:{7}:v1:profile", b"user:{a%7D%3Av11}:v1:p_2", b"pair:{a,1}:v1:affinity"]
    strangers = [
        *(b"acme:user:{7}:v1", b"user:{7}:v1:", b"user:{7}:v1:a:b", b"user:{7}:v1x", b"user:7:v1"),
        *(b"user:{7}:v11:profile", b"user:{7}:v11:v1", b"clicks:user:{7}", b"user:{}:v1"),
        *(
            b"xuser:{7}:v1",
            b"user:{7}:v01",
            b"clicks:user:{7}:v1",
            b"flag:user:v1",
            b"user:{7}:v1\n",
        ),
    ]
    for key in (*packed, *strangers):
        witness.set(key, "x")
    client.versions.promote("ranking", client.versions.create("ranking"))
    found = client.versions.retire("ranking", 1, force=True)
    assert found.entities == ("user", "pair")
    assert found.removed == len(retired) + len(packed)
    assert keys(witness) == (before - retired) | set(strangers) | {b"feature_version:ranking"}


def test_keys_with_another_prefix_stay(driver: Driver, redis_url: str, witness: Any) -> None:
    for prefix in ("", "acme:", "acme:user:", "a.c+e|"):
        one = driver.connect(redis_url, key_prefix=prefix, registry_poll=0.01)
        one.apply(REGISTRY)
        write(one, 1, ["7"])
    for prefix in ("acme:", "a.c+e|", ""):
        before = keys(witness)
        one = driver.connect(redis_url, key_prefix=prefix, registry_poll=0.01)
        one.versions.promote("ranking", one.versions.create("ranking"))
        assert one.versions.retire("ranking", 1, force=True).removed == 2
        gone = {f"{prefix}user:{{7}}:v1".encode(), f"{prefix}pair:{{7,1}}:v1".encode()}
        assert before - keys(witness) == gone


def test_it_can_be_interrupted_and_goes_on(client: Any, witness: Any) -> None:
    write(client, 1, [str(number) for number in range(2_000)])
    client.versions.promote("ranking", client.versions.create("ranking"))

    class Interrupted(Exception):
        pass

    def interrupt(progress: ReclaimProgress) -> None:
        if progress.removed:
            raise Interrupted

    with pytest.raises(Interrupted):
        client.versions.retire("ranking", 1, force=True, progress=interrupt)
    left = len(witness.keys("user:{*}:v1")) + len(witness.keys("pair:{*}:v1"))
    assert 0 < left < 4_000
    (found,) = client.versions.list("ranking")
    assert (found.versions[0].state, found.versions[0].reclaimed_at_ms) == ("retired", None)
    # It is already marked as retired, so the second call needs no `force`.
    assert client.versions.retire("ranking", 1).removed == left
    assert client.versions.list("ranking")[0].versions[0].reclaimed_at_ms > 0
    assert client.versions.retire("ranking", 1).removed == 0
    assert len(witness.keys("user_2:{*}:v1")) == 2_000


def test_what_is_written_behind_the_scan_is_found(client: Any, witness: Any) -> None:
    write(client, 1, ["7"])
    client.versions.promote("ranking", client.versions.create("ranking"))
    late = [b"user:{%d}:v1" % number for number in range(10)]

    def progress(now: ReclaimProgress) -> None:
        if now.share >= 0.9 and late:
            witness.set(late.pop(), "x")
            late.clear()

    assert client.versions.retire("ranking", 1, force=True, progress=progress).removed == 3
    assert not late and not witness.keys("user:*")


def test_a_writer_that_does_not_follow_is_reported(client: Any, witness: Any) -> None:
    write(client, 2, [str(number) for number in range(1_000)])
    client.versions.promote("ranking", client.versions.create("ranking"))

    def progress(now: ReclaimProgress) -> None:
        assert now.share < 1.0
        witness.set("user:{8}:v1", "x")

    # The key is there from the beginning, so the first scan finds it, in whatever order it comes.
    witness.set("user:{8}:v1", "x")
    with pytest.raises(ConfigError, match="goes on writing it"):
        client.versions.retire("ranking", 1, force=True, progress=progress)
    (found,) = client.versions.list("ranking")
    assert (found.versions[0].state, found.versions[0].reclaimed_at_ms) == ("retired", None)
    witness.set("user:{8}:v1", "x")
    assert client.versions.retire("ranking", 1).removed == 1
    assert not witness.keys("user:{*}:v1")


def test_progress_grows_to_the_end(client: Any) -> None:
    write(client, 1, [str(number) for number in range(3_000)])
    client.versions.promote("ranking", client.versions.create("ranking"))
    told: list[ReclaimProgress] = []
    client.versions.retire("ranking", 1, force=True, rate=1e9, progress=told.append)
    shares = [progress.share for progress in told]
    assert shares == sorted(shares)
    assert len(told) > 10
    assert told[-1] == ReclaimProgress(1.0, 6_000)


def test_the_rate_is_kept(client: Any) -> None:
    write(client, 1, [str(number) for number in range(200)])
    client.versions.promote("ranking", client.versions.create("ranking"))
    began = time.monotonic()
    # 400 keys. There is no pause after the last batch; a batch has at most the keys of one SCAN.
    client.versions.retire("ranking", 1, force=True, rate=400)
    assert time.monotonic() - began > 0.3


def paced(present: list[list[bytes]], rate: float) -> list[float]:
    """Return the pauses of a removal if each SCAN finds these keys and the clock stands still."""
    pauses: list[float] = []
    operation = reclaim("", ["user"], 1, rate=rate, settle=3.0, progress=None)
    step = next(operation)
    # A last scan looks for keys that were written since, and finds none.
    left = iter([*present, []] if any(present) else present)
    count = len(present)
    try:
        while True:
            if isinstance(step, Pause):
                pauses.append(step.seconds)
                step = operation.send(100.0)
            elif isinstance(step, list) and len(step) == 1:
                step = operation.send([b"run_id:a"])
            elif isinstance(step, list):
                found = next(left)
                count = max(count - 1, 0)
                step = operation.send([b"run_id:a", [count, found]])
            else:
                assert isinstance(step, tuple)
                step = operation.send(len(step) - 1)
    except StopIteration:
        return [pause for pause in pauses if pause]


def test_pauses_follow_from_what_was_removed_and_looked_at() -> None:
    batch = [b"user:{%d}:v1" % number for number in range(100)]
    # The first pause lets writers notice the retirement.
    assert paced([[]], 100) == [3.0]
    assert paced([batch, batch, []], 100) == [3.0, 1.0, 2.0]
    # A key that is looked at but not removed counts a tenth: 250 of them count as 25.
    assert paced([[], [], []], 100) == [3.0, 0.25, 0.5]
    assert paced([batch, [b"user:{1}:v11"], []], 100) == [3.0, 1.0, 1.0]


def test_the_share_of_a_scan_by_its_cursor(witness: Any) -> None:
    with witness.pipeline(transaction=False) as pipeline:
        for number in range(20_000):
            pipeline.set(f"k{number}", "")
        pipeline.execute()
    seen, cursor = 0, 0
    while True:
        cursor, found = witness.scan(cursor, count=100)
        seen += len(found)
        assert share_scanned(cursor) == pytest.approx(seen / 20_000, abs=0.05)
        if cursor == 0:
            break
