"""Reads times of events as epoch milliseconds: text in a source's format, numbers, datetimes.

The grammar of text is the same as for columns of files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_ISO = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[T ](\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d+))?)?"
    r"(?:(Z| ?UTC)|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?)?",
    re.ASCII,
)
_UNITS = {"unix": 1000, "unix_ms": 1}


def expectation(timestamp_format: str | None) -> str:
    """Return in words how a source writes times, for messages."""
    return {
        None: "a time in ISO 8601",
        "unix": "a time in epoch seconds",
        "unix_ms": "a time in epoch milliseconds",
    }.get(timestamp_format, f"a time written as {timestamp_format}")


def moment_reader(timestamp_format: str | None) -> Callable[[Any], int]:
    """Return a function that reads a value as epoch milliseconds.

    It raises ValueError, whose message says what is wrong, or is empty. Datetimes with a time zone
    and NumPy's, which are UTC, are read whatever the format is.
    """
    unit = _UNITS.get(timestamp_format or "")

    def read(value: Any) -> int:
        if isinstance(value, str):
            if timestamp_format is None:
                return _iso_ms(value)
            if unit is not None:
                return _rounded(float(value) * unit)
            return _epoch_ms(datetime.strptime(value, timestamp_format))
        if isinstance(value, datetime):
            if value.tzinfo is None:
                raise ValueError("give it a time zone, such as datetime.UTC")
            return _epoch_ms(value)
        if isinstance(value, np.datetime64) and not np.isnat(value):
            return int(value.astype("datetime64[ms]").astype(np.int64))
        if isinstance(value, int | float | np.number) and not isinstance(value, bool):
            if unit is None:
                raise ValueError('numbers need timestamp_format="unix" or "unix_ms" in the source')
            return _rounded(value * unit)
        raise ValueError("")

    return read


def _iso_ms(text: str) -> int:
    if len(text) == 19 and text[4] == text[7] == "-" and text[13] == ":":
        # Nearly every text has no zone and whole seconds, so these take a faster way.
        return _epoch_ms(datetime.fromisoformat(text))
    parts = _ISO.fullmatch(text.strip())
    if parts is None:
        raise ValueError("")
    day, hour, minute, second, fraction, _, sign, ahead, ahead_minutes = parts.groups()
    moment = datetime.fromisoformat(day)
    if hour is not None:
        # In POSIX time a leap second is the first second of the next minute.
        leap = second == "60"
        moment = moment.replace(
            hour=int(hour), minute=int(minute), second=59 if leap else int(second or 0)
        ) + timedelta(seconds=leap)
    if sign is not None:
        offset = timedelta(hours=int(ahead), minutes=int(ahead_minutes or 0))
        moment -= offset if sign == "+" else -offset
    return _epoch_ms(moment) + int((fraction or "0")[:3].ljust(3, "0"))


def _epoch_ms(moment: datetime) -> int:
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // _MILLISECOND


def _rounded(milliseconds: Any) -> int:
    if not abs(milliseconds) < 2**63:
        raise ValueError("it is beyond 64 bits")
    whole: int = round(milliseconds)
    return whole
