"""A migration between layouts keeps all values, and goes on from any point where it was ended."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fscore import InvalidArgument, InvalidValue, RegistryConflict, Unavailable, UnsafeChange
from fscore.errors import FeatureViewNotFound
from fscore.operations.operation import Pause
from tests.client.driver import Driver
from tests.client.migrating import (
    BOTH,
    DAY_MS,
    FAST,
    FEATURES,
    MINUTE_MS,
    NOW,
    REGISTRY,
    USERS,
    Steps,
    begin,
    course,
    fill,
    keys_in,
    opposite,
    row,
    same,
    values,
)
from tests.event_times import shortly_ahead
from tests.redis_server import RedisServer


@BOTH
def test_values_statuses_and_versions_stay(client: Any, witness: Any, to: str) -> None:
    fill(client)
    before = values(client)
    begin(client, to)
    same(values(client), before)
    seen: list[Any] = []
    done = client.migrate("row", to, **FAST, progress=seen.append)
    same(values(client), before)
    assert (done.view, done.layout, done.copied, done.removed, done.invalid) == (
        *("row", to),
        *(len(USERS) + 5, len(USERS) + 5, 0),
    )
    assert done.revision == client.revision
    assert len(keys_in(witness, "packed")) == (len(USERS) + 5 if to == "packed" else 0)
    fields = {name.decode() for name in witness.hkeys("user:{2}:v1")}
    in_hash = {name for name, value in row(2).items() if value is not None} | {"_ts:row"}
    assert fields == {"level", "_ts:other", *(in_hash if to == "hash" else ())}
    view = client.registry.views["row"]
    assert view.layouts == (to,)
    assert client.plan(replace(REGISTRY, views={**REGISTRY.views, "row": view})).changes == ()
    assert [now.share for now in seen if now.phase == "copy"][-1] == 1.0
    assert (seen[-1].phase, seen[-1].share, seen[-1].rows) == ("remove", 1.0, len(USERS) + 5)


@BOTH
def test_keys_live_as_long_as_before(client: Any, witness: Any, to: str) -> None:
    ahead = shortly_ahead()
    client.write("row", [{"user_id": 1, **row(1)}], event_time=ahead)
    begin(client, to)
    client.migrate("row", to, **FAST)
    key = "user:{1}:v1:row" if to == "packed" else "user:{1}:v1"
    assert witness.pexpiretime(key) == ahead + 30 * DAY_MS


def test_the_time_of_writing_is_carried_over(client: Any, witness: Any) -> None:
    client.migrate("row", "packed", **FAST)
    client.write("row", [{"user_id": 1, **row(1)}], event_time=NOW - DAY_MS)
    # A write may let a row live a little longer than its TTL from the event time.
    due = NOW + 29 * DAY_MS + 5 * MINUTE_MS
    witness.pexpireat("user:{1}:v1:row", due)
    client.migrate("row", "hash", **FAST)
    assert witness.pexpiretime("user:{1}:v1") == due


def test_a_row_by_hand_has_no_event_time_and_never_expires(client: Any, witness: Any) -> None:
    witness.hset("user:{1}:v1", mapping={"points": "7", "tags": '[ "a" ]', "score": "1E3"})
    client.migrate("row", "packed", **FAST)
    prepared = client.prepare(features=["points", "tags", "score", "name"])
    table = prepared.get([1], as_of=NOW + 1000 * DAY_MS)
    assert table.to_dicts() == [{"points": 7, "tags": ["a"], "score": 1000.0, "name": None}]
    # A missing field becomes NULL, because a packed row has no other way to be without a value.
    assert table.statuses.tolist() == [[0, 0, 0, 1]]
    assert witness.pttl("user:{1}:v1:row") == -1
    client.migrate("row", "hash", **FAST)
    assert witness.hgetall("user:{1}:v1") == {
        b"points": b"7",
        b"tags": b'["a"]',
        b"score": b"1000.0",
    }
    assert prepared.get([1]).statuses.tolist() == [[0, 0, 0, 2]]


def test_invalid_values_stop_it_before_anything_is_read_elsewhere(
    client: Any, witness: Any
) -> None:
    fill(client)
    witness.hset("user:{3}:v1", "points", "three")
    witness.hset("user:{4}:v1", "_ts:row", "now")
    witness.set("user:{777}:v1", "text")
    before = values(client)
    with pytest.raises(UnsafeChange) as caught:
        client.migrate("row", "packed", **FAST)
    assert sorted(caught.value.changes) == [
        "user:{3}:v1: points is not an integer: Int64",
        "user:{4}:v1: the row has an event time that is not an integer",
        "user:{777}:v1: it holds another type than a row",
    ]
    assert "--invalid-as-null" in caught.value.message
    same(values(client), before)
    assert client.registry.views["row"].layouts == ("hash", "packed")
    done = client.migrate("row", "packed", **FAST, invalid_as_null=True)
    assert done.invalid == 2
    table = client.prepare(features=["points", "name"]).get([3, 4, 777], as_of=NOW)
    assert table.statuses.tolist() == [[1, 0], [1, 1], [2, 2]]


def test_invalid_packed_rows_stop_it_as_well(client: Any, witness: Any) -> None:
    client.migrate("row", "packed", **FAST)
    fill(client)
    witness.set("user:{3}:v1:row", b"\x01junk")
    witness.delete("user:{4}:v1:row")
    witness.hset("user:{4}:v1:row", "a", "b")
    with pytest.raises(UnsafeChange) as caught:
        client.migrate("row", "hash", **FAST)
    assert [line.partition(": ")[0] for line in sorted(caught.value.changes)] == [
        "user:{3}:v1:row",
        "user:{4}:v1:row",
    ]
    assert client.migrate("row", "hash", **FAST, invalid_as_null=True).invalid == 1


def test_of_many_invalid_rows_the_first_are_reported(client: Any, witness: Any) -> None:
    for number in range(25):
        witness.hset(f"user:{{{number}}}:v1", "points", "x")
    with pytest.raises(UnsafeChange, match="10 of them, the first:") as caught:
        client.migrate("row", "packed", **FAST)
    assert len(caught.value.changes) == 10


def test_rows_are_whole_during_a_migration(client: Any, steps: Steps, witness: Any) -> None:
    steps.run(course("packed"), most=4)
    assert client.refresh()
    with pytest.raises(InvalidValue, match=r"while the view migrates .* brings every feature"):
        client.write("row", [{"user_id": 1, "points": 5}])
    client.write("row", [{"user_id": 1, **row(1)}])
    assert witness.exists("user:{1}:v1", "user:{1}:v1:row") == 2
    assert client.delete("row", [1]) == 1
    assert witness.exists("user:{1}:v1", "user:{1}:v1:row") == 0


@BOTH
def test_it_may_end_anywhere_and_goes_on(client: Any, steps: Steps, witness: Any, to: str) -> None:
    """Drop it after each possible step, let a reader look, and run it again to its end."""
    fill(client)
    begin(client, to)
    before = values(client)
    back = opposite(to)
    assert steps.run(course(to)).copied == len(USERS) + 5
    total = steps.done
    assert total > 15
    for most in range(total):
        steps.run(course(back))
        assert steps.run(course(to), most=most) is None
        same(values(client), before)
        assert steps.run(course(to)).layout == to
        same(values(client), before)
        assert client.registry.views["row"].layouts == (to,)
        assert len(keys_in(witness, "packed")) == (len(USERS) + 5 if to == "packed" else 0)


@BOTH
def test_it_may_be_taken_back_anywhere(client: Any, steps: Steps, to: str) -> None:
    fill(client)
    begin(client, to)
    before = values(client)
    back = opposite(to)
    assert steps.run(course(to)).layout == to
    total = steps.done
    for most in range(0, total, 3):
        steps.run(course(back))
        steps.run(course(to), most=most)
        assert steps.run(course(back)).layout == back
        same(values(client), before)


@BOTH
def test_what_was_deleted_since_an_earlier_attempt_stays_deleted(
    client: Any, steps: Steps, witness: Any, to: str
) -> None:
    """An earlier attempt left copies; the copy of a row that was deleted since must not return."""
    fill(client)
    begin(client, to)
    client.write("other", [{"user_id": 3, "level": 9}])
    client.delete("row", [3])
    if to == "packed":
        # User 3 has a hash with another view's row; user 999 has nothing else.
        steps.run(course("packed"))
        left = witness.dump("user:{5}:v1:row")
        steps.run(course("hash"))
        for number in (3, 999):
            witness.restore(f"user:{{{number}}}:v1:row", 0, left)
    else:
        for number in (3, 999):
            witness.hset(f"user:{{{number}}}:v1", mapping={"points": "5", "_ts:row": str(NOW)})
    client.migrate("row", to, **FAST)
    table = client.prepare(features=["points", "level"]).get([3, 999], as_of=NOW)
    assert table.statuses.tolist() == [[2, 0], [2, 2]]


@BOTH
def test_a_delete_removes_a_row_in_either_layout(client: Any, witness: Any, to: str) -> None:
    """A migration moves a row without a copy, so a delete begins with the layout not read."""
    fill(client)
    begin(client, to)
    client.refresh()
    user, entity = "user:{4}:v1:row", "user:{4}:v1"
    if to == "packed":
        witness.set(user, "left of an earlier migration")
    else:
        witness.hset(entity, mapping={"points": "5", "_ts:row": str(NOW)})
    commands: list[str] = []
    with witness.monitor() as monitor:
        assert client.delete("row", [4]) == 1
        while len(commands) < 2:
            command = monitor.next_command()["command"].split()
            if command[0] in ("UNLINK", "HDEL"):
                commands.append(command[0])
    assert commands == (["UNLINK", "HDEL"] if to == "packed" else ["HDEL", "UNLINK"])
    assert not witness.exists(user)
    assert {name.decode() for name in witness.hkeys(entity)} == {"level", "_ts:other"}
    assert client.delete("row", [4]) == 0


@BOTH
def test_any_answer_may_be_lost(client: Any, steps: Steps, witness: Any, to: str) -> None:
    """Each step's answer may be lost after the server has executed it; the step is sent again."""
    fill(client)
    begin(client, to)
    before = values(client)
    back = opposite(to)
    steps.run(course(to))
    total = steps.done
    take = steps.take
    lost = -1

    def losing(step: Any) -> Any:
        reply = take(step)
        if steps.done == lost and not isinstance(step, Pause):
            raise Unavailable("the connection ended")
        return reply

    for number in range(1, total + 1):
        steps.run(course(back))
        steps.take, lost = losing, number  # type: ignore[method-assign]
        done = steps.run(course(to))
        steps.take = take  # type: ignore[method-assign]
        assert (done.layout, done.copied) == (to, len(USERS) + 5)
        same(values(client), before)
        assert len(keys_in(witness, "packed")) == (len(USERS) + 5 if to == "packed" else 0)


