"""Settings of the library: every default is defined in this package and nowhere else.

Each setting is also an environment variable: `FSCORE_` followed by its name in capitals. Every repr
hides secrets.

>>> from fscore.config import RedisSettings
>>> RedisSettings(redis_url="redis://:secret@127.0.0.1:6380/1").endpoint()
Endpoint(host='127.0.0.1', port=6380, path=None, tls=False, database=1, username=None)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fscore.config.defaults import (
    DEFAULT_URL,
    MAX_SECONDS,
    MIGRATION_RATE,
    MIGRATION_SETTLE,
    RECLAIM_RATE,
    FollowVersions,
)
from fscore.config.keywords import RedisOptions

__all__ = [
    "DEFAULT_URL",
    "MAX_SECONDS",
    "MIGRATION_RATE",
    "MIGRATION_SETTLE",
    "RECLAIM_RATE",
    "FollowVersions",
    "RedisOptions",
    "RedisSettings",
    "load_settings",
]

if TYPE_CHECKING:
    from fscore.config.settings import RedisSettings, load_settings
else:

    def __getattr__(name: str) -> Any:
        """Import the settings when they are first used: Pydantic takes long to import."""
        if name not in ("RedisSettings", "load_settings"):
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from fscore.config import settings

        return getattr(settings, name)
