"""Operations that take their time: what goes wrong while they run."""

from __future__ import annotations

from typing import Any

import pytest

from fscore import ConfigError
from fscore._scan import PacedOperation
from tests.client.driver import Driver


def run(client: Any, operation: PacedOperation[Any]) -> Any:
    """What comes of an operation that a client of either driver runs."""
    return client._run_paced(operation)


def test_an_operation_may_catch_what_its_command_raised(driver: Driver, redis_url: str) -> None:
    def operation() -> PacedOperation[str]:
        try:
            yield ("NOSUCHCOMMAND",)
        except ConfigError as error:
            (pong,) = yield [("PING",)]
            return f"{pong}, {error.message}"
        return ""

    found = run(driver.connect(redis_url), operation())
    assert "PONG" in found and "unknown command" in found


def test_what_an_operation_does_not_catch_is_raised(driver: Driver, redis_url: str) -> None:
    def operation() -> PacedOperation[None]:
        yield ("NOSUCHCOMMAND",)

    with pytest.raises(ConfigError, match="unknown command"):
        run(driver.connect(redis_url), operation())