@BOTH
@pytest.mark.parametrize("change", ["write", "delete", "partly"])
def test_a_writer_between_reading_and_storing_wins(
    client: Any, steps: Steps, witness: Any, to: str, change: str
) -> None:
    """Another client changes the row before each script runs that copies it."""
    fill(client)
    begin(client, to)
    client.refresh()
    changed: list[bool] = []
    take = steps.take
    features = ["points", "name"]

    def interfering(step: Any) -> Any:
        if isinstance(step, list) and step[0][0] == "EVALSHA" and not changed:
            client.refresh()
            if client.registry.views["row"].migrating_from is not None:
                changed.append(True)
                if change == "write":
                    client.write("row", [{"user_id": 2, **row(9), "points": 1234}])
                elif change == "delete":
                    client.delete("row", [2])
                elif to == "packed":
                    witness.hset("user:{2}:v1", "points", "1234")
                else:
                    witness.set("user:{2}:v1:row", witness.get("user:{3}:v1:row"))
        return take(step)

    steps.take = interfering  # type: ignore[method-assign]
    third = client.prepare(features=features).get([3]).to_dicts()[0]
    steps.run(course(to))
    assert changed
    client.refresh()
    found = client.prepare(features=features).get([2]).to_dicts()[0]
    if change == "delete":
        assert found == {"points": None, "name": None}
        packed = witness.exists("user:{2}:v1:row")
        assert not packed and not witness.hexists("user:{2}:v1", "_ts:row")
    elif to == "hash" and change == "partly":
        assert found == third
    else:
        assert found["points"] == 1234


