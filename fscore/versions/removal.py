"""Removing the keys of a retired version, at a rate that leaves the server to its readers.

An operation without I/O, as in `_scan`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from fscore.errors import ConfigError
from fscore.operations.operation import Operation, Pause
from fscore.operations.scan import sweep


@dataclass(frozen=True, slots=True)
class ReclaimProgress:
    """How far the removal is: the share of its work, 0 to 1, and the keys removed.

    The last tenth is for looking whether anything is left. The share goes back when the server was
    restarted.
    """

    share: float
    removed: int


Progress: TypeAlias = Callable[[ReclaimProgress], None]


def reclaim(
    prefix: str,
    entities: Sequence[str],
    version: int,
    *,
    rate: float,
    settle: float,
    progress: Progress | None = None,
) -> Operation[int]:
    """Remove the keys of these entities' version, `rate` a second; returns how many there were.

    It begins after `settle` seconds, in which everybody who writes hears that the version is
    retired, and ends when a whole scan finds nothing; ConfigError when that does not come about. It
    can be interrupted at any time; done again, it removes what is left. Keys whose removal was cut
    off, and repeated, may be missing in the number.
    """
    if not entities:
        return 0
    belongs = _pattern(prefix, entities, version)
    # The server leaves out most of what is not meant; what it lets pass, such as v11 for v1, is
    # left out here.
    entity = entities[0] + ":{" if len(entities) == 1 else ""
    match = f"{prefix}{entity}*}}:v{version}*"
    removed = 0

    def remove(keys: list[bytes]) -> Operation[int]:
        nonlocal removed
        found = [key for key in keys if belongs.fullmatch(key)]
        count = int((yield ("UNLINK", *found))) if found else 0
        removed += count
        return count

    def tell(share: float) -> None:
        if progress is not None:
            progress(ReclaimProgress(share, removed))

    yield Pause(settle)
    done = yield from sweep(match, lambda _: remove, lambda: removed, rate=rate, tell=tell)
    if not done:
        raise ConfigError(
            f"{removed:,} keys of version {version} were removed, and there are always new ones: "
            "a program that does not follow versions goes on writing it. Stop that, and retire "
            "the version again"
        )
    return removed


def _pattern(prefix: str, entities: Sequence[str], version: int) -> re.Pattern[bytes]:
    # Within an id these characters are always percent-encoded; a view's name is a word.
    names = "|".join(entities)
    pattern = rf"{re.escape(prefix)}(?:{names}):\{{[^{{}}:]+\}}:v{version}(?::[A-Za-z_]\w*)?"
    return re.compile(pattern.encode(), re.ASCII)
