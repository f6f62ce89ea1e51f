"""Timestamps for people."""

from __future__ import annotations

import datetime as dt

__all__ = ["shown_moment"]


def shown_moment(epoch_ms: int) -> str:
    """Format epoch milliseconds as `2024-01-02 00:00:00.500Z`, or as a number if out of range."""
    try:
        moment = dt.datetime.fromtimestamp(epoch_ms / 1000, dt.UTC)
    except (OverflowError, ValueError, OSError):
        return str(epoch_ms)
    precision = "milliseconds" if epoch_ms % 1000 else "seconds"
    return moment.isoformat(sep=" ", timespec=precision).removesuffix("+00:00") + "Z"
