"""Servers that restart while a migration or a removal scans their keys.

These servers lose nothing that they acknowledged. But a restarted server has another hash seed, so
a SCAN cursor from before the restart is invalid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import redis

import fscore
from fscore import ConfigError, Unavailable
from fscore.operations import scan as _scan
from tests.client import numbered
from tests.client.driver import Driver
from tests.client.migrating import BOTH, FAST
from tests.client.numbered import everything, row, rows
from tests.redis_server import RedisServer

USERS = range(3_000)
ENDS = pytest.mark.parametrize("end", [RedisServer.kill, RedisServer.shut_down])
End = Callable[[RedisServer], None]
# Within the scan that changes keys, at its end, and in the scan that checks the outcome.
COPYING = [("copy", 0.5), ("copy", 0.3), ("copy", 0.9), ("copy", 0.93)]
REMOVING = [("remove", 0.4), ("remove", 0.3), ("remove", 0.9)]


@pytest.fixture
def filled(driver: Driver, durable: RedisServer) -> Any:
    """A client of a server that holds the rows."""
    return numbered.filled(driver, durable.url, USERS)


def keys(server: RedisServer, pattern: str) -> list[bytes]:
    with redis.Redis(port=server.port) as witness:
        found: list[bytes] = witness.keys(pattern)
    return found


class Restarting:
    """Progress that restarts the server once at each of these points of a phase."""

    def __init__(self, server: RedisServer, end: End, *points: tuple[str, float]) -> None:
        self._server = server
        self._end = end
        self.left = list(points)
        self.told: list[tuple[str, float]] = []

    def __call__(self, now: Any) -> None:
        phase = getattr(now, "phase", "remove")
        self.told.append((phase, now.share))
        if self.left and self.left[0][0] == phase and now.share >= self.left[0][1]:
            self.left.pop(0)
            self._end(self._server)
            self._server.start()

    def is_sensible(self) -> bool:
        """Return whether each phase reported 100 % exactly once, at its end."""
        shares: dict[str, list[float]] = {}
        for phase, share in self.told:
            shares.setdefault(phase, []).append(share)
        return all(each[-1] == 1.0 and each.count(1.0) == 1 for each in shares.values())


@ENDS
@BOTH
def test_a_migration_over_restarts(filled: Any, durable: RedisServer, end: End, to: str) -> None:
    if to == "hash":
        filled.migrate("row", "packed", **FAST)
    points = [*COPYING, *REMOVING]
    restarting = Restarting(durable, end, *points)
    done = filled.migrate("row", to, **FAST, progress=restarting)
    assert restarting.left == [] and restarting.is_sensible()
    assert everything(filled, USERS) == rows(USERS)
    assert (done.copied, done.removed) == (len(USERS), len(USERS))
    packed, all_keys = keys(durable, "user:*:row"), keys(durable, "user:*")
    assert len(all_keys) == len(USERS)
    assert len(packed) == (len(USERS) if to == "packed" else 0)


@ENDS
def test_a_version_retired_over_restarts(filled: Any, durable: RedisServer, end: End) -> None:
    filled.versions.promote("all", filled.versions.create("all"))
    filled.write("row", [{"user_id": 1, **row(1)}], version=2)
    restarting = Restarting(durable, end, *REMOVING)
    done = filled.versions.retire("all", 1, force=True, rate=1e9, progress=restarting)
    assert restarting.left == [] and restarting.is_sensible()
    assert keys(durable, "user:*") == [b"user:{1}:v2"]
    assert done.removed == len(USERS)
    assert filled.versions.list("all")[0].versions[0].reclaimed_at_ms is not None


class Forgetting:
    """Progress that lets the server save its data, and later crash and go back to that state."""

    def __init__(self, server: RedisServer, *points: tuple[str, float, float]) -> None:
        self._server = server
        self._saved = False
        self.left = list(points)
        self.read: Any = None

    def __call__(self, now: Any) -> None:
        if now.phase == "remove" and self.read is None:
            # In this phase readers already use the new layout.
            with fscore.connect(self._server.url) as reader:
                self.read = everything(reader, USERS)
        if not self.left or self.left[0][0] != now.phase:
            return
        _, save_at, crash_at = self.left[0]
        if not self._saved and now.share >= save_at:
            assert self._server.command("SAVE") == b"+OK\r\n"
            self._saved = True
        elif self._saved and now.share >= crash_at:
            self._server.kill()
            self._server.start()
            self._saved = False
            self.left.pop(0)


@BOTH
def test_a_server_that_forgets_what_was_done_last(
    driver: Driver, own_server: RedisServer, to: str
) -> None:
    """A server that saves only now and then forgets writes; so does a replica that takes over."""
    client = numbered.filled(driver, own_server.url, USERS)
    if to == "hash":
        client.migrate("row", "packed", **FAST)
    points = [("copy", 0.3, 0.7), ("copy", 0.3, 0.9), ("copy", 0.4, 1.0), ("remove", 0.2, 0.8)]
    forgetting = Forgetting(own_server, *points)
    done = client.migrate("row", to, **FAST, progress=forgetting)
    assert forgetting.left == []
    assert forgetting.read == rows(USERS)
    assert everything(client, USERS) == rows(USERS)
    assert done.copied == len(USERS)
    packed, all_keys = keys(own_server, "user:*:row"), keys(own_server, "user:*")
    assert len(all_keys) == len(USERS)
    assert len(packed) == (len(USERS) if to == "packed" else 0)


def test_a_server_that_restarts_again_and_again(
    filled: Any, durable: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scan, "_RESTARTS", 1)
    restarting = Restarting(durable, RedisServer.kill, ("copy", 0.1), ("copy", 0.1))
    with pytest.raises(Unavailable, match="the server was another one 2 times"):
        filled.migrate("row", "packed", **FAST, progress=restarting)
    assert everything(filled, USERS) == rows(USERS)
    filled.migrate("row", "packed", **FAST)
    assert everything(filled, USERS) == rows(USERS)


def test_a_user_who_may_not_ask_is_told_before_anything_is_changed(
    driver: Driver, durable: RedisServer, filled: Any
) -> None:
    rules = ("on", "nopass", "~*", "&*", "+@all", "-info")
    assert durable.command("ACL", "SETUSER", "limited", *rules) == b"+OK\r\n"
    limited = driver.connect(durable.url, redis_username="limited", redis_password="")
    with pytest.raises(ConfigError, match=r"needs INFO.*NOPERM.*\+info"):
        limited.migrate("row", "packed", **FAST)
    limited.refresh()
    assert limited.registry.views["row"].layouts == ("hash",)
