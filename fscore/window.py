"""Window functions: how a feature of a series follows from an entity's events.

They are used as `window.count("30m")`. Each looks at the events with `as_of - window < t <= as_of`;
without a window, or with `"all"`, at everything that the view retains. The functions are data: the
registry stores them as JSON, and reading computes them.

| function | value | of a payload field | the feature's type | without events |
|---|---|---|---|---|
| `count` | how many events | | `Int64`, `Float64` | 0 |
| `sum` | of the field's values | a number | `Int64` of an `Int64`, `Float64` | 0 |
| `avg` | of the field's values | a number | `Float64` | NOT_FOUND |
| `min`, `max` | of the field's values | a number or a `Timestamp` | the field's | NOT_FOUND |
| `distinct` | how many different values | any | `Int64` | 0 |
| `last` | of the newest n events that have it | any | `List` of the field's | NOT_FOUND |
| `last_times` | moments of the newest n events | | `List[Timestamp]` | NOT_FOUND |
| `time_since_last` | ms from the newest event to `as_of` | | `Int64` | NOT_FOUND |
| `session_length` | ms from the first to the newest event of the current session | | `Int64` | 0 |

Lists begin with the newest event. Null payload fields are passed over by every function of a field.

    >>> from fscore import window
    >>> window.sum("price", "7d").to_json()
    {'op': 'sum', 'field': 'price', 'window_ms': 604800000, 'n': 0, 'gap_ms': 0}
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from fscore.model.names import duration_ms
from fscore.model.window import WindowFunction

__all__ = [
    "avg",
    "count",
    "distinct",
    "last",
    "last_times",
    "max",
    "min",
    "session_length",
    "sum",
    "time_since_last",
]

Window = str | timedelta | None


def count(window: Window = None) -> Any:
    """How many events there are."""
    return _function("count", window=window)


def sum(field: str, window: Window = None) -> Any:
    """The sum of a payload field, added from the oldest event on; 0 without events."""
    return _function("sum", field, window)


def avg(field: str, window: Window = None) -> Any:
    """The mean of a payload field."""
    return _function("avg", field, window)


def min(field: str, window: Window = None) -> Any:
    """The smallest value of a payload field."""
    return _function("min", field, window)


def max(field: str, window: Window = None) -> Any:
    """The largest value of a payload field."""
    return _function("max", field, window)


def distinct(field: str, window: Window = None) -> Any:
    """How many different values a payload field has."""
    return _function("distinct", field, window)


def last(n: int, field: str) -> Any:
    """A payload field of the newest `n` events that have one, newest first."""
    return WindowFunction("last", field, n=n)


def last_times(n: int) -> Any:
    """The moments of the newest `n` events, newest first."""
    return WindowFunction("last_times", n=n)


def time_since_last() -> Any:
    """Milliseconds from the newest event to the moment of reading."""
    return WindowFunction("time_since_last")


def session_length(gap: str | timedelta) -> Any:
    """Milliseconds from the first to the newest event of the session that lasts.

    A session ends with a pause longer than `gap`. Where the newest event is longer ago than that,
    no session lasts, and the value is 0.
    """
    gap_ms, mistakes = _duration("gap", gap)
    return WindowFunction("session_length", gap_ms=gap_ms, mistakes=mistakes)


# They return Any, so that a type checker accepts them behind any feature's annotation.


def _function(op: str, field: str | None = None, window: Window = None) -> WindowFunction:
    window_ms, mistakes = _duration("window", None if window == "all" else window)
    return WindowFunction(op, field, window_ms, mistakes=mistakes)


def _duration(what: str, duration: Any) -> tuple[int, tuple[str, ...]]:
    try:
        return duration_ms(duration), ()
    except ValueError as error:
        return 0, (f"{what}: {error}",)
