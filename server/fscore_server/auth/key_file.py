"""The file of API keys: how it is read and checked, and how an entry is added.

It holds the SHA-256 of each key and not the key: a key is 256 random bits, so nobody can find it
from its hash.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fscore.errors import ConfigError
from fscore.serving import API_KEY_PREFIX, ApiKeys

__all__ = ["KEY_NAME", "KeyEntry", "append", "compiled", "parse", "read", "shown_moment"]

MAX_BYTES = 4 << 20
"""Greatest size of the file; a larger one was named by mistake."""

KEY_NAME = re.compile(rf"(?!{API_KEY_PREFIX})[!-~]{{1,128}}")
"""What a key may be called: one word in logs and shells, and not something that looks like a key.
"""

_FIELDS = frozenset({"name", "sha256", "expires", "services", "views"})
_HASH = re.compile(r"[0-9a-fA-F]{64}")
_ADVICE = "`fscore key create` prints a whole one"


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A `[[key]]` of the file. Without `services` and `views` the key may read everything."""

    name: str
    sha256: bytes
    expires: dt.datetime | None = None
    services: tuple[str, ...] | None = None
    views: tuple[str, ...] | None = None

    def to_toml(self) -> str:
        """Return the entry as the file has it."""
        # A JSON string of ASCII is a basic string in TOML.
        lines = ["[[key]]", f"name = {json.dumps(self.name)}", f'sha256 = "{self.sha256.hex()}"']
        if self.expires is not None:
            lines.append(f"expires = {shown_moment(self.expires)}")
        for field, names in (("services", self.services), ("views", self.views)):
            if names is not None:
                lines.append(f"{field} = [{', '.join(map(json.dumps, names))}]")
        return "".join(f"{line}\n" for line in lines)


def read(path: Path) -> bytes:
    """Return the file's bytes. Raises `ConfigError` if it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            f"api_keys_file {path} cannot be read: {reason}; make it with"
            f" `fscore key create --name NAME --append {path}`, or name another file"
        ) from None
    if len(content) > MAX_BYTES:
        raise ConfigError(f"api_keys_file {path} has more than {MAX_BYTES} bytes: name another")
    return content


def parse(content: bytes, path: Path) -> list[KeyEntry]:
    """Return the file's entries. Raises `ConfigError` with all faults; it quotes no value."""
    try:
        document = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise ConfigError(f"api_keys_file {path} is not in UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"api_keys_file {path} is not valid TOML: {error}") from None
    unknown = [name for name in document if name != "key"]
    problems = [f"unknown field {_shown(name)}; there is only [[key]]" for name in unknown]
    listed = document.get("key", [])
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        problems.append(f"'key' must be written as [[key]]; {_ADVICE}")
        listed = []
    elif not listed:
        problems.append(f"it has no [[key]], so that nobody could read; {_ADVICE}")
    entries = [_entry(item, number, problems) for number, item in enumerate(listed, 1)]
    first: dict[bytes, int] = {}
    for number, entry in enumerate(entries, 1):
        if entry.sha256 and first.setdefault(entry.sha256, number) != number:
            problems.append(f"key {number} is key {first[entry.sha256]} again: remove one of them")
    if problems:
        raise ConfigError(f"api_keys_file {path}: {'; '.join(problems)}")
    return entries


def compiled(entries: list[KeyEntry]) -> ApiKeys:
    """Compile the entries into the keys by which the core authenticates requests."""
    return ApiKeys(
        [
            (
                entry.name,
                entry.sha256,
                None if entry.expires is None else int(entry.expires.timestamp() * 1000),
                None
                if entry.services is None and entry.views is None
                else (list(entry.services or ()), list(entry.views or ())),
            )
            for entry in entries
        ]
    )


def append(path: Path, entry: KeyEntry) -> None:
    """Add an entry at the end of the file, which is replaced at once, so no server sees a part.

    A new file is readable by its owner alone. An existing file keeps its owner and group, and
    loses all permissions for others. Raises `ConfigError` if the existing file is invalid.
    """
    # Replacing a symbolic link would cut it off its target, so its target is replaced.
    path = Path(os.path.realpath(path))
    known = path.stat() if path.exists() else None
    content = b"" if known is None else read(path)
    if content.strip():
        parse(content, path)
        content = content.rstrip() + b"\n\n"
    content += entry.to_toml().encode()
    parse(content, path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if known is not None:
                if (known.st_uid, known.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(descriptor, known.st_uid, known.st_gid)
                os.fchmod(descriptor, known.st_mode & 0o770 | 0o600)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def shown_moment(moment: dt.datetime) -> str:
    """Format a time as TOML and JSON have it: `2027-02-22T13:51:36Z`."""
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def _entry(item: dict[str, Any], number: int, problems: list[str]) -> KeyEntry:
    name = item.get("name")
    named = isinstance(name, str) and KEY_NAME.fullmatch(name)
    place = f"key {number} ({name})" if named else f"key {number}"
    problems += [
        f"{place}: unknown field {_shown(field)}; there are {', '.join(sorted(_FIELDS))}"
        for field in item
        if field not in _FIELDS
    ]
    if not named:
        problems.append(f"{place}: name must be 1 to 128 printable ASCII characters without spaces")
    sha256 = item.get("sha256")
    if not isinstance(sha256, str) or not _HASH.fullmatch(sha256):
        problems.append(
            f"{place}: sha256 must be the 64 hexadecimal digits of the key's SHA-256; {_ADVICE}"
        )
        sha256 = ""
    expires = item.get("expires")
    if expires is not None and not (isinstance(expires, dt.datetime) and expires.tzinfo):
        problems.append(
            f"{place}: expires must be a date and a time with a zone: 2027-01-01T00:00:00Z"
        )
        expires = None
    return KeyEntry(
        str(name),
        bytes.fromhex(sha256),
        expires,
        _names(item, "services", place, problems),
        _names(item, "views", place, problems),
    )


def _shown(field: str) -> str:
    """Quote a field's name, unless it has an API key in it, which must not be logged."""
    return f"{API_KEY_PREFIX}…" if API_KEY_PREFIX in field else repr(field)


def _names(
    item: dict[str, Any], field: str, place: str, problems: list[str]
) -> tuple[str, ...] | None:
    names = item.get(field)
    if names is None:
        return None
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        problems.append(f'{place}: {field} must be a list of names: ["ranking"]')
        return None
    return tuple(names)
