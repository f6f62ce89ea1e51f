"""Walking over the keys of a server, at a rate that leaves it to its readers.

Operations that take long and look at all keys use `scan`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from fscore.errors import ConfigError, DeadlineExceeded, FscoreError, Unavailable
from fscore.operations.operation import Command, Operation, Pause, Step, T, is_error

# Keys that one SCAN looks at: 65 us of a Valkey 9.1's time, 151 us of a Redis 7.0's.
_KEYS_PER_SCAN = 250
# Looking at a key costs about a tenth of copying or removing what is there, and most keys are only
# looked at.
_LOOKED_AT_PER_HANDLED = 10

# With its reply a server tells itself apart from what it was before a restart; 2 us of its time.
_WHO: Final[Command] = ("INFO", "server")
_RUN_ID = re.compile(r"^run_id:(\S+)", re.MULTILINE)
# How often one scan begins again.
_RESTARTS = 10
# One that removes, and some that look whether anything is left.
_SWEEPS = 3
# How much of the progress is the scan that does the work; the rest is for looking at its outcome.
_SHARE_OF_WORK = 0.9

# How long a server may be away: it restarts, loads its data, or another takes over.
_PATIENCE = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


AWAY: Final = (Unavailable, DeadlineExceeded)
"""What is raised while the server is away, or cannot answer yet; the command may have run."""


def patiently(operation: Operation[T]) -> Operation[T]:
    """Run an operation that outlives a server which is away for a while.

    What was cut off is sent again, all of it, so every step of the operation has to be safe to
    repeat. When the server has been away for a minute its last error is raised.
    """
    try:
        step = next(operation)
        while True:
            reply = (yield step) if isinstance(step, Pause) else (yield from _answered(step))
            step = operation.send(reply)
    except StopIteration as finished:
        result: T = finished.value
        return result
    finally:
        operation.close()


def _answered(step: Step) -> Operation[Any]:
    pause = _FIRST_PAUSE
    since: float | None = None
    while True:
        try:
            reply = yield step
            fault = _away(reply)
        except AWAY as error:
            fault = error
        if fault is None:
            return reply
        now = yield Pause(0.0)
        since = now if since is None else since
        if now - since >= _PATIENCE:
            raise fault
        yield Pause(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


def _away(reply: Any) -> FscoreError | None:
    """Find the reply of a server that cannot answer yet, such as LOADING, among several."""
    if isinstance(reply, list):
        for one in reply:
            if isinstance(one, AWAY) and not is_error(one, "NOSCRIPT"):
                return one
    return None


Visit: TypeAlias = Callable[[list[bytes]], Operation[int]]
"""What is done about some keys; returns how many of them took work."""


def scan(
    match: str,
    visit: Visit,
    *,
    rate: float,
    tell: Callable[[float], None],
    begin_again: Callable[[], None] | None = None,
) -> Operation[None]:
    """Visit all keys that match, some at a time, `rate` a second and ten times as many in vain.

    A cursor means nothing to another process: after a restart or a failover it would pass over
    keys that it never visited. So the server says with each page, and at the end, who it is, and
    when that changes the scan begins again; `begin_again` is called then. Raises Unavailable when
    there is always another one, ConfigError when the user may not ask.

    A key may be visited twice. `tell` hears the share of all keys that was looked at, 0 to 1; it
    goes back when the scan begins again. The scan is patient with a server that is away, so
    whatever a visit does has to be safe to repeat.
    """
    for _ in range(_RESTARTS + 1):
        if (yield from patiently(_walk(match, visit, rate, tell))):
            return
        if begin_again is not None:
            begin_again()
    raise Unavailable(
        f"while all keys were scanned the server was another one {_RESTARTS + 1} times: it "
        "restarts again and again, or several answer in turn behind a proxy. Run the same again "
        "when one server stays, or connect to it directly"
    )


def _walk(match: str, visit: Visit, rate: float, tell: Callable[[float], None]) -> Operation[bool]:
    """Return whether one process answered from the first page to the end."""
    cursor, handled, looked_at = 0, 0, 0
    server = ""
    began = yield Pause(0.0)
    while True:
        page = ("SCAN", cursor, "MATCH", match, "COUNT", _KEYS_PER_SCAN)
        # On one connection, so that both are of one process.
        who, reply = yield [_WHO, page]
        found = _identity(who)
        if cursor == 0:
            server = found
        elif found != server:
            return False
        if isinstance(reply, FscoreError):
            raise reply
        cursor = int(reply[0])
        handled += yield from visit(reply[1])
        looked_at += _KEYS_PER_SCAN
        tell(share_scanned(cursor))
        if cursor == 0:
            # One that crashed since may have lost what was done last.
            (who,) = yield [_WHO]
            return _identity(who) == server
        due = began + max(handled, looked_at / _LOOKED_AT_PER_HANDLED) / rate
        now = yield Pause(0.0)
        if due > now:
            yield Pause(due - now)


def sweep(
    match: str,
    visit: Callable[[int], Visit],
    removed: Callable[[], int],
    *,
    rate: float,
    tell: Callable[[float], None],
) -> Operation[bool]:
    """Scan until a whole scan removes nothing more, as `removed` counts it.

    The scan after the one that removes is the proof that nothing is left; `visit` makes a visit for
    each, counted from 0. Returns False when there was always something: somebody else goes on
    writing it.
    """
    for number in range(_SWEEPS):
        before = removed()
        told = first_part(tell) if number == 0 else last_part(tell, ends=False)
        yield from scan(match, visit(number), rate=rate, tell=told)
        if removed() == before:
            tell(1.0)
            return True
    return False


def first_part(tell: Callable[[float], None]) -> Callable[[float], None]:
    """Return what tells the progress of the scan that does the work."""
    return lambda share: tell(_SHARE_OF_WORK * share)


def last_part(tell: Callable[[float], None], *, ends: bool = True) -> Callable[[float], None]:
    """Return what tells the progress of a scan that looks at the outcome, and `ends` with it."""

    def told(share: float) -> None:
        if ends or share < 1.0:
            tell(_SHARE_OF_WORK + (1 - _SHARE_OF_WORK) * share)

    return told


def require_identity() -> Operation[None]:
    """Raise what `scan` would raise when the server does not say who it is, before any change."""
    (who,) = yield from _answered([_WHO])
    _identity(who)


def _identity(reply: Any) -> str:
    if is_error(reply, "NOPERM"):
        raise ConfigError(
            "a scan of all keys needs INFO, to notice that the server was restarted: "
            f"{reply.message}. Add +info to the user's rules (docs/guides/connect.md)"
        )
    if isinstance(reply, FscoreError):
        raise reply
    text = reply.decode(errors="replace") if isinstance(reply, bytes) else str(reply)
    found = _RUN_ID.search(text)
    if found is None:
        raise ConfigError(
            "the server does not say who it is (run_id in INFO server): a restart would go "
            "unnoticed, and a scan of all keys pass over some of them"
        )
    return found[1]


def share_scanned(cursor: int) -> float:
    """Return the share of the keyspace that a SCAN has passed, by the cursor that it returned.

    A cursor counts with its bits in reverse, the lowest first, whatever the size of the table.
    """
    if cursor == 0:
        return 1.0
    reverse = int(f"{cursor & (1 << 64) - 1:064b}"[::-1], 2)
    return reverse / (1 << 64)
