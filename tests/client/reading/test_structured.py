"""Fields of structured arrays, whose elements are not contiguous, are read without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.client.oracle import EPOCH

ROWS = np.array(
    [(b"x", 7, "NZ", 1.5, 2.5, EPOCH), (b"y", 9, "FR", -1.5, -2.5, EPOCH + 1)],
    dtype=[
        *(("odd", "S1"), ("customer_id", "i8"), ("region", "U2")),
        *(("rating", "f8"), ("discount", "f4"), ("seen", "i8")),
    ],
)


def test_keys_and_values_of_a_structured_array(client: Any) -> None:
    fields = ["customer_id", "region", "rating", "discount", "seen"]
    client.write("customer", ROWS[fields], event_time=EPOCH)
    keys = {"customer_id": ROWS["customer_id"]}
    table = client.prepare(features=fields[1:]).get(keys, as_of=EPOCH)
    assert table.to_dicts() == [
        dict(zip(fields[1:], list(row)[2:], strict=True)) for row in ROWS.tolist()
    ]


def test_every_second_element_and_backwards(client: Any) -> None:
    ids = np.arange(20)
    client.write("customer", {"customer_id": ids[::2], "orders": ids[::-2]}, event_time=EPOCH)
    table = client.prepare(features=["orders"]).get(ids[::2], as_of=EPOCH)
    assert table.column("orders").tolist() == list(range(19, 0, -2))