@BOTH
def test_a_late_migration_does_nothing(
    client: Any, steps: Steps, redis_url: str, witness: Any, to: str
) -> None:
    """A migration that was held up while another one finished must not overwrite new rows."""
    fill(client)
    begin(client, to)
    asleep = Steps(redis_url)
    take = asleep.take
    finished: list[Any] = []

    def sleepy(step: Any) -> Any:
        if isinstance(step, list) and step[0][0] == "EVALSHA" and not finished:
            finished.append(steps.run(course(to)))
            client.refresh()
            client.write("row", [{"user_id": 2, **row(9), "points": 1234}])
        return take(step)

    asleep.take = sleepy  # type: ignore[method-assign]
    with pytest.raises(RegistryConflict, match="by somebody else while it migrated"):
        asleep.run(course(to))
    asleep.close()
    assert client.prepare(features=["points"]).get([2]).to_dicts() == [{"points": 1234}]
    back = opposite(to)
    left = witness.keys("user:*:row") if back == "packed" else witness.hget("user:{2}:v1", "points")
    assert not left


def test_others_may_apply_during_a_migration(client: Any, steps: Steps) -> None:
    fill(client)
    before = values(client)
    take = steps.take
    count: list[int] = []

    def applying(step: Any) -> Any:
        if not isinstance(step, list) or step[0][0] != "EVALSHA" or len(count) > 1:
            return take(step)
        client.refresh()
        count.append(1)
        views = client.registry.views
        other = replace(views["other"], description=f"applied {len(count)} times")
        client.apply(replace(client.registry, views={**views, "other": other}))
        return take(step)

    steps.take = applying  # type: ignore[method-assign]
    assert steps.run(course("packed")).copied == len(USERS) + 5
    same(values(client), before)
    assert client.registry.views["other"].description == "applied 2 times"


