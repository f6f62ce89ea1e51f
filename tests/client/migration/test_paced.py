"""Operations that run for long: what can go wrong while they run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from fscore import ConfigError, DeadlineExceeded, Unavailable
from fscore.operations import scan as _scan
from fscore.operations.operation import Operation, Pause
from tests.client import numbered
from tests.client.driver import PATIENCE, Driver
from tests.client.migrating import BOTH, FAST
from tests.client.numbered import everything, fill, rows
from tests.client.proxy import FaultProxy

USERS = range(1_000)


@pytest.fixture
def filled(driver: Driver, redis_url: str) -> Any:
    """A client of a server that holds the rows."""
    return numbered.filled(driver, redis_url, USERS)


def run(client: Any, operation: Operation[Any]) -> Any:
    """Run an operation by a client of either driver and return its result."""
    return client.driver.run(operation)


def test_an_operation_may_catch_what_its_command_raised(driver: Driver, redis_url: str) -> None:
    def operation() -> Operation[str]:
        try:
            yield ("NOSUCHCOMMAND",)
        except ConfigError as error:
            (pong,) = yield [("PING",)]
            return f"{pong}, {error.message}"
        return ""

    found = run(driver.connect(redis_url), operation())
    assert "PONG" in found and "unknown command" in found


def test_what_an_operation_does_not_catch_is_raised(driver: Driver, redis_url: str) -> None:
    def operation() -> Operation[None]:
        yield ("NOSUCHCOMMAND",)

    with pytest.raises(ConfigError, match="unknown command"):
        run(driver.connect(redis_url), operation())


# A connection that is cut, a server that is away


def cutting(proxy: FaultProxy, phases: set[str]) -> Callable[[Any], None]:
    """Return a progress callback that cuts two replies of each phase after their first byte."""
    seen: dict[str, int] = {}

    def progress(now: Any) -> None:
        phase = getattr(now, "phase", "remove")
        seen[phase] = seen.get(phase, 0) + 1
        if seen[phase] in (1, 3):
            proxy.cut_after(1)
            phases.add(phase)

    return progress


@BOTH
def test_a_migration_outlives_connections_that_are_cut(
    driver: Driver, filled: Any, proxy: FaultProxy, to: str
) -> None:
    if to == "hash":
        filled.migrate("row", "packed", **FAST)
    client = driver.connect(proxy.url, registry_poll=0.01)
    phases: set[str] = set()
    done = client.migrate("row", to, **FAST, progress=cutting(proxy, phases))
    assert phases == {"copy", "remove"}
    assert (done.layout, done.copied) == (to, len(USERS))
    assert everything(filled, USERS) == rows(USERS)
    assert filled.registry.views["row"].layouts == (to,)


def test_a_removal_outlives_connections_that_are_cut(
    driver: Driver, filled: Any, proxy: FaultProxy, witness: Any
) -> None:
    filled.versions.promote("all", filled.versions.create("all"))
    client = driver.connect(proxy.url, registry_poll=0.01)
    phases: set[str] = set()
    client.versions.retire("all", 1, force=True, rate=1e9, progress=cutting(proxy, phases))
    assert phases
    assert witness.keys("user:*") == []


def away(proxy: FaultProxy) -> Callable[[Any], None]:
    """Return a progress callback that has the proxy refuse connections in each phase."""
    seen: set[str] = set()

    def progress(now: Any) -> None:
        phase = getattr(now, "phase", "remove")
        if phase not in seen:
            seen.add(phase)
            proxy.refuse()

    return progress


def test_a_server_that_is_away_for_a_while_is_waited_for(
    driver: Driver,
    filled: Any,
    proxy: FaultProxy,
    witness: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []

    class Waiting(Pause):
        """Brings the server back once the operation itself waits for it."""

        def __init__(self, seconds: float) -> None:
            super().__init__(seconds)
            if seconds:
                waits.append(seconds)
                proxy.accept()

    monkeypatch.setattr(_scan, "Pause", Waiting)
    filled.versions.promote("all", filled.versions.create("all"))
    fill(filled, USERS)
    client = driver.connect(proxy.url, registry_poll=0.01, write_timeout=1.0)
    assert client.migrate("row", "packed", **FAST, progress=away(proxy)).copied == 2 * len(USERS)
    client.versions.retire("all", 1, force=True, rate=1e9, progress=away(proxy))
    assert everything(filled, USERS) == rows(USERS)
    assert len(witness.keys("user:*")) == len(USERS)
    assert len(waits) >= 3


def test_a_server_that_stays_away_ends_it_and_it_goes_on_later(
    driver: Driver, filled: Any, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_scan, "_PATIENCE", 0.3)
    for phase in ("copy", "remove"):
        client = driver.connect(proxy.url, registry_poll=0.01, write_timeout=0.5)

        def refuse(now: Any, phase: str = phase) -> None:
            if now.phase == phase:
                proxy.refuse()

        with pytest.raises((Unavailable, DeadlineExceeded)):
            client.migrate("row", "packed", **FAST, progress=refuse)
        proxy.accept()
        assert everything(filled, USERS) == rows(USERS)
    filled.migrate("row", "packed", **FAST)
    assert everything(filled, USERS) == rows(USERS)


def test_a_closed_client_waits_for_nobody(driver: Driver, filled: Any, proxy: FaultProxy) -> None:
    client = driver.connect(proxy.url, registry_poll=0.01)
    reached = threading.Event()

    def operation() -> Operation[None]:
        reached.set()
        while True:
            yield ("PING",)
            yield Pause(0.001)

    running = driver.start(client.driver.run, _scan.patiently(operation()))
    assert reached.wait(PATIENCE)
    client.close()
    with pytest.raises(Unavailable, match=r"closed|ended|given up"):
        running.result(PATIENCE)
