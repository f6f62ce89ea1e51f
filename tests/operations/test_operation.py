"""The two drive loops: what a step is answered with, and what an operation may catch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fscore.errors import ConfigError, Unavailable
from fscore.operations.operation import (
    Operation,
    Step,
    drive,
    drive_async,
    is_error,
    together,
    unless_refused,
)

Drive = Callable[..., Any]


def on_asyncio(
    operation: Operation[Any], carry_out: Callable[[Step], Any], *others: Callable[[], bool]
) -> Any:
    async def carry_out_later(step: Step) -> Any:
        await asyncio.sleep(0)
        return carry_out(step)

    return asyncio.run(drive_async(operation, carry_out_later, *others))


BOTH = pytest.mark.parametrize("run", [drive, on_asyncio], ids=["blocking", "asyncio"])


def asking(*commands: Any) -> Operation[list[Any]]:
    """Yields each and returns what it is sent."""
    found = []
    for command in commands:
        found.append((yield command))
    return found


@BOTH
def test_each_step_is_answered_in_order(run: Drive) -> None:
    steps = [("GET", "a"), [("GET", "b"), ("GET", "c")]]
    assert run(asking(*steps), lambda step: ("did", step)) == [("did", step) for step in steps]


@BOTH
def test_an_operation_without_steps_returns(run: Drive) -> None:
    assert run(asking(), lambda step: pytest.fail("nothing was asked")) == []


@BOTH
def test_an_error_is_raised_where_the_step_was_yielded(run: Drive) -> None:
    def operation() -> Operation[str]:
        try:
            yield ("FIRST",)
        except Unavailable as error:
            return f"{error.message}, then {(yield ('SECOND',))}"
        return "nothing was raised"

    def carry_out(step: Any) -> str:
        if step == ("FIRST",):
            raise Unavailable("away")
        return "there"

    assert run(operation(), carry_out) == "away, then there"


@BOTH
def test_an_error_that_is_not_caught_ends_the_operation(run: Drive) -> None:
    ended = []

    def operation() -> Operation[None]:
        try:
            yield ("PING",)
        finally:
            ended.append(True)

    def refuse(step: Any) -> None:
        raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        run(operation(), refuse)
    assert ended == [True]


@BOTH
def test_a_closed_driver_does_not_ask_whether_the_operation_goes_on(run: Drive) -> None:
    def operation() -> Operation[None]:
        while True:
            try:
                yield ("PING",)
            except Unavailable:
                pytest.fail("it was asked")

    def refuse(step: Any) -> None:
        raise Unavailable("closed")

    with pytest.raises(Unavailable, match="closed"):
        run(operation(), refuse, lambda: True)


@BOTH
def test_commands_together_raise_the_first_refusal(run: Drive) -> None:
    replies: list[Any] = [1, ConfigError("first"), ConfigError("second")]
    with pytest.raises(ConfigError, match="first"):
        run(together([("A",), ("B",), ("C",)]), lambda step: replies)
    assert unless_refused([1, None]) == [1, None]


def test_error_replies_are_known_by_their_code() -> None:
    error = ConfigError("the server answered something")
    assert not is_error(error, "WRONGTYPE")
    error.redis_code = "WRONGTYPE"
    assert is_error(error, "WRONGTYPE")
    assert not is_error(error, "NOSCRIPT")
    assert not is_error(b"WRONGTYPE", "WRONGTYPE")
