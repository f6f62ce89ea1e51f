"""Version records: how they are stored, how both protocols deliver them, what follows from them."""

from __future__ import annotations

from typing import Any

import pytest

from fscore import ConfigError
from fscore.operations.operation import Operation, drive
from fscore.versions.records import (
    Pointers,
    VersionRecord,
    is_retired,
    parse_version,
    read_pointers,
    read_records,
    rollback_target,
)

RECORD = VersionRecord(2, "live", 5, "ann", "é", 6, 1, None, None)
TEXT = (
    '{"state":"live","created_at":5,"created_by":"ann","comment":"é","promoted_at":6,'
    '"previous":1,"retired_at":null,"reclaimed_at":null}'
)


def answered(operation: Operation[Any], *replies: Any) -> tuple[Any, list[Any]]:
    """Run an operation on these replies, one for each step; return its result and its steps."""
    asked: list[Any] = []
    try:
        asked.append(next(operation))
        for reply in replies:
            asked.append(operation.send(reply))
    except StopIteration as finished:
        return finished.value, asked
    raise AssertionError(f"it goes on with {asked[-1]}")


def test_a_record_is_stored_as_the_format_says() -> None:
    assert RECORD.to_json() == TEXT
    assert VersionRecord.from_json(2, TEXT.encode()) == RECORD
    # Fields that another program may leave out.
    assert VersionRecord.from_json(3, '{"state":"filling"}') == VersionRecord(3, "filling")


def test_pointers_are_read_in_one_command() -> None:
    reply = [b"1700000000001", b"42", None, b"two", "7"]
    found, asked = answered(read_pointers("acme:", ["a", "b", "c", "d"]), reply)
    assert found == Pointers(1_700_000_000_001, {"a": 42, "c": "two", "d": 7})
    assert asked == [
        (
            "MGET",
            "acme:fscore:versions",
            *(f"acme:feature_version:{name}" for name in "abcd"),
        )
    ]
    assert answered(read_pointers("", []), [None])[0] == Pointers()
    with pytest.raises(ConfigError, match="fscore:versions cannot be used: it is 'x'"):
        answered(read_pointers("", []), [b"x"])


@pytest.mark.parametrize("reply", [{b"2": TEXT.encode()}, [b"2", TEXT.encode()], {"2": TEXT}])
def test_lists_are_read_together_and_in_both_protocols(reply: Any) -> None:
    found, asked = answered(read_records("acme:", ["a", "b"]), [reply, []])
    assert found == {"a": {2: RECORD}, "b": {}}
    assert asked == [[("HGETALL", "acme:fscore:versions:a"), ("HGETALL", "acme:fscore:versions:b")]]
    assert answered(read_records("", []))[0] == {}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({b"0": TEXT}, "its field '0' is not a valid version"),
        ({b"v2": TEXT}, "its field 'v2' is not a valid version"),
        ({b"2": "["}, "its field 2 cannot be read"),
        ({b"2": "[]"}, "it has no state"),
        ({b"2": '{"state": 1}'}, "it has no state"),
        ({b"2": '{"state":"live","previous":"1"}'}, "its previous is '1'"),
        ({b"2": '{"state":"live","created_at":true}'}, "its created_at is True"),
    ],
)
def test_a_damaged_list_is_reported_with_its_key(fields: Any, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        answered(read_records("acme:", ["a"]), [fields])
    assert "acme:fscore:versions:a" in caught.value.message
    assert says in caught.value.message


def test_lists_are_asked_for_in_one_pipeline_and_the_first_refusal_is_raised() -> None:
    asked: list[Any] = []

    def pipeline(commands: Any) -> list[Any]:
        asked.append(commands)
        return [{} for _ in commands]

    def refused(commands: Any) -> list[Any]:
        return [{}, ConfigError("NOPERM"), ConfigError("later")]

    names = ["a", "b", "c"]
    expected: dict[str, Any] = {name: {} for name in names}
    assert drive(read_records("", names), pipeline) == expected
    assert asked == [[("HGETALL", f"fscore:versions:{name}") for name in names]]
    with pytest.raises(ConfigError, match="NOPERM"):
        drive(read_records("", names), refused)


def chain(
    *links: tuple[int, int | None], retired: tuple[int, ...] = ()
) -> dict[int, VersionRecord]:
    """Return records of versions, each with its predecessor."""
    return {
        version: VersionRecord(
            version, "retired" if version in retired else "live", previous=previous
        )
        for version, previous in links
    }


@pytest.mark.parametrize(
    ("records", "current", "target"),
    [
        (chain(), 1, None),
        (chain((2, 1)), 2, 1),
        (chain((2, 1)), 1, None),
        (chain((1, None), (2, 1), (3, 2)), 3, 2),
        (chain((1, None), (2, 1), (3, 2), retired=(2,)), 3, 1),
        (chain((1, None), (2, 1), (3, 2), retired=(1, 2)), 3, None),
        # A cycle, and a record that is its own predecessor.
        (chain((1, 2), (2, 1)), 1, 2),
        (chain((1, 2), (2, 1), retired=(2,)), 1, None),
        (chain((1, 1)), 1, None),
        (chain((2, 1)), None, None),
    ],
)
def test_where_a_rollback_goes(
    records: dict[int, VersionRecord], current: int | None, target: int | None
) -> None:
    assert rollback_target(records, current) == target
    assert target is None or not is_retired(records, target)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        *((b"1", 1), ("42", 42), (2**63 - 1, 2**63 - 1)),
        *((b"0", None), (b"-1", None), (b"01", None), (b"1 ", None), (b"1.0", None), (b"", None)),
        *((str(2**63), None), ("9" * 19, None), ("٣", None), (b"\xff", None)),
    ],
)
def test_what_is_a_version(text: Any, version: int | None) -> None:
    assert parse_version(text) == version
