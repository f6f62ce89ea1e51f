"""The commands that each use of the store sends, and those that a user may not send."""

from __future__ import annotations

import fscore
from fscore.ingestion import write_spec
from fscore.registry import FeatureViewDefinition, Registry, SeriesViewDefinition
from fscore.serving import expires_hash_fields

__all__ = ["refused"]

_Purposes = dict[str, tuple[tuple[str, ...], ...]]

_KEY, _CHANNEL = "KEY", "CHANNEL"

# Commands by purpose, in the order in which `fscore doctor` reports them.
_READING: _Purposes = {
    "definitions": (
        ("HGET", _KEY, "field"),
        ("HMGET", _KEY, "field"),
        ("HGETALL", _KEY),
        ("MGET", _KEY),
    ),
    "packed": (("GET", _KEY), ("MGET", _KEY)),
    "series": (
        ("ZRANGE", _KEY, "0", "-1"),
        ("ZCOUNT", _KEY, "0", "1"),
        ("EVALSHA_RO", "digest", "1", _KEY),
        ("SCRIPT", "LOAD", "return 1"),
    ),
    "flags": (
        ("GETBIT", _KEY, "0"),
        ("BITFIELD_RO", _KEY, "GET", "u1", "0"),
    ),
}
_ASKED_FOR: _Purposes = {
    "snapshots": (("MULTI",), ("EXEC",), ("GET", _KEY)),
    "promotions by push": (("SUBSCRIBE", _CHANNEL),),
}
_SCRIPTS = (("EVALSHA", "digest", "1", _KEY), ("SCRIPT", "LOAD", "return 1"))
_WRITING: _Purposes = {
    "definitions": (("EVAL", "return 1", "1", _KEY), ("HSET", _KEY, "field", "value")),
    "versions": (
        ("SET", _KEY, "value"),
        ("PUBLISH", _CHANNEL, "message"),
        ("SCAN", "0"),
        ("INFO", "server"),
        ("UNLINK", _KEY),
    ),
    "hash": (
        ("HSET", _KEY, "field", "value"),
        ("HDEL", _KEY, "field"),
        ("PEXPIREAT", _KEY, "0", "GT"),
        ("PEXPIRETIME", _KEY),
        ("PERSIST", _KEY),
        ("UNLINK", _KEY),
        *_SCRIPTS,
    ),
    "packed": (
        ("SET", _KEY, "value"),
        ("GETRANGE", _KEY, "0", "12"),
        ("PEXPIREAT", _KEY, "0"),
        ("PEXPIRETIME", _KEY),
        ("PERSIST", _KEY),
        ("UNLINK", _KEY),
        ("HDEL", _KEY, "field"),
        *_SCRIPTS,
    ),
    "series": (
        ("ZADD", _KEY, "0", "member"),
        ("ZREMRANGEBYSCORE", _KEY, "0", "1"),
        ("ZREMRANGEBYRANK", _KEY, "0", "1"),
        ("PEXPIREAT", _KEY, "0", "GT"),
        ("PERSIST", _KEY),
        ("UNLINK", _KEY),
    ),
    "tiles": (
        ("ZCARD", _KEY),
        ("ZMSCORE", _KEY, "member"),
        ("ZRANGE", _KEY, "0", "-1"),
        ("HKEYS", _KEY),
        ("HINCRBY", _KEY, "field", "1"),
        *_SCRIPTS,
    ),
    "expiring fields": (
        ("HPEXPIREAT", _KEY, "0", "FIELDS", "1", "field"),
        ("HPERSIST", _KEY, "FIELDS", "1", "field"),
    ),
    "flags": (("SETBIT", _KEY, "0", "1"),),
}
_ALWAYS = frozenset({"definitions", "versions", *_ASKED_FOR})


def refused(client: fscore.Client, user: str) -> dict[str, dict[str, list[str]]]:
    """Return the commands that the user may not send, by `read`, `asked for` and `write`, and by
    purpose.

    If there are definitions, it checks only the commands that these need.
    """
    needed = _needed(client.registry) or {*_READING, *_WRITING}
    if not expires_hash_fields(client.server):
        needed.discard("expiring fields")
    prefix = client.settings.key_prefix
    places = {_KEY: f"{prefix}doctor:{{1}}:v1", _CHANNEL: f"{prefix}doctor"}
    answers: dict[tuple[str, ...], bool] = {}

    def allowed(command: tuple[str, ...]) -> bool:
        if command not in answers:
            words = [places.get(word, word) for word in command]
            reply = client.execute("ACL", "DRYRUN", user, *words)
            answers[command] = reply in (b"OK", "OK")
        return answers[command]

    return {
        use: {
            purpose: names
            for purpose, commands in purposes.items()
            if purpose in needed or purpose in _ALWAYS
            if (names := [_name(command) for command in commands if not allowed(command)])
        }
        for use, purposes in (("read", _READING), ("asked for", _ASKED_FOR), ("write", _WRITING))
    }


def _needed(registry: Registry) -> set[str]:
    """Return the purposes for which these definitions need commands."""
    needed: set[str] = set()
    for view in registry.views.values():
        if isinstance(view, FeatureViewDefinition):
            needed.update(view.layouts)
            if "hash" in view.layouts and _has_expiring_fields(registry, view):
                needed.add("expiring fields")
        else:
            needed.add(view.kind)
        if isinstance(view, SeriesViewDefinition) and view.tile_ms:
            needed.add("tiles")
    return needed


def _has_expiring_fields(registry: Registry, view: FeatureViewDefinition) -> bool:
    spec = write_spec(registry, view.name)
    ttls = {feature["ttl_ms"] for feature in spec["features"]}
    return bool(ttls - {0, spec["key_ttl_ms"]})


def _name(command: tuple[str, ...]) -> str:
    return "SCRIPT LOAD" if command[0] == "SCRIPT" else command[0]
