"""Values that say whose they are, so that a reply to somebody else cannot go unnoticed."""

from __future__ import annotations

from typing import Any

import numpy as np

EPOCH = 1_900_000_000_000
FEATURES = ["age", "country"]


def fill(client: Any, users: int, sequence: int = 0) -> None:
    """Writes rows whose every value names its user, and whose event time the sequence number."""
    rows = [
        {"user_id": user, "age": 1_000_000 + user, "country": f"user-{user:06}-{sequence:06}"}
        for user in range(users)
    ]
    client.write("profile", rows, event_time=EPOCH + sequence)


def check(table: Any, users: Any, sequence: int = 0) -> None:
    """Every row is its user's, and not older than this."""
    ages = table.column("age")
    assert np.array_equal(ages, 1_000_000 + np.asarray(users)), (ages, users)
    for user, country in zip(users, table.column("country"), strict=True):
        name, owner, written = country.split("-")
        assert (name, int(owner)) == ("user", user)
        assert int(written) >= sequence
    assert table.all_present
