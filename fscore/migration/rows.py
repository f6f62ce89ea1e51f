"""Copies, moves and removes rows of a view that migrates, some rows at a time.

Operations without I/O (see `fscore.operations.operation`). A script does the work
(`rust/core/src/script/copy_row.lua`). It does nothing if the registry has another revision than the
call expects, if the row has changed since it was read, or if it would remove a row that has no
copy. So each call may be repeated.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

from fscore._fscore import LayoutCopy
from fscore.errors import FscoreError
from fscore.interop.rows import now_ms
from fscore.model.views import LAYOUTS, FeatureViewDefinition
from fscore.operations import registry as store
from fscore.operations.operation import Command, Operation, is_error, unless_refused
from fscore.operations.registry import StoredRegistry
from fscore.registry.registry import Registry
from fscore.specs.write import layout_spec
from fscore.versions.records import (
    Records,
    entities_of,
    is_retired,
    live_of,
    read_pointers,
    read_records,
)

# A row that changes this often between read and copy needs no copy: every writer writes both
# layouts.
_ATTEMPTS = 100
# How many keys an error message lists.
_SHOWN = 10

_DONE, _NOTHING, _OTHER_ROW, _REFUSED, _OTHER_REGISTRY = 1, 2, 0, 3, -1

Keys: TypeAlias = Mapping[bytes, bytes]
"""The keys of rows: from a row's key in the source's layout to its key in the target's."""


@dataclass(slots=True)
class Copied:
    """The outcome of copying.

    - `rows` is how many rows were copied.
    - `invalid` is how many values, or whole rows, became NULL.
    - `blocked` has the first keys that could not be copied, each with the reason.
    - `more` says whether there are more such keys.
    """

    rows: int = 0
    invalid: int = 0
    blocked: dict[str, str] = field(default_factory=dict)
    more: bool = False

    def clear(self) -> None:
        """Forget everything, because all rows are copied again."""
        self.rows = self.invalid = 0
        self.unblock()

    def unblock(self) -> None:
        """Forget the blocked keys, because another scan will find them again."""
        self.blocked.clear()
        self.more = False

    def block(self, key: bytes, why: str) -> None:
        """Note a key that cannot be copied, and why."""
        name = key.decode(errors="replace")
        if name not in self.blocked and len(self.blocked) == _SHOWN:
            self.more = True
            return
        self.blocked[name] = why


@dataclass(frozen=True)
class Rows:
    """The keys of a view's rows in both layouts, and how to copy a row, at one revision."""

    revision: int
    registry_key: str
    registry: Registry
    prefix: str
    view: FeatureViewDefinition
    source: str
    target: str
    copy: LayoutCopy
    pattern: re.Pattern[bytes]
    expires: bool
    """Whether source rows are packed with an expiry (`view.life_ms`), which a copy must keep."""

    @classmethod
    def compile(
        cls, prefix: str, stored: StoredRegistry, view: str, *, source: str, field_ttl: bool
    ) -> Self:
        """Compile how to copy from the layout `source`; raises InvalidDefinition."""
        registry = stored.registry
        definition = registry.views[view]
        assert isinstance(definition, FeatureViewDefinition)
        target = LAYOUTS[1 - LAYOUTS.index(source)]
        copy = LayoutCopy(
            layout_spec(registry, definition, source),
            layout_spec(registry, definition, target),
            prefix,
            list(stored.schemas.items()),
            field_ttl=field_ttl,
        )
        # Within an id these characters are always percent-encoded.
        head = re.escape(f"{prefix}{definition.entity}:")
        pattern = rf"({head}\{{[^{{}}:]+\}}:v([1-9][0-9]*))(:{re.escape(view)})?"
        return cls(
            stored.revision,
            store.registry_key(prefix),
            registry,
            prefix,
            definition,
            source,
            target,
            copy,
            re.compile(pattern.encode(), re.ASCII),
            source == "packed" and definition.life_ms > 0,
        )

    @property
    def match(self) -> str:
        """The glob pattern for SCAN that all keys of the entity match."""
        return f"{self.prefix}{self.view.entity}:{{*}}:v*"

    def sort(
        self, keys: Sequence[bytes], retired: frozenset[int]
    ) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Sort keys into those of the source's layout and those of the target's.

        Both results map a row's key in the source's layout to its key in the target's.
        """
        suffix = f":{self.view.name}".encode()
        sources: dict[bytes, bytes] = {}
        targets: dict[bytes, bytes] = {}
        for key in keys:
            found = self.pattern.fullmatch(key)
            if found is None or int(found[2]) in retired:
                continue
            pair = (found[1], found[1] + suffix)
            source, target = pair if self.source == "hash" else pair[::-1]
            (sources if key == source else targets)[source] = target
        return sources, targets

    def read(self, key: bytes) -> list[Command]:
        """Return the commands that read a row."""
        if self.source == "hash":
            return [("HMGET", key, *self.copy.hash_fields)]
        read: list[Command] = [("GET", key)]
        return [*read, ("PEXPIRETIME", key)] if self.expires else read

    @property
    def nothing(self) -> list[None]:
        """The values that reading a missing row gives."""
        return [None] * (len(self.copy.hash_fields) if self.source == "hash" else 1)

    def clock_ms(self, replies: Sequence[Any]) -> int:
        """Return the time from which a row's expiry counts: when it was written, or else now."""
        if self.expires and int(replies[1]) > 0:
            return int(replies[1]) - self.view.life_ms
        return now_ms()

    def call(self, arguments: Sequence[bytes]) -> Command:
        """Return the command that calls the script with arguments that `LayoutCopy` made."""
        source, target, *rest = arguments
        _, digest = self.copy.script
        return ("EVALSHA", digest, 3, source, target, self.registry_key, self.revision, *rest)


