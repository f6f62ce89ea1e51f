"""Values that name their customer, so a test notices a reply that belongs to another caller."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.event_times import RECENT_MS

EPOCH = RECENT_MS
FEATURES = ["orders", "region"]


def rows(customers: int, sequence: int = 0) -> list[dict[str, Any]]:
    """Return rows whose values name their customer, and the sequence number of the write."""
    return [
        {
            "customer_id": number,
            "orders": 1_000_000 + number,
            "region": f"customer-{number:06}-{sequence:06}",
        }
        for number in range(customers)
    ]


def fill(client: Any, customers: int, sequence: int = 0) -> None:
    """Write such rows; a later sequence number has a later event time."""
    client.write("customer", rows(customers, sequence), event_time=EPOCH + sequence)


def check(table: Any, customers: Any, sequence: int = 0) -> None:
    """Check that every row is its customer's, and not older than this sequence number."""
    orders = table.column("orders")
    assert np.array_equal(orders, 1_000_000 + np.asarray(customers)), (orders, customers)
    for customer, region in zip(customers, table.column("region"), strict=True):
        name, owner, written = region.split("-")
        assert (name, int(owner)) == ("customer", customer)
        assert int(written) >= sequence
    assert table.all_present
