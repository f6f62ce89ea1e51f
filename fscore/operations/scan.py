"""Scans the keys of a server, at a limited rate, so that readers are not slowed down.

Long operations that look at all keys use `scan` or `sweep`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeAlias

from fscore.errors import ConfigError, DeadlineExceeded, FscoreError, Unavailable
from fscore.operations.operation import Command, Operation, Pause, Step, T, is_error

# Keys that one SCAN looks at; it takes Valkey 9.1 65 us, and Redis 7.0 151 us.
_KEYS_PER_SCAN = 250
# Looking at a key costs about a tenth of copying or removing it, and most keys are only looked at.
_LOOKED_AT_PER_HANDLED = 10

# The run_id in the reply is another after a restart. The command takes the server 2 us.
_WHO: Final[Command] = ("INFO", "server")
_RUN_ID = re.compile(r"^run_id:(\S+)", re.MULTILINE)
# How often a scan begins again before it fails.
_RESTARTS = 10
# The first scan of a sweep removes keys; the others look whether any are left.
_SWEEPS = 3
# The part of the progress that belongs to the scan that does the work; the rest is verification.
_SHARE_OF_WORK = 0.9

# Seconds that a server may be away, because it restarts, loads its data, or a replica takes over.
_PATIENCE = 60.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


AWAY: Final = (Unavailable, DeadlineExceeded)
"""Errors while the server is away, or cannot answer yet. The command may have run."""


def patiently(operation: Operation[T]) -> Operation[T]:
    """Run an operation so that it continues after the server was away for a while.

    A step that was interrupted is sent again as a whole, so every step of the operation must be
    safe to repeat. If the server has been away for a minute, its last error is raised.
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
    """Return the first reply that says the server cannot answer yet, such as LOADING, or None."""
    if isinstance(reply, list):
        for one in reply:
            if isinstance(one, AWAY) and not is_error(one, "NOSCRIPT"):
                return one
    return None


Visit: TypeAlias = Callable[[list[bytes]], Operation[int]]
"""A function that handles some keys; it returns how many of them took work."""


def scan(
    match: str,
    visit: Visit,
    *,
    rate: float,
    tell: Callable[[float], None],
    begin_again: Callable[[], None] | None = None,
) -> Operation[None]:
    """Visit all keys that match, some at a time.

    At most `rate` keys a second take work, and at most ten times as many are looked at. A key may
    be visited twice. `tell` is called with the share of all keys that was looked at, 0 to 1; it
    goes back if the scan begins again.

    A cursor is valid only in the server process that made it: after a restart or a failover, a scan
    would pass over keys that it never visited. So each page, and the end, asks the server for its
    identity. If that changes, `begin_again` is called and the scan begins again.

    The scan waits for a server that is away and repeats the step, so a visit must be safe to
    repeat. Raises Unavailable if the identity keeps changing, ConfigError if the user may not ask.
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
        # A pipeline uses one connection, so one process answers both.
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
            # A server that crashed since may have lost the last changes, so this asks again.
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
    """Scan again and again until a whole scan removes nothing, as `removed` counts it.

    The last scan proves that nothing is left. `visit` makes the visit of each scan, which is
    numbered from 0. Returns False if every scan removed something, because somebody keeps writing.
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
    """Return a function that reports the progress of the scan that does the work."""
    return lambda share: tell(_SHARE_OF_WORK * share)


def last_part(tell: Callable[[float], None], *, ends: bool = True) -> Callable[[float], None]:
    """Return a function that reports the progress of a scan that verifies the work.

    It reports 1.0 at the end only if `ends`.
    """

    def told(share: float) -> None:
        if ends or share < 1.0:
            tell(_SHARE_OF_WORK + (1 - _SHARE_OF_WORK) * share)

    return told


def require_identity() -> Operation[None]:
    """Raise ConfigError, as `scan` would, if the server does not say which process it is.

    Call it before anything is changed.
    """
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
            "unnoticed, and a scan of all keys would pass over some of them"
        )
    return found[1]


def share_scanned(cursor: int) -> float:
    """Return the share of all keys that a SCAN has passed, 0 to 1, from the cursor it returned.

    A cursor counts with its bits in reverse order, whatever the size of the hash table is.
    """
    if cursor == 0:
        return 1.0
    reverse = int(f"{cursor & (1 << 64) - 1:064b}"[::-1], 2)
    return reverse / (1 << 64)