@dataclass(frozen=True, slots=True)
class Definitions:
    """Rows compiled by definitions that were read again; the view's layouts are the same."""

    rows: Rows


Look: TypeAlias = Callable[[], Operation[Definitions]]


class Scripts:
    """Calls the script, even if the server forgot it or the registry has a new revision."""

    def __init__(self, rows: Rows, look: Look) -> None:
        self.rows = rows
        self._look = look

    def call(self, calls: Sequence[Sequence[bytes]]) -> Operation[list[Any]]:
        """Return the outcome of each call: an integer of the script, or an error reply."""
        outcomes: list[Any] = [_OTHER_REGISTRY] * len(calls)
        left = list(range(len(calls)))
        for attempt in range(_ATTEMPTS):
            replies = yield [self.rows.call(calls[index]) for index in left]
            unknown = any(is_error(reply, "NOSCRIPT") for reply in replies)
            again = []
            for index, reply in zip(left, replies, strict=True):
                outcomes[index] = reply if isinstance(reply, FscoreError) else int(reply)
                if outcomes[index] == _OTHER_REGISTRY or is_error(reply, "NOSCRIPT"):
                    again.append(index)
            if not again or attempt == _ATTEMPTS - 1:
                break
            left = again
            if unknown:
                body, _ = self.rows.copy.script
                yield ("SCRIPT", "LOAD", body)
            if any(outcomes[index] == _OTHER_REGISTRY for index in again):
                # Somebody applied other definitions. This raises if they changed the view's layout.
                self.rows = (yield from self._look()).rows
        return outcomes


@dataclass(frozen=True, slots=True)
class _Call:
    """The call of the script that copies a row; `invalid` counts values that become NULL."""

    source: bytes
    target: bytes
    arguments: Sequence[bytes]
    invalid: int


def copy(
    scripts: Scripts,
    sources: Keys,
    copied: Copied,
    *,
    invalid_as_null: bool,
    moving: bool = False,
) -> Operation[dict[bytes, bytes]]:
    """Copy rows to the target's layout; with `moving`, remove them from the source's too.

    A row that the target has already is not moved. Returns the keys of these rows.
    """
    left = dict(sources)
    refused: dict[bytes, bytes] = {}
    for _ in range(_ATTEMPTS):
        calls = yield from _read(scripts.rows, left, copied, invalid_as_null, moving)
        if not calls:
            break
        outcomes = yield from scripts.call([call.arguments for call in calls])
        left = {}
        for call, outcome in zip(calls, outcomes, strict=True):
            if is_error(outcome, "WRONGTYPE"):
                copied.block(call.target, "a row goes there, and it holds another type")
            elif isinstance(outcome, FscoreError):
                raise outcome
            elif outcome == _OTHER_ROW:
                left[call.source] = call.target
            elif outcome == _REFUSED:
                refused[call.source] = call.target
            else:
                copied.rows += 1
                copied.invalid += call.invalid
    return refused


