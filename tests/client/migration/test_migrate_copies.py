"""A row leaves the old layout only if the new one has its copy; deleted rows stay deleted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fscore import ConfigError, UnsafeChange
from tests.client.migrating import (
    BOTH,
    FAST,
    NOW,
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


def lose_copy(witness: Any, to: str, number: int) -> None:
    """Remove a row from the new layout, which no client does."""
    if to == "packed":
        assert witness.delete(f"user:{{{number}}}:v1:row")
    else:
        fields = [*row(number), "_ts:row"]
        assert witness.hdel(f"user:{{{number}}}:v1", *fields)


def declare(client: Any, layout: str) -> None:
    """Change the layout in the definitions without a migration, which nobody should do."""
    client.refresh()
    views = client.registry.views
    changed = {**views, "row": replace(views["row"], layout=layout)}
    client.apply(replace(client.registry, views=changed), allow_unsafe=True)


@BOTH
@pytest.mark.parametrize("share", [0.9, 1.0])
def test_a_copy_that_is_lost_is_made_again(
    client: Any, witness: Any, to: str, share: float
) -> None:
    """The copy is lost before the check of copies, or after it, when readers use the copies."""
    fill(client)
    begin(client, to)
    before = values(client)
    lost: list[int] = []

    def progress(now: Any) -> None:
        if now.phase == "copy" and now.share == share:
            for number in (3, 7):
                lose_copy(witness, to, number)
                lost.append(number)
        elif now.phase == "copy" and lost:
            found.append(len(keys_in(witness, to)))

    found: list[int] = []
    done = client.migrate("row", to, **FAST, progress=progress)
    assert lost == [3, 7]
    # It is made before readers use the copies, unless it was lost later.
    assert found == ([len(USERS) + 5] if share < 1.0 else [])
    assert (done.copied, done.removed) == (len(USERS) + 5, len(USERS) + 5)
    same(values(client), before)
    assert keys_in(witness, opposite(to)) == []


@BOTH
def test_what_was_never_copied_is_moved(client: Any, witness: Any, to: str) -> None:
    fill(client)
    begin(client, to)
    before = values(client)
    declare(client, to)
    assert values(client) != before
    done = client.migrate("row", to, **FAST)
    assert (done.copied, done.removed) == (len(USERS) + 5, len(USERS) + 5)
    same(values(client), before)
    assert keys_in(witness, opposite(to)) == []


@BOTH
def test_what_is_written_since_is_not_replaced(client: Any, to: str) -> None:
    fill(client)
    begin(client, to)
    declare(client, to)
    client.write("row", [{"user_id": 2, **row(9), "points": 1234}])
    client.delete("row", [3])
    client.migrate("row", to, **FAST)
    client.refresh()
    table = client.prepare(features=["points"]).get([2, 3, 4])
    assert table.to_dicts() == [{"points": 1234}, {"points": None}, {"points": row(4)["points"]}]


@BOTH
def test_what_is_deleted_at_any_time_stays_deleted(
    client: Any, steps: Steps, witness: Any, to: str
) -> None:
    fill(client)
    begin(client, to)
    client.refresh()
    client.delete("row", [2])
    before = values(client)
    back = opposite(to)
    take = steps.take
    number = 1

    def deleting(step: Any) -> Any:
        if steps.done == number:
            client.refresh()
            assert client.delete("row", [2]) == 1
        return take(step)

    while True:
        steps.run(course(back))
        client.refresh()
        client.write("row", [{"user_id": 2, **row(2)}])
        steps.take = deleting  # type: ignore[method-assign]
        steps.run(course(to))
        steps.take = take  # type: ignore[method-assign]
        if steps.done < number:
            break
        same(values(client), before)
        assert keys_in(witness, back) == []
        number += 1
    assert number > 30


@BOTH
def test_a_row_that_cannot_move_stays_and_is_reported(client: Any, witness: Any, to: str) -> None:
    fill(client)
    begin(client, to)
    if to == "packed":
        witness.hset("user:{3}:v1", "points", "three")
        key = b"user:{3}:v1"
    else:
        key = b"user:{3}:v1:row"
        witness.set(key, b"\x01junk")
    declare(client, to)
    old = opposite(to)
    for _ in range(2):
        with pytest.raises(UnsafeChange, match=f"are left in {old} alone") as caught:
            client.migrate("row", to, **FAST)
        assert [line.partition(": ")[0] for line in caught.value.changes] == [key.decode()]
        assert keys_in(witness, old) == [key]
    client.refresh()
    client.write("row", [{"user_id": 3, **row(3)}])
    done = client.migrate("row", to, **FAST)
    assert (done.copied, done.removed) == (0, 1)
    table = client.prepare(features=["points"]).get([3])
    assert table.to_dicts() == [{"points": row(3)["points"]}]


def test_a_writer_that_does_not_follow_is_reported(client: Any, witness: Any) -> None:
    """Its writes are not lost, but the migration cannot finish while they go on."""
    client.write("row", [{"user_id": number, **row(number)} for number in range(1_000)])
    late: list[int] = []

    def progress(now: Any) -> None:
        if now.phase == "remove":
            late.append(10_000 + len(late))
            fields = {"points": str(late[-1]), "_ts:row": str(NOW)}
            witness.hset(f"user:{{{late[-1]}}}:v1", mapping=fields)

    with pytest.raises(ConfigError, match="goes on writing them"):
        client.migrate("row", "packed", **FAST, progress=progress)
    client.migrate("row", "packed", **FAST)
    assert keys_in(witness, "hash") == []
    client.refresh()
    found = client.prepare(features=["points"]).get(late).to_dicts()
    assert [one["points"] for one in found] == late
