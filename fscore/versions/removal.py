"""Removes the keys of a retired version, at a limited rate, so that readers are not slowed down.

An operation without I/O (see `fscore.operations.operation`).
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
    """How far the removal of a version's keys is.

    - `share` is the part of the work that is done, 0 to 1. Its last tenth is a scan for keys that
      are left. It goes back if the server restarts.
    - `removed` is how many keys were removed.
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
    """Remove the keys of a version of these entities, `rate` a second; return how many.

    It begins after `settle` seconds, in which every writer learns that the version is retired. It
    ends when a whole scan finds no key, and raises ConfigError if new keys keep appearing. It can
    be interrupted at any time; the next call removes the keys that are left. If a reply was lost,
    the number may leave out keys whose removal was repeated.
    """
    if not entities:
        return 0
    belongs = _pattern(prefix, entities, version)
    # The server's glob pattern leaves out most other keys. `belongs` leaves out the rest, such as
    # v11 for v1.
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
            "a program that does not follow versions goes on writing it. Stop that program, and "
            "retire the version again"
        )
    return removed


def _pattern(prefix: str, entities: Sequence[str], version: int) -> re.Pattern[bytes]:
    # Within an id these characters are always percent-encoded; a view's name is a word.
    names = "|".join(entities)
    pattern = rf"{re.escape(prefix)}(?:{names}):\{{[^{{}}:]+\}}:v{version}(?::[A-Za-z_]\w*)?"
    return re.compile(pattern.encode(), re.ASCII)
