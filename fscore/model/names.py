"""The rules for names and durations, in definitions and in messages about them."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MAX_NAME = 200
MAX_TTL_MS = 100 * 365 * _UNIT_MS["d"]


def name_problem(what: str, name: object) -> str | None:
    """Return what is wrong with a name, or None.

    Names become Redis keys, hash fields and attributes of Python classes, so they consist of
    letters, digits and underscores.
    """
    if isinstance(name, str) and _NAME.fullmatch(name) and len(name) <= MAX_NAME:
        return None
    rule = f"letters, digits and underscores, not beginning with a digit, at most {MAX_NAME}"
    return f"{name!r} is not a valid name for {what}: use {rule}"


def snake_case(name: str) -> str:
    """Turn the name of a class into the name of its view.

    >>> snake_case("UserActivity"), snake_case("HTTPStats2"), snake_case("LTVScores")
    ('user_activity', 'http_stats2', 'ltv_scores')
    """
    words = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", words).lower()


def duration_ms(duration: object) -> int:
    """Read a duration as milliseconds; None is 0, which means no limit.

    Raises ValueError if it is not valid, or not between 1 ms and 100 years.

    >>> duration_ms("90s"), duration_ms("30d"), duration_ms(dt.timedelta(hours=1))
    (90000, 2592000000, 3600000)
    """
    if duration is None:
        return 0
    if isinstance(duration, dt.timedelta):
        ms = duration // dt.timedelta(milliseconds=1)
    elif isinstance(duration, str) and (match := _DURATION.fullmatch(duration)):
        ms = int(match[1]) * _UNIT_MS[match[2]]
    else:
        raise ValueError(
            f'{duration!r} is not a valid duration: write "90s", "5m", "24h", "30d", a timedelta, '
            "or None"
        )
    if not 0 < ms <= MAX_TTL_MS:
        raise ValueError(
            f"{duration!r} is out of range: a TTL is between 1 ms and 100 years, or None"
        )
    return ms


def duration_text(ms: int) -> str:
    """Return milliseconds as text in the largest unit that divides them; 0 is `never`.

    >>> duration_text(86_400_000), duration_text(90_000), duration_text(0)
    ('1d', '90s', 'never')
    """
    if ms == 0:
        return "never"
    unit = next(unit for unit in ("d", "h", "m", "s", "ms") if ms % _UNIT_MS[unit] == 0)
    return f"{ms // _UNIT_MS[unit]}{unit}"


def text_of(name: object) -> str:
    """Return a name as text; one that is not text becomes its repr, so that it can be listed."""
    return name if isinstance(name, str) else repr(name)


def listed(names: Iterable[str]) -> str:
    """Join names for a message; `none` if there are none."""
    return ", ".join(names) or "none"
