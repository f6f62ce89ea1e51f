"""Event times for tests: a write accepts times from 1990 to five minutes ahead of now."""

from __future__ import annotations

import time
from dataclasses import replace

from fscore import Registry

EARLIEST_MS = 631_152_000_000
"""1990-01-01, the earliest event time that a write accepts."""
PAST_MS = 1_700_000_000_000
"""In November 2023: a row of that time has expired if it has a TTL at all."""
PAST_HOUR_MS = 1_700_002_800_000
"""In November 2023 too, at the beginning of an hour."""
RECENT_MS = time.time_ns() // 1_000_000_000 * 1_000
"""The second in which the tests began: a row of that time does not expire while they run."""


def shortly_ahead() -> int:
    """Return a time four minutes ahead of the clock, which a write still accepts."""
    return time.time_ns() // 1_000_000 + 4 * 60_000


def with_times_in(registry: Registry, timestamp_format: str) -> Registry:
    """Return the definitions with this timestamp format in every source."""
    views = {}
    for name, view in registry.views.items():
        assert view.source is not None
        views[name] = replace(view, source=replace(view.source, timestamp_format=timestamp_format))
    return replace(registry, views=views)
