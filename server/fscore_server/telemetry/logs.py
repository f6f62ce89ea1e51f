"""Structured logs: one JSON object a line, or plain text for people at a terminal.

A record's own fields are given with `extra={"fields": {...}}`. No line has values of features,
bodies or query strings, and Redis URLs are logged only without their password.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal, TextIO

if TYPE_CHECKING:
    from fscore.serving import Trace

LOGGER = logging.getLogger("fscore.server")

Format = Literal["json", "text"]


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "logger", "message", …fields, "error"?}` on one line."""

    def __init__(self, worker: int | None = None) -> None:
        super().__init__()
        self._worker = worker

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _utc(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if self._worker is not None:
            line["worker"] = self._worker
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextFormatter(logging.Formatter):
    """`12:34:56 info message key=value`, for people to read."""

    def format(self, record: logging.LogRecord) -> str:
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        fields = getattr(record, "fields", {})
        text = " ".join(
            [
                f"{clock} {record.levelname.lower():7} {record.getMessage()}",
                *(f"{key}={_shown(value)}" for key, value in fields.items()),
            ]
        )
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return text


def configure(
    level: str, form: Format, *, worker: int | None = None, stream: TextIO | None = None
) -> None:
    """Send all logging of this process to `stream` in the given form; by default to stderr."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(worker) if form == "json" else TextFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # Below ERROR, uvicorn repeats what this package logs with fields, and logs a line for every
    # request that is not HTTP, so anybody who sends such requests could fill the disk.
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)


def trace_fields(trace: Trace | None) -> dict[str, object]:
    """Return the fields for the trace in every line about a request."""
    return {} if trace is None else {"trace_id": trace.trace_id}


def log_access(
    request_id: bytes,
    method: str,
    path: str,
    status: int,
    seconds: float,
    trace: Trace | None,
    key: str | None,
) -> None:
    """Log one line for a request, without its query string, which may hold personal ids.

    `seconds` is how long it took; `key` is the name of its API key.
    """
    LOGGER.info(
        "request",
        extra={
            "fields": {
                "request_id": request_id.decode("ascii"),
                "method": method,
                "path": path,
                "status": status,
                "ms": round(seconds * 1000, 3),
                **trace_fields(trace),
                **({} if key is None else {"key": key}),
            }
        },
    )


class RateLimited:
    """Admits `most` messages of one kind per `period` of seconds and counts the others.

    Without it one bad row that is read ten thousand times a second would fill the disk.
    """

    def __init__(
        self, most: int, period: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._period = period
        self._clock = clock
        self._since = clock()
        self._passed = 0
        self._suppressed = 0

    def admit(self) -> int | None:
        """Return how many messages were suppressed before this one; None if this one is, too."""
        now = self._clock()
        if now - self._since >= self._period:
            self._since = now
            self._passed = 0
        if self._passed >= self._most:
            self._suppressed += 1
            return None
        self._passed += 1
        suppressed, self._suppressed = self._suppressed, 0
        return suppressed


def _shown(value: object) -> str:
    """Return the value as it is if it is one printable word; quoted and escaped otherwise."""
    text = str(value)
    return text if text.isprintable() and " " not in text else repr(text)


def _utc(seconds: float) -> str:
    millis = int(seconds * 1000) % 1000
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{millis:03}Z"
