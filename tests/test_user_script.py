"""The script of tests/user_script.py runs as it is written; mypy checks its types."""

from __future__ import annotations

from tests import user_script
from tests.event_times import RECENT_MS


def test_a_users_script_runs(redis_url: str) -> None:
    rows = user_script.run(redis_url, RECENT_MS)
    assert [(row["user_id"], row["age"], row["country"]) for row in rows] == [
        *((1, 29, "unknown"), (2, 31, "unknown"), (3, None, "unknown")),
    ]
    assert [row["share"] for row in rows] == [0.2, 0.0, 0.0]
