"""Write plans by themselves: which specs they refuse, and how they cut rows into batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fscore import InvalidDefinition
from fscore._fscore import WritePlan
from tests.event_times import PAST_MS

COMMON: dict[str, Any] = {
    **{"entity": "user", "join_keys": [["user_id", "Int64"]], "view": "v"},
    **{"features": [], "key_ttl_ms": 0, "shared_key": False, "also": None},
}
HASH = {**COMMON, "kind": "hash", "features": [{"name": "a", "type": "String", "ttl_ms": 0}]}
FLAGS = {
    **{**COMMON, "kind": "flags", "ids": None},
    "features": [{"name": "seen", "type": "Bool", "ttl_ms": 0}],
}
SERIES = {
    **{**COMMON, "kind": "series", "payload": [["page", "String"], ["price", "Float64"]]},
    **{"retention_ms": 0, "max_events": 0, "count_repeats": True, "event_id": False},
    **{"tile_ms": 0, "tile_retention_ms": 0, "tile_fields": []},
}
TILED = {**SERIES, "tile_ms": 3_600_000, "tile_fields": ["price"]}
PACKED = {**HASH, "kind": "packed", "fingerprint": 7}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "kind": ({**HASH, "kind": "request"}, '"request" cannot be written'),
    "type": (
        {**HASH, "features": [{"name": "a", "type": "Int128", "ttl_ms": 0}]},
        "feature a: .*Int128",
    ),
    "pattern of ids": ({**FLAGS, "ids": "user_%x"}, "user_%x.*not a pattern of ids"),
    "tiles of events that move": ({**TILED, "count_repeats": False}, 'repeats="collapse"'),
    "tiles of text": ({**TILED, "tile_fields": ["page"]}, '"page": it is not a number'),
    "tiles of nothing": ({**TILED, "tile_fields": ["rating"]}, '"rating": it is not a number'),
    "the other layout": ({**HASH, "also": {**HASH, "kind": "columns"}}, "columns"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_specifications(case: str) -> None:
    spec, message = WRONG[case]
    with pytest.raises(InvalidDefinition, match=message):
        WritePlan(spec, "")


def test_what_holds_for_batches_of_each_kind() -> None:
    def holds(spec: dict[str, Any], event_time_order: bool = False) -> tuple[bool, bool, bool]:
        plan = WritePlan(spec, "", event_time_order=event_time_order)
        row: dict[str, Any] = {"user_id": 1}
        if spec["kind"] == "packed" or spec["also"] is not None:
            row["a"] = "x"
        [batch] = plan.encode_rows([row], 1, PAST_MS)
        return batch.idempotent, batch.counted, batch.in_order

    assert holds(HASH) == (False, False, False)
    assert holds(HASH, event_time_order=True) == (True, True, False)
    assert holds(PACKED) == (False, False, False)
    assert holds(PACKED, event_time_order=True) == (True, True, False)
    assert holds({**HASH, "also": PACKED}, event_time_order=True) == (True, False, False)
    assert holds(SERIES) == (True, True, False)
    assert holds(TILED) == (True, True, True)
    assert holds(FLAGS) == (True, False, False)


@pytest.mark.parametrize("event_time_order", [False, True])
@pytest.mark.parametrize("spec", [HASH, PACKED, {**HASH, "also": PACKED}], ids=["h", "p", "both"])
def test_batches_are_cut_by_rows_and_by_bytes(spec: dict[str, Any], event_time_order: bool) -> None:
    plan = WritePlan(spec, "", event_time_order=event_time_order)
    rows = [{"user_id": user, "a": "x"} for user in range(25)]
    assert [batch.rows for batch in plan.encode_rows(rows, 1, PAST_MS, 10)] == [10, 10, 5]
    assert [batch.rows for batch in plan.encode_rows([], 1, PAST_MS, 10)] == []
    wide = [{"user_id": user, "a": "x" * (1 << 20)} for user in range(10)]
    sizes = [batch.bytes for batch in plan.encode_rows(wide, 1, PAST_MS)]
    assert len(sizes) >= 2
    assert max(sizes) < 8 << 20


@pytest.mark.parametrize("spec", [SERIES, TILED, FLAGS], ids=["series", "tiles", "flags"])
def test_what_is_kept_back_leaves_with_its_batch(spec: dict[str, Any]) -> None:
    plan = WritePlan(spec, "")
    users = np.arange(25) % 3
    columns: list[Any] = [] if spec is not FLAGS else [("seen", np.ones(25, dtype=bool), None)]
    batches = plan.encode_columns({"user_id": users}, columns, None, 1, PAST_MS, 10)
    assert [batch.rows for batch in batches] == [10, 10, 5]
    # In a batch, the events of an entity share a command, but each bit is a command of its own.
    assert [batch.commands for batch in batches] == ([10, 10, 5] if spec is FLAGS else [3, 3, 3])
    if spec is SERIES:
        pages = [{"user_id": user, "page": "x" * (1 << 20)} for user in range(10)]
        sizes = [batch.bytes for batch in plan.encode_rows(pages, 1, PAST_MS)]
        assert len(sizes) >= 2
        assert max(sizes) < 8 << 20
