"""Log lines about stored values that are not of their feature's type."""

from __future__ import annotations

from fscore import FeatureTable
from fscore.serving import Trace
from fscore_server.telemetry.logs import LOGGER, RateLimited, trace_fields


class InvalidValues:
    """Logs the first such value of an answer, for at most 10 answers a second."""

    def __init__(self) -> None:
        self._lines = RateLimited(10, 1.0)

    def log(self, table: FeatureTable, request_id: bytes, trace: Trace | None) -> None:
        """Log the invalid values of an answer; it must have at least one."""
        suppressed = self._lines.admit()
        if suppressed is None:
            return
        _row, feature, reason = table.problems[0]
        LOGGER.warning(
            "stored value is not of its feature's type",
            extra={
                "fields": {
                    "request_id": request_id.decode("ascii"),
                    "feature": feature,
                    "reason": reason,
                    "values": table.invalid,
                    "suppressed": suppressed,
                    **trace_fields(trace),
                }
            },
        )
