"""Defaults and limits that calls share with settings."""

from __future__ import annotations

from typing import Literal, TypeAlias

DEFAULT_URL = "redis://127.0.0.1:6379"
"""The server that a client connects to by default."""
MAX_SECONDS = 3600
"""The longest timeout, of a setting and of a call."""
RECLAIM_RATE = 10_000
"""Keys a second that retiring a version removes by default."""
MIGRATION_RATE = 5_000
"""Rows a second that a migration copies by default."""
MIGRATION_SETTLE = 3.0
"""Seconds that a migration waits by default for every client to follow."""

FollowVersions: TypeAlias = Literal["poll", "push"]
"""How an asyncio client learns of promotions; see the setting `follow_versions`."""