def _read(
    rows: Rows, keys: Keys, copied: Copied, invalid_as_null: bool, moving: bool
) -> Operation[list[_Call]]:
    """Read rows, and return the script's calls for those that exist and can be copied."""
    if not keys:
        return []
    commands = {source: rows.read(source) for source in keys}
    replies = iter((yield [command for each in commands.values() for command in each]))
    calls = []
    for source, each in commands.items():
        read = [next(replies) for _ in each]
        if any(is_error(reply, "WRONGTYPE") for reply in read):
            if not invalid_as_null:
                copied.block(source, "it holds another type than a row")
            continue
        unless_refused(read)
        values = read[0] if rows.source == "hash" else read[:1]
        if all(value is None for value in values):
            # The hash has fields of other views only; or the row was deleted, which removes it
            # from both layouts.
            continue
        target, clock_ms = keys[source], rows.clock_ms(read)
        arguments, invalid = rows.copy.row(source, target, values, clock_ms, moving=moving)
        if invalid and not invalid_as_null:
            why = (f"{feature or 'the row'} {reason}" for feature, reason in invalid)
            copied.block(source, "; ".join(why))
            continue
        calls.append(_Call(source, target, arguments, len(invalid)))
    return calls


def prune(scripts: Scripts, targets: Keys) -> Operation[None]:
    """Remove rows of the target's layout that the source's does not have."""
    if not targets:
        return
    rows = scripts.rows
    calls = [rows.copy.row(key, target, rows.nothing, 0)[0] for key, target in targets.items()]
    outcomes = yield from scripts.call(calls)
    for outcome in outcomes:
        # A key of another type does not hold a row of the view.
        if isinstance(outcome, FscoreError) and not is_error(outcome, "WRONGTYPE"):
            raise outcome


def remove(scripts: Scripts, sources: Keys) -> Operation[tuple[int, dict[bytes, bytes]]]:
    """Remove rows of the source's layout that the target's layout has too.

    Returns how many rows were removed, and the keys of those that the target does not have.
    """
    if not sources:
        return 0, {}
    calls = [scripts.rows.copy.removal(key, target) for key, target in sources.items()]
    outcomes = yield from scripts.call(calls)
    alone: dict[bytes, bytes] = {}
    for (key, target), outcome in zip(sources.items(), outcomes, strict=True):
        if outcome == _REFUSED or is_error(outcome, "WRONGTYPE"):
            alone[key] = target
        elif isinstance(outcome, FscoreError):
            raise outcome
    return outcomes.count(_DONE), alone


def is_there(rows: Rows, keys: Iterable[bytes], layout: str) -> Operation[list[bool | None]]:
    """Return for each key of a layout whether it has a row; None if it holds another type."""
    keys = list(keys)
    if layout == "packed":
        return (yield from _found([("GETRANGE", key, 0, 0) for key in keys]))
    *_, time_field = rows.copy.hash_fields
    found = yield from _found([("HGET", key, time_field) for key in keys])
    # A row that was written by hand may lack the event time, so its other fields are looked at.
    unsure = [place for place, there in enumerate(found) if there is False]
    again: list[Command] = [("HMGET", keys[place], *rows.copy.hash_fields) for place in unsure]
    for place, there in zip(unsure, (yield from _found(again)), strict=True):
        found[place] = there
    return found


def _found(commands: list[Command]) -> Operation[list[bool | None]]:
    if not commands:
        return []
    found: list[bool | None] = []
    for reply in (yield commands):
        if is_error(reply, "WRONGTYPE"):
            found.append(None)
        elif isinstance(reply, FscoreError):
            raise reply
        elif isinstance(reply, list):
            found.append(any(value is not None for value in reply))
        else:
            found.append(bool(reply))
    return found


def retired_versions(rows: Rows) -> Operation[frozenset[int]]:
    """Read which versions no service of the entity keeps: their keys are being removed."""
    entity, services = rows.view.entity, rows.registry.services
    names = [name for name in services if entity in entities_of(rows.registry, name)]
    pointers = yield from read_pointers(rows.prefix, names)
    records: Records = yield from read_records(rows.prefix, names)
    live: set[int] = set()
    for name in names:
        live |= live_of(pointers.current(services[name], rows.prefix), records[name])
    known = {version for each in records.values() for version in each}
    return frozenset(
        version
        for version in known - live
        if any(is_retired(each, version) for each in records.values())
    )
