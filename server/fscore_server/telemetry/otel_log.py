"""What OpenTelemetry complains of, in this server's log.

It complains for every batch, and now and then quotes what it was given: a header of its
environment, which holds credentials, or an error that does. So what it fills into its templates is
left out, but for numbers and words that are known; of errors their kind is named, and what the
system says.
"""

from __future__ import annotations

import logging
from http import HTTPStatus

from fscore_server.telemetry.logs import LOGGER, RateLimited

# What OpenTelemetry may fill into its complaints: its words for spans, and reasons of HTTP's.
_WORDS = frozenset({"Span", "spans", *(status.phrase for status in HTTPStatus)})


class _Complaints(logging.Handler):
    """Says in this server's log what OpenTelemetry complains of, some lines a minute."""

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
    """Has what OpenTelemetry logs come here, and nowhere else."""
    logger = logging.getLogger("opentelemetry")
    for old in list(logger.handlers):
        logger.removeHandler(old)
    logger.addHandler(_Complaints())
    # A caller's malformed `tracestate` is none of the operator's business.
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
    """What the system said, if that is what it came from."""
    while error is not None:
        if isinstance(error, OSError) and error.strerror:
            return str(error.strerror)
        error = error.__cause__ or error.__context__
    return None
