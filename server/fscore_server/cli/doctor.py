"""`fscore doctor`: is this Redis fit to be a feature store, and may this user use it?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

import fscore
from fscore.errors import FscoreError
from fscore_server.cli.apply import counted
from fscore_server.cli.connection import connected, redis_url_option
from fscore_server.cli.output.outcome import FAILED
from fscore_server.cli.rights import refused

__all__ = ["doctor_command"]

# The first version that has PEXPIREAT with conditions.
_OLDEST = (7, 0)
_SKEW_MS = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check: `ok`, `warning` or `failed`, what was found and what to do."""

    check: str
    outcome: str
    found: str
    advice: str = ""


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
@redis_url_option
def doctor_command(as_json: bool, redis_url: str | None) -> int:
    """Check the Redis server, this user's rights on it, and the definitions stored there.

    The exit code is 1 if a check failed; warnings alone leave it 0.
    """
    findings: list[Finding] = []
    try:
        with connected(redis_url, "doctor") as client:
            for finding in _examine(client):
                findings.append(finding)
                if not as_json:
                    _say(finding)
    except FscoreError as error:
        findings.append(Finding("server", "failed", str(error), "check the URL and the server"))
        if not as_json:
            _say(findings[-1])
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings]))
    return FAILED if any(finding.outcome == "failed" for finding in findings) else 0


def _examine(client: fscore.Client) -> Iterator[Finding]:
    started = time.perf_counter()
    client.execute("PING")
    round_trip = (time.perf_counter() - started) * 1000
    yield Finding("server", "ok", f"answers PING in {round_trip:.2f} ms")
    for check, examine in (
        ("version", _version),
        ("clock", _clock),
        ("persistence", _persistence),
        ("memory", _memory),
        ("rights", _rights),
        ("registry", _registry),
    ):
        try:
            yield examine(client)
        except FscoreError as error:
            yield Finding(check, "warning", f"could not be checked: {error}")


def _version(client: fscore.Client) -> Finding:
    info = _info(client, "server")
    product = "valkey" if "valkey_version" in info else "redis"
    text = info.get(f"{product}_version", "unknown")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    found = f"{product} {text}"
    if numbers < _OLDEST:
        return Finding("version", "failed", found, "use Redis 7.0, Valkey 7.2 or newer")
    return Finding("version", "ok", found)


def _clock(client: fscore.Client) -> Finding:
    before = time.time()
    seconds, micros = (int(part) for part in client.execute("TIME"))
    after = time.time()
    skew = round((seconds + micros / 1e6 - (before + after) / 2) * 1000)
    # The server answered at some time between the two, so more is not known.
    doubt = (after - before) * 1000 / 2
    if abs(skew) - doubt > _SKEW_MS:
        advice = "synchronise both clocks (NTP): TTLs and event times are compared with them"
        return Finding("clock", "warning", f"{skew:+} ms from this machine's", advice)
    return Finding("clock", "ok", f"{skew:+} ms from this machine's")


def _persistence(client: fscore.Client) -> Finding:
    info = _info(client, "persistence")
    if info.get("loading") == "1":
        return Finding("persistence", "failed", "the server is loading its data", "wait for it")
    if "err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")):
        return Finding("persistence", "failed", "the last save failed", "see the server's log")
    if info.get("aof_enabled") == "1":
        return Finding("persistence", "ok", "append-only file")
    advice = "turn on appendonly with appendfsync everysec, or be ready to load everything again"
    return Finding("persistence", "warning", "no append-only file", advice)


def _memory(client: fscore.Client) -> Finding:
    info = _info(client, "memory")
    limit = int(info.get("maxmemory", "0"))
    policy = info.get("maxmemory_policy", "unknown")
    used = info.get("used_memory_human", "?")
    found = f"{used} used, limit {info.get('maxmemory_human', '?') if limit else 'none'}, {policy}"
    if policy not in ("noeviction", "unknown") and limit:
        advice = "evicted entities look as if they never existed; use noeviction and an alarm"
        return Finding("memory", "warning", found, advice)
    return Finding("memory", "ok", found)


def _rights(client: fscore.Client) -> Finding:
    user = _text(client.execute("ACL", "WHOAMI"))
    missing = refused(client, user)
    if not any(missing.values()):
        return Finding("rights", "ok", f"user {user} may read and write")
    found = f"user {user} " + "; ".join(
        f"may not {verb} {_listed(missing[use])}"
        for use, verb in (("read", "read"), ("asked for", "use"), ("write", "write"))
        if missing[use]
    )
    if "definitions" in missing["read"] or (missing["read"] and missing["write"]):
        return Finding("rights", "failed", found, "allow these commands in the user's ACL")
    if missing["read"]:
        return Finding("rights", "warning", found, "enough for a load or apply; not for a server")
    if missing["write"]:
        return Finding("rights", "warning", found, "enough for a server; not for a load or apply")
    advice = "enough if no read asks for a snapshot and a promotion may take a second"
    return Finding("rights", "warning", found, advice)


def _listed(purposes: dict[str, list[str]]) -> str:
    return ", ".join(f"{purpose} ({', '.join(names)})" for purpose, names in purposes.items())


def _registry(client: fscore.Client) -> Finding:
    registry = client.registry
    if not registry.views:
        return Finding("registry", "warning", "no definitions", "run `fscore apply DEFS`")
    return Finding("registry", "ok", f"revision {client.revision}: {counted(registry)}")


def _info(client: fscore.Client, section: str) -> dict[str, str]:
    lines = _text(client.execute("INFO", section)).splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name: value for name, _, value in pairs}


def _text(reply: Any) -> str:
    return reply.decode() if isinstance(reply, bytes) else str(reply)


_STYLES: dict[str, Callable[[str], str]] = {
    "ok": lambda text: click.style(text, fg="green"),
    "warning": lambda text: click.style(text, fg="yellow"),
    "failed": lambda text: click.style(text, fg="red", bold=True),
}


def _say(finding: Finding) -> None:
    mark = _STYLES[finding.outcome](f"{finding.outcome:8}")
    advice = f" -> {finding.advice}" if finding.advice else ""
    click.echo(f"{mark} {finding.check:12} {finding.found}{advice}")
