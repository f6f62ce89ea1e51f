"""NAME=VALUE arguments: join keys, and inputs of features that are computed on request."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click

from fscore.serving import parse_timestamp

__all__ = ["assigned", "typed_inputs", "typed_key"]

T = TypeVar("T")


def assigned(pairs: Iterable[str], example: str) -> dict[str, list[str]]:
    """Return the values of each name, in their order.

    Raises `click.UsageError` if a pair is malformed; `example` shows in it how to write one.
    """
    columns: dict[str, list[str]] = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise click.UsageError(f"{pair!r} is not NAME=VALUE; write it like {example}")
        columns.setdefault(name, []).append(value)
    return columns


def typed_key(name: str, text: str, kind: str | None) -> str | int:
    """Return a value of a join key; `kind` is its type, or None if there is no such join key."""
    if kind != "Int64":
        return text
    return _read(name, text, kind, int, "an integer")


def typed_inputs(
    given: Mapping[str, list[str]], types: Mapping[str, str], rows: int
) -> dict[str, Any] | None:
    """Return the inputs of a read of `rows` entities: one value for all, or one for each."""
    inputs: dict[str, Any] = {}
    for name, texts in given.items():
        if name not in types:
            known = ", ".join(types) or "none"
            raise click.UsageError(
                f"--request {name}: these features have no such input; they have {known}"
            )
        if len(texts) not in (1, rows):
            raise click.UsageError(
                f"--request {name} has {len(texts)} values for {rows} entities; give one for each,"
                " or a single one for all"
            )
        values = [_typed(name, text, types[name]) for text in texts]
        inputs[name] = values if len(values) > 1 else values[0]
    return inputs or None


def _typed(name: str, text: str, kind: str) -> Any:
    if kind == "String":
        return text
    if kind in _READERS:
        read, what = _READERS[kind]
        return _read(name, text, kind, read, what)
    # Lists and vectors; the read itself checks their elements.
    return _read(name, text, kind, json.loads, "a JSON array")


def _read(name: str, text: str, kind: str, read: Callable[[str], T], what: str) -> T:
    try:
        return read(text)
    except ValueError:
        raise click.UsageError(f"{name}={text}: {name} is {kind}, write {what}") from None


def _boolean(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(text)
    return text == "true"


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(text) from error


_MOMENT = (parse_timestamp, "2024-06-01T12:00:00Z, or milliseconds since 1970")
_READERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "Int64": (int, "an integer"),
    "Float64": (float, "a number"),
    "Float32": (float, "a number"),
    "Bool": (_boolean, "true or false"),
    "Bytes": (_bytes, "base64"),
    "Timestamp": _MOMENT,
    "Timestamp[s]": _MOMENT,
}
