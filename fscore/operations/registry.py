"""The registry in Redis: operations that read it, ask for its revision, and replace it.

The hash `{prefix}fscore:registry` has the fields `revision`, `definitions` (canonical JSON),
`digest` (SHA-256 of the definitions), `applied_at` (epoch milliseconds) and `expiries` (see
`fscore.operations.expiries`).

The hash `{prefix}fscore:schemas` has every schema that packed rows were ever written with, from
fingerprint (8 hexadecimal digits) to JSON of names and types. It is read only if a view is packed,
and after the registry, so that it is never older.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from fscore.errors import ConfigError, InvalidDefinition, RegistryConflict, UnsafeChange
from fscore.model.data_type import DataType
from fscore.model.fingerprint import fingerprint
from fscore.model.views import Columns, Schemas
from fscore.operations import expiries as _expiries
from fscore.operations.expiries import Expiries
from fscore.operations.operation import Operation
from fscore.registry.diff.registries import RegistryDiff, diff
from fscore.registry.registry import Registry

# Compare-and-set on the revision. Returns [1, new revision], or [0, the revision that is there]. If
# another schema has taken a fingerprint, nothing is stored: [-1, the fingerprint].
_REPLACE = """
local found = tonumber(redis.call('HGET', KEYS[1], 'revision') or '0')
if found ~= tonumber(ARGV[1]) then
  return {0, found}
end
for i = 6, #ARGV, 2 do
  local known = redis.call('HGET', KEYS[2], ARGV[i])
  if known and known ~= ARGV[i + 1] then
    return {-1, ARGV[i]}
  end
end
for i = 6, #ARGV, 2 do
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end
redis.call('HSET', KEYS[1], 'revision', found + 1,
  'definitions', ARGV[2], 'digest', ARGV[3], 'applied_at', ARGV[4], 'expiries', ARGV[5])
return {1, found + 1}
"""


@dataclass(frozen=True, slots=True)
class StoredRegistry:
    """The registry as Redis has it; revision 0 and an empty registry if nothing was applied."""

    registry: Registry
    revision: int
    applied_at_ms: int = 0
    schemas: Schemas = field(default_factory=dict)
    """Every schema that packed rows may have, by its fingerprint."""
    expiries: Expiries = field(default_factory=dict)
    """Until when keys may have an expiry of earlier definitions."""

    def is_same_as(self, other: StoredRegistry) -> bool:
        """Return whether both are the same except for `applied_at_ms`."""
        mine = (self.revision, self.schemas, self.expiries, self.registry)
        return mine == (other.revision, other.schemas, other.expiries, other.registry)


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """The outcome of an apply: the revision that Redis has now, and the changes.

    If there are no changes, the revision stays the same.
    """

    revision: int
    diff: RegistryDiff

    @property
    def changed(self) -> bool:
        """Whether anything was stored."""
        return bool(self.diff)


def registry_key(prefix: str = "") -> str:
    """Return the key of the registry's hash."""
    return f"{prefix}fscore:registry"


def schemas_key(prefix: str = "") -> str:
    """Return the key of the hash of all schemas of packed rows."""
    return f"{prefix}fscore:schemas"


def revision(prefix: str = "") -> Operation[int]:
    """Ask for the revision only; 0 if nothing was applied yet."""
    key = registry_key(prefix)
    return _integer(key, "revision", (yield ("HGET", key, "revision")))


def is_current(stored: StoredRegistry, prefix: str = "") -> Operation[bool]:
    """Ask whether Redis still has this registry.

    A server that was emptied counts revisions from the beginning again, and may have the same
    revision with other definitions. So the digest is compared as well.
    """
    key = registry_key(prefix)
    number, digest = yield ("HMGET", key, "revision", "digest")
    found = _integer(key, "revision", number)
    if found != stored.revision:
        return False
    return digest is None or _text(digest) == stored.registry.digest


def load(prefix: str = "") -> Operation[StoredRegistry]:
    """Read the registry; raises ConfigError if the stored data is damaged."""
    key = registry_key(prefix)
    fields = ("revision", "definitions", "digest", "applied_at", "expiries")
    number, definitions, digest, applied_at, remembered = yield ("HMGET", key, *fields)
    found = _integer(key, "revision", number)
    if definitions is None:
        if found:
            _damaged(key, "it has a revision but no definitions")
        return StoredRegistry(Registry(), 0)
    try:
        registry = Registry.from_json(definitions)
    except InvalidDefinition as error:
        _damaged(key, error.message)
    if digest is not None and _text(digest) != registry.digest:
        _damaged(key, "its digest is not that of its definitions")
    applied_at_ms = _integer(key, "applied_at", applied_at)
    try:
        expiries = _expiries.from_json(remembered)
    except ValueError:
        _damaged(key, f"its field expiries is {remembered!r}, not an object of times")
    schemas: Schemas = {}
    if registry.packed_views:
        schemas = yield from load_schemas(prefix)
    return StoredRegistry(registry, found, applied_at_ms, schemas, expiries)


