"""Window functions, which compute the features of a series from an entity's events.

Write them in a `SeriesView`, as in `clicks_30m: Int64 = window.count("30m")`. A window is a
duration, such as `"90s"`, `"30m"`, `"7d"` or a `timedelta`. A read at the time `as_of` takes the
events with `as_of - window < t <= as_of`. Without a window, or with `"all"`, it takes every event
that the view keeps. A window function is data: the registry stores it as JSON, and the core
computes it when the feature is read. An invalid argument raises nothing here; `Registry` reports it
with everything else that is wrong.

| function | value | type of the payload field | type of the feature | without events |
|---|---|---|---|---|
| `count` | number of events | | `Int64`, `Float64` | 0 |
| `sum` | sum of the field | a number | `Float64`, for an `Int64` field also `Int64` | 0 |
| `mean` | mean of the field | a number | `Float64` | NOT_FOUND |
| `min`, `max` | smallest, largest value | a number or `Timestamp` | that of the field | NOT_FOUND |
| `distinct` | number of different values | any | `Int64` | 0 |
| `last` | values in the newest n events that have one | any | `List` of the field's | NOT_FOUND |
| `last_times` | times of the newest n events | | `List[Timestamp]` | NOT_FOUND |
| `time_since_last` | milliseconds from the newest event to `as_of` | | `Int64` | NOT_FOUND |
| `session_length` | milliseconds that the current session has lasted | | `Int64` | 0 |

Lists begin with the newest event. Functions of a field ignore events in which the field is null.
Those that mappings have too have the same names there.

    >>> from fscore import window
    >>> window.sum("price", "7d").to_json()
    {'op': 'sum', 'field': 'price', 'window_ms': 604800000, 'n': 0, 'gap_ms': 0}
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fscore.model.aggregates import WINDOWS
from fscore.model.names import duration_ms
from fscore.model.renamed import old_names
from fscore.model.window import WindowFunction

__all__ = [
    "count",
    "distinct",
    "last",
    "last_times",
    "max",
    "mean",
    "min",
    "session_length",
    "sum",
    "time_since_last",
]

Window = str | timedelta | None


def count(window: Window = None) -> Any:
    """Count the events in the window; 0 if there are none."""
    return _function("count", window=window)


def sum(field: str, window: Window = None) -> Any:
    """Add up a payload field, from the oldest event to the newest; 0 if there are none."""
    return _function("sum", field, window)


def mean(field: str, window: Window = None) -> Any:
    """Compute the mean of a payload field, a Float64; NOT_FOUND if there are no events."""
    return _function("mean", field, window)


def min(field: str, window: Window = None) -> Any:
    """Find the smallest value of a payload field; NOT_FOUND if there are no events."""
    return _function("min", field, window)


def max(field: str, window: Window = None) -> Any:
    """Find the largest value of a payload field; NOT_FOUND if there are no events."""
    return _function("max", field, window)


def distinct(field: str, window: Window = None) -> Any:
    """Count the different values of a payload field; 0 if there are no events."""
    return _function("distinct", field, window)


def last(n: int, field: str) -> Any:
    """List a payload field of the newest `n` events in which it is not null, newest first.

    `n` is 1 to 10,000.
    """
    return WindowFunction("last", field, n=n)


def last_times(n: int) -> Any:
    """List the times of the newest `n` events, newest first; `n` is 1 to 10,000."""
    return WindowFunction("last_times", n=n)


def time_since_last() -> Any:
    """Measure the milliseconds from the newest event to the `as_of` of the read."""
    return WindowFunction("time_since_last")


def session_length(gap: str | timedelta) -> Any:
    """Measure the milliseconds from the first to the newest event of the current session.

    A pause longer than `gap` ends a session. If the newest event is longer ago than `gap`, there is
    no current session, and the value is 0.
    """
    gap_ms, mistakes = _duration("gap", gap)
    return WindowFunction("session_length", gap_ms=gap_ms, mistakes=mistakes)


# A type checker must accept them after any feature's annotation, so the functions above return Any.


if TYPE_CHECKING:
    avg = mean
else:
    # With it, type checkers would accept every attribute.
    __getattr__ = old_names(__name__)


def _function(name: str, field: str | None = None, window: Window = None) -> WindowFunction:
    window_ms, mistakes = _duration("window", None if window == "all" else window)
    return WindowFunction(WINDOWS[name], field, window_ms, mistakes=mistakes)


def _duration(what: str, duration: Any) -> tuple[int, tuple[str, ...]]:
    try:
        return duration_ms(duration), ()
    except ValueError as error:
        return 0, (f"{what}: {error}",)