def test_the_script_may_be_forgotten(client: Any, steps: Steps, redis_server: RedisServer) -> None:
    fill(client)
    take = steps.take

    def forgetting(step: Any) -> Any:
        if isinstance(step, list) and step[-1][0] == "SCAN":
            redis_server.command("SCRIPT", "FLUSH")
        return take(step)

    steps.take = forgetting  # type: ignore[method-assign]
    assert steps.run(course("packed")).copied == len(USERS) + 5


def test_retired_versions_are_left_to_be_removed(client: Any, witness: Any) -> None:
    fill(client)
    client.versions.promote("everything", client.versions.create("everything"))
    client.write("row", [{"user_id": 1, **row(1)}], version=2)
    client.versions.retire("everything", 1, force=True)
    client.write("row", [{"user_id": 1, **row(1)}], version=1)
    client.migrate("row", "packed", **FAST)
    assert not witness.exists("user:{1}:v1:row") and witness.exists("user:{1}:v2:row")


def test_it_keeps_to_its_rate(client: Any, steps: Steps) -> None:
    client.write("row", [{"user_id": number, **row(number)} for number in range(1_000)])
    done = steps.run(course("packed", rate=100, settle=5.0))
    assert (done.copied, done.removed) == (1_000, 1_000)
    assert steps.pauses[0] == 5.0 and steps.pauses.count(5.0) == 3
    # The last batch of each phase has nothing to wait for. The two scans that only look at the
    # outcome take a tenth: a table of up to 4,096 slots is 17 pages of 250.
    waited = sum(steps.pauses) - 15.0
    assert 2 * 1_000 / 100 - 6 < waited <= (2 * 1_250 + 2 * 17 * 250 / 10) / 100


def test_wrong_arguments_and_a_layout_that_is_there_already(client: Any) -> None:
    with pytest.raises(FeatureViewNotFound, match="did you mean row"):
        client.migrate("rows", "packed")
    with pytest.raises(InvalidArgument, match="to is 'json'; it must be one of hash, packed"):
        client.migrate("row", "json")
    for options in ({"rate": 0}, {"rate": True}, {"settle": -1}):
        with pytest.raises(InvalidArgument, match="it must be a number"):
            client.migrate("row", "packed", **options)
    # The view is in this layout already: it only looks for rows left in the other layout.
    done = client.migrate("row", "hash", **FAST)
    assert (done.copied, done.removed, done.revision) == (0, 0, 1)


def test_keys_with_another_prefix_stay(driver: Driver, redis_url: str, witness: Any) -> None:
    for prefix in ("", "acme:"):
        one = driver.connect(redis_url, key_prefix=prefix, registry_poll=0.01)
        one.apply(REGISTRY)
        one.write("row", [{"user_id": 1, **row(1)}])
    assert one.migrate("row", "packed", **FAST).copied == 1
    assert witness.exists("acme:user:{1}:v1:row") and not witness.exists("user:{1}:v1:row")
    assert witness.exists("user:{1}:v1") and not witness.exists("acme:user:{1}:v1")


def test_all_features_are_covered() -> None:
    assert set(row(0)) == set(FEATURES)