def load_schemas(prefix: str = "") -> Operation[Schemas]:
    """Read every schema that packed rows may have; raises ConfigError if one is damaged."""
    key = schemas_key(prefix)
    return _schemas(key, (yield ("HGETALL", key)))


def apply(
    prefix: str, registry: Registry, *, allow_unsafe: bool = False, now_ms: int
) -> Operation[ApplyResult]:
    """Replace the registry by this one.

    Raises UnsafeChange if stored data would not survive and `allow_unsafe` is not set, and
    RegistryConflict if somebody else applied definitions meanwhile; nothing is stored then.
    """
    stored = yield from load(prefix)
    difference = diff(stored.registry, registry)
    if not difference and stored.revision:
        return ApplyResult(stored.revision, difference)
    if not difference.safe and not allow_unsafe:
        _refuse(difference)
    revision = yield from replace(prefix, stored, registry, now_ms=now_ms)
    return ApplyResult(revision, difference)


def replace(
    prefix: str, stored: StoredRegistry, registry: Registry, *, now_ms: int
) -> Operation[int]:
    """Store this registry in place of `stored`; return its revision.

    Raises RegistryConflict if Redis no longer has `stored`.
    """
    key = registry_key(prefix)
    schemas = {
        f"{fingerprint(view.columns):08x}": json.dumps(view.columns, separators=(",", ":"))
        for view in registry.packed_views
    }
    keys = (key, schemas_key(prefix)) if schemas else (key,)
    replaced, found = yield (
        "EVAL",
        _REPLACE,
        len(keys),
        *keys,
        stored.revision,
        registry.to_json(),
        registry.digest,
        now_ms,
        _expiries.to_json(_expiries.outdated(stored.registry, registry, stored.expiries, now_ms)),
        *(part for schema in schemas.items() for part in schema),
    )
    if int(replaced) == -1:
        _refuse_fingerprint(registry, _text(found))
    if int(replaced) != 1:
        raise RegistryConflict(
            f"{key} changed from revision {stored.revision} to {int(found)} in the "
            "meantime: look at `fscore plan` again, then apply",
            expected=stored.revision,
            found=int(found),
        )
    return int(found)


def _refuse(difference: RegistryDiff) -> NoReturn:
    lines = [str(change) for change in difference.unsafe]
    count = "1 change is" if len(lines) == 1 else f"{len(lines)} changes are"
    listing = "".join(f"\n  {line}" for line in lines)
    raise UnsafeChange(
        f"{count} unsafe for stored data, and nothing was applied:{listing}\n"
        "Add a new feature beside the old one instead, or apply with --allow-unsafe "
        "(allow_unsafe=True).",
        changes=lines,
    )


def _refuse_fingerprint(registry: Registry, taken: str) -> NoReturn:
    names = [
        view.name for view in registry.packed_views if f"{fingerprint(view.columns):08x}" == taken
    ]
    raise InvalidDefinition(
        f"view {' and '.join(names)} has features with the fingerprint {taken} of another schema "
        "that packed rows were written with: rename a feature of it"
    )


def _schemas(key: str, reply: Any) -> dict[int, Columns]:
    """Read the hash, which is a mapping or, in RESP2, a flat list."""
    pairs = (
        reply.items() if isinstance(reply, Mapping) else zip(reply[::2], reply[1::2], strict=True)
    )
    found: dict[int, Columns] = {}
    for number, columns in pairs:
        try:
            names = json.loads(columns)
            found[int(_text(number), 16)] = tuple(
                (name, str(DataType.parse(of))) for name, of in names
            )
        except (ValueError, TypeError):
            _damaged_schema(key, _text(number))
    return found


def _damaged_schema(key: str, number: str) -> NoReturn:
    raise ConfigError(
        f"the schema {number} in {key} cannot be used: it is not a list of names and types. Apply "
        "the definitions again after deleting that field."
    )


def _damaged(key: str, why: str) -> NoReturn:
    raise ConfigError(
        f"the registry in {key} cannot be used: {why}. Apply the definitions again after "
        "deleting that key."
    )


def _integer(key: str, field: str, reply: Any) -> int:
    if reply is None:
        return 0
    try:
        return int(reply)
    except (TypeError, ValueError):
        _damaged(key, f"its field {field} is {reply!r}, not a number")


def _text(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)
