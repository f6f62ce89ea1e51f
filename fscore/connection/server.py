"""Abilities of a server, by its name and version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_HASH_FIELD_EXPIRY = {"redis": (7, 4), "valkey": (9, 0)}


def expires_hash_fields(server: Mapping[str, Any]) -> bool:
    """Return whether single fields of a hash can expire on this server.

    >>> expires_hash_fields({"server": "valkey", "version": "9.1.2"})
    True
    >>> expires_hash_fields({"server": "redis", "version": "7.2.0"})
    False
    """
    since = _HASH_FIELD_EXPIRY.get(server.get("server", ""))
    numbers = re.match(r"(\d+)\.(\d+)", server.get("version", ""))
    return since is not None and numbers is not None and _pair(numbers) >= since


def _pair(numbers: re.Match[str]) -> tuple[int, int]:
    return int(numbers[1]), int(numbers[2])
