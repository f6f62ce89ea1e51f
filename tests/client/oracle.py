"""Values that name their user, so that a test notices a reply that belongs to another caller."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.event_times import RECENT_MS

EPOCH = RECENT_MS
FEATURES = ["age", "country"]


def rows(users: int, sequence: int = 0) -> list[dict[str, Any]]:
    """Return rows whose values name their user, and the sequence number of the write."""
    return [
        {"user_id": user, "age": 1_000_000 + user, "country": f"user-{user:06}-{sequence:06}"}
        for user in range(users)
    ]


def fill(client: Any, users: int, sequence: int = 0) -> None:
    """Write such rows; a later sequence number has a later event time."""
    client.write("profile", rows(users, sequence), event_time=EPOCH + sequence)


def check(table: Any, users: Any, sequence: int = 0) -> None:
    """Check that every row is its user's, and not older than this sequence number."""
    ages = table.column("age")
    assert np.array_equal(ages, 1_000_000 + np.asarray(users)), (ages, users)
    for user, country in zip(users, table.column("country"), strict=True):
        name, owner, written = country.split("-")
        assert (name, int(owner)) == ("user", user)
        assert int(written) >= sequence
    assert table.all_present
