"""Values that say whose they are, so that a reply to somebody else cannot go unnoticed."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.event_times import RECENT_MS

EPOCH = RECENT_MS
FEATURES = ["age", "country"]


def rows(users: int, sequence: int = 0) -> list[dict[str, Any]]:
    """Rows whose every value names its user, and the sequence number they were written with."""
    return [
        {"user_id": user, "age": 1_000_000 + user, "country": f"user-{user:06}-{sequence:06}"}
        for user in range(users)
    ]


def fill(client: Any, users: int, sequence: int = 0) -> None:
    """Writes such rows; their event time has the sequence number too."""
    client.write("profile", rows(users, sequence), event_time=EPOCH + sequence)


def check(table: Any, users: Any, sequence: int = 0) -> None:
    """Every row is its user's, and not older than this."""
    ages = table.column("age")
    assert np.array_equal(ages, 1_000_000 + np.asarray(users)), (ages, users)
    for user, country in zip(users, table.column("country"), strict=True):
        name, owner, written = country.split("-")
        assert (name, int(owner)) == ("user", user)
        assert int(written) >= sequence
    assert table.all_present
