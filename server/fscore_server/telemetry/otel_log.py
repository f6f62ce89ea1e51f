"""OpenTelemetry's own warnings, rate-limited and without secrets, in this server's log.

OpenTelemetry logs a warning for every batch that fails. Some quote a header of its environment or
an error, either of which may hold credentials. So the arguments of its messages are left out,
except numbers and known words. For an error only the class and the system's reason are logged.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from fscore_server.telemetry.logs import LOGGER, RateLimited

# Arguments of messages that are logged as they are: its words for spans, and reasons of HTTP.
_WORDS = frozenset({"Span", "spans", *(status.phrase for status in HTTPStatus)})


class _Complaints(logging.Handler):
    """Writes OpenTelemetry's warnings to this server's log, at most five lines a minute."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines = RateLimited(5, 60.0)

    def emit(self, record: logging.LogRecord) -> None:
        suppressed = self._lines.admit()
        if suppressed is None:
            return
        fields: dict[str, object] = {"source": record.name, "cause": _said(record)}
        if suppressed:
            fields["suppressed"] = suppressed
        LOGGER.warning("OpenTelemetry complains", extra={"fields": fields})


def hear() -> None:
    """Direct OpenTelemetry's logging to this server's log, and nowhere else."""
    logger = logging.getLogger("opentelemetry")
    for old in list(logger.handlers):
        logger.removeHandler(old)
    logger.addHandler(_Complaints())
    # A malformed `tracestate` is the caller's mistake, which the operator cannot mend.
    logging.getLogger("opentelemetry.trace").setLevel(logging.ERROR)
    logger.propagate = False


def _said(record: logging.LogRecord) -> str:
    args = record.args if isinstance(record.args, tuple) else ()
    shown = tuple(_shown(arg) for arg in args)
    try:
        text = record.msg % shown if shown else str(record.msg)
    except TypeError:
        text = str(record.msg)
    error = record.exc_info[1] if record.exc_info else None
    return text if error is None else f"{text} ({_shown(error)})"


def _shown(value: object) -> object:
    if isinstance(value, BaseException):
        reason = _system_reason(value)
        kind = type(value).__name__
        return kind if reason is None else f"{kind}: {reason}"
    return "…" if isinstance(value, str) and value not in _WORDS else value


def _system_reason(error: BaseException | None) -> str | None:
    """Return the system's reason for the error, or None if the system did not cause it."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return str(error.strerror)
        error = error.__cause__ or error.__context__
    return None
