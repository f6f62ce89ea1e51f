"""Times that events of tests have: a write takes those from 1990 to five minutes ahead of now."""

from __future__ import annotations

import time
from dataclasses import replace

from fscore import Registry

EARLIEST_MS = 631_152_000_000
"""The first of 1990."""
PAST_MS = 1_700_000_000_000
"""In November 2023: what happened then has expired, where it has a TTL at all."""
PAST_HOUR_MS = 1_700_002_800_000
"""The same, at the beginning of an hour."""
RECENT_MS = time.time_ns() // 1_000_000_000 * 1_000
"""The second in which the tests began: what happened then does not expire while they run."""


def shortly_ahead() -> int:
    """A time that is as far ahead of the clock as an event may well be."""
    return time.time_ns() // 1_000_000 + 4 * 60_000


def with_times_in(registry: Registry, timestamp_format: str) -> Registry:
    """The definitions, of sources whose times are written like this."""
    views = {}
    for name, view in registry.views.items():
        assert view.source is not None
        views[name] = replace(view, source=replace(view.source, timestamp_format=timestamp_format))
    return replace(registry, views=views)
