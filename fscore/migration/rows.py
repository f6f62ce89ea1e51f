"""Rows of a view that migrates, some at a time: copied, moved and removed by a script.

Operations without I/O, as in `_scan`. The script (`rust/core/src/script/copy_row.lua`) does
nothing when the registry has another revision than the one that it was called for, when the row is
no longer what was read, or when it would remove a row that has no copy. So each call of it may be
repeated.
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

# A row that changed so often between being read and stored is stored by its writers, who all write
# both layouts.
_ATTEMPTS = 100
_SHOWN = 10

_DONE, _NOTHING, _OTHER_ROW, _REFUSED, _OTHER_REGISTRY = 1, 2, 0, 3, -1

Keys: TypeAlias = Mapping[bytes, bytes]
"""Where rows are in the source's layout, and where each is in the target's."""


@dataclass(slots=True)
class Copied:
    """What copying did; `blocked` has the first keys whose values are INVALID, and why.

    `more` says that there are others. `invalid` counts values and rows that became NULL.
    """

    rows: int = 0
    invalid: int = 0
    blocked: dict[str, str] = field(default_factory=dict)
    more: bool = False

    def clear(self) -> None:
        """Forget everything: all rows are copied again."""
        self.rows = self.invalid = 0
        self.unblock()

    def unblock(self) -> None:
        """Forget what stood in the way: it is looked for again."""
        self.blocked.clear()
        self.more = False

    def block(self, key: bytes, why: str) -> None:
        """Note what stands in the way."""
        name = key.decode(errors="replace")
        if name not in self.blocked and len(self.blocked) == _SHOWN:
            self.more = True
            return
        self.blocked[name] = why


@dataclass(frozen=True)
class Rows:
    """Where rows are in both layouts, and how they get from one to the other, at one revision."""

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
    """Whether packed rows have an expiry to be carried over, of `view.life_ms`."""

    @classmethod
    def compile(
        cls, prefix: str, stored: StoredRegistry, view: str, *, source: str, field_ttl: bool
    ) -> Self:
        """Compile what it takes to copy from the layout `source`; InvalidDefinition."""
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
        """What all keys of the entity match."""
        return f"{self.prefix}{self.view.entity}:{{*}}:v*"

    def sort(
        self, keys: Sequence[bytes], retired: frozenset[int]
    ) -> tuple[dict[bytes, bytes], dict[bytes, bytes]]:
        """Return the keys in the source's layout and those in the target's.

        Each is a mapping from a key of the source to that of the target.
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
        """What is read of a row that is not there."""
        return [None] * (len(self.copy.hash_fields) if self.source == "hash" else 1)

    def clock_ms(self, replies: Sequence[Any]) -> int:
        """Return the time from which a row's expiry counts: when it was written, where known."""
        if self.expires and int(replies[1]) > 0:
            return int(replies[1]) - self.view.life_ms
        return now_ms()

    def call(self, arguments: Sequence[bytes]) -> Command:
        """Return the call of the script with what `LayoutCopy` gives for it."""
        source, target, *rest = arguments
        _, digest = self.copy.script
        return ("EVALSHA", digest, 3, source, target, self.registry_key, self.revision, *rest)


@dataclass(frozen=True, slots=True)
class Definitions:
    """The definitions as read again, with the view in the same state."""

    rows: Rows


Look: TypeAlias = Callable[[], Operation[Definitions]]


class Scripts:
    """Calls of the script, whatever has become of it and of the registry's revision meanwhile."""

    def __init__(self, rows: Rows, look: Look) -> None:
        self.rows = rows
        self._look = look

    def call(self, calls: Sequence[Sequence[bytes]]) -> Operation[list[Any]]:
        """Return what became of each: an integer of the script, or an error reply."""
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
                # Somebody applied other definitions. Raises where this view is meant.
                self.rows = (yield from self._look()).rows
        return outcomes


@dataclass(frozen=True, slots=True)
class _Call:
    """A row that was read: how it gets to the target, and how much of it becomes NULL."""

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
    """Store rows in the target's layout too; or, `moving`, there instead.

    Only what the target does not have is moved; returns the rest of it.
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
    """Read rows; those that are gone, and those that cannot be copied, are left out."""
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
            # Of other views alone; or gone, and whoever removes it does so in both layouts.
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
        # A key of another type has no row of the view.
        if isinstance(outcome, FscoreError) and not is_error(outcome, "WRONGTYPE"):
            raise outcome


def remove(scripts: Scripts, sources: Keys) -> Operation[tuple[int, dict[bytes, bytes]]]:
    """Remove rows of the source's layout of which the target has one.

    Returns how many there were, and those that the target does not have.
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
    """Return of each key of a layout whether it has a row; None when it holds another type."""
    keys = list(keys)
    if layout == "packed":
        return (yield from _found([("GETRANGE", key, 0, 0) for key in keys]))
    *_, time_field = rows.copy.hash_fields
    found = yield from _found([("HGET", key, time_field) for key in keys])
    # A row that was written by hand has no event time.
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
    """Read which versions of the entity nobody has any more: their keys are being removed."""
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
