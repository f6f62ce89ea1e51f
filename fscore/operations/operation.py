"""Operations: generators that yield steps without doing I/O, so that both drivers run them.

`drive` and `drive_async` have a driver carry out each step, and send the outcome back to the
operation:

| step | carried out | sent back |
|---|---|---|
| `Command`, a tuple | one command | its reply; an error reply is raised in the operation |
| a list of commands | as one pipeline | their replies, error replies among them as values |
| `Pause` | nothing is sent for that time | the time afterwards: seconds of a monotonic clock |
| `Request` | in the driver's own way | see the request's class |

If a step fails, its error is raised in the operation at the `yield`, so that the operation can
catch it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from fscore.errors import FscoreError

__all__ = [
    "Command",
    "Operation",
    "Pause",
    "Request",
    "Step",
    "T",
    "drive",
    "drive_async",
    "is_error",
    "together",
    "unless_refused",
]

T = TypeVar("T")

Command: TypeAlias = tuple[str | bytes | int, ...]


@dataclass(frozen=True, slots=True)
class Pause:
    """A step in which nothing is sent for `seconds`."""

    seconds: float


class Request:
    """A step that a driver carries out in its own way, such as a read by a compiled plan."""

    __slots__ = ()


Step: TypeAlias = Command | list[Command] | Pause | Request
Operation: TypeAlias = Generator[Step, Any, T]


def drive(
    operation: Operation[T],
    carry_out: Callable[[Step], Any],
    is_closed: Callable[[], bool] = lambda: False,
) -> T:
    """Run an operation and return its result; `carry_out` returns the outcome of a step, or raises.

    If `is_closed()` is true, an error ends the operation, without the operation being able to catch
    it and try again.
    """
    resume: Callable[[Any], Step] = operation.send
    answer: Any = None
    try:
        while True:
            step = resume(answer)
            try:
                answer, resume = carry_out(step), operation.send
            except BaseException as error:
                if is_closed():
                    operation.close()
                    raise
                answer, resume = error, operation.throw
    except StopIteration as finished:
        result: T = finished.value
        return result


async def drive_async(
    operation: Operation[T],
    carry_out: Callable[[Step], Awaitable[Any]],
    is_closed: Callable[[], bool] = lambda: False,
) -> T:
    """Run an operation like `drive`, with a `carry_out` that is awaited."""
    resume: Callable[[Any], Step] = operation.send
    answer: Any = None
    try:
        while True:
            step = resume(answer)
            try:
                answer, resume = await carry_out(step), operation.send
            except BaseException as error:
                if is_closed():
                    operation.close()
                    raise
                answer, resume = error, operation.throw
    except StopIteration as finished:
        result: T = finished.value
        return result


def together(commands: list[Command]) -> Operation[list[Any]]:
    """Yield commands as one pipeline and return their replies; raise the first error reply."""
    return unless_refused((yield commands))


def is_error(reply: object, redis_code: str) -> bool:
    """Return whether a reply is an error reply with this code."""
    return isinstance(reply, FscoreError) and reply.redis_code == redis_code


def unless_refused(replies: list[Any]) -> list[Any]:
    """Return replies; raise the first error reply among them."""
    for reply in replies:
        if isinstance(reply, BaseException):
            raise reply
    return replies
