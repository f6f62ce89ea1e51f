"""The server's settings: environment variables `FSCORE_…`, or arguments of the same names.

They are read once, where the command line starts the server. `create_app(settings)` and everything
below it takes the object and reads no environment.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from fscore.config import RedisSettings
from fscore.errors import ConfigError

Milliseconds = Annotated[int, Field(ge=1, le=600_000)]
Seconds = Annotated[float, Field(gt=0, le=3600)]


class ServerSettings(RedisSettings):
    """What `fscore serve` does; the connection to Redis is part of it.

    >>> ServerSettings(redis_url="redis://:secret@127.0.0.1:6379", port=8080).request_timeout_ms
    50
    """

    host: str = "127.0.0.1"
    """Address to listen on. Other than loopback only with `api_keys_file` or `insecure_no_auth`."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen on; 0 takes a free one, which the first log line names."""
    workers: int = Field(default=1, ge=1, le=256)
    """Worker processes that share the port."""
    api_keys_file: Path | None = None
    """File of the API keys of which requests need one; it is followed."""
    insecure_no_auth: bool = False
    """Listen beyond loopback although requests are not authenticated, where there are no keys."""

    follow_versions: Literal["poll", "push"] = "push"
    """How a worker learns of promotions: `push` by a subscription, within milliseconds, and by
    looking every `registry_poll` seconds where there is none; `poll` by looking alone."""

    request_timeout_ms: Milliseconds = 50
    """Deadline of a request, from its last byte; `X-Request-Timeout-Ms` can only shorten it."""
    header_timeout: Seconds = 5.0
    """Seconds within which a request's header must have arrived."""
    body_timeout: Seconds = 5.0
    """Seconds within which a request's body must have arrived."""
    write_stall_timeout: Seconds = 30.0
    """Seconds after which a connection that takes nothing of its answer is ended."""
    keep_alive: Seconds = 75.0
    """Seconds for which an idle connection is kept open."""

    max_header_bytes: int = Field(default=32 * 1024, ge=1024)
    """Size of a request's header."""
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Size of a request's body."""
    max_values: int = Field(default=1_000_000, ge=1)
    """Entities times features of one request."""
    max_features: int = Field(default=2_000, ge=1)
    """Features that one request may name."""
    max_requests: int = Field(default=1024, ge=1)
    """Requests that one worker answers at a time; more are answered 429."""
    max_clients: int = Field(default=10_000, ge=1)
    """Connections that one worker accepts at a time."""
    hot_routes: bool = True
    """Answer plain reads of features without the web framework, which only makes them faster."""
    prepared_features: int = Field(default=100_000, ge=1)
    """Features, taken together, of the compiled selections that one worker keeps."""

    startup_wait: float = Field(default=2.0, ge=0, le=60)
    """Seconds for which a starting worker waits for its first connection before it serves."""
    drain: float = Field(default=0.0, ge=0, le=300)
    """Seconds between losing readiness and refusing connections, at the end."""
    grace: float = Field(default=10.0, gt=0, le=600)
    """Seconds after which a server that is ending stops waiting for requests in flight."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least level of the lines that are logged."""
    log_format: Literal["json", "text"] = "json"
    """Form of the log's lines."""
    access_log: bool = False
    """Log a line for every request; otherwise for errors only."""
    tracing: Literal["off", "otlp"] = "off"
    """Record requests whose trace is sampled as spans, and send these by `otlp` over HTTP to where
    OpenTelemetry's own variables say (`OTEL_EXPORTER_OTLP_ENDPOINT`, ...)."""
    tracing_ratio: float = Field(default=0.0, ge=0, le=1)
    """Part of the requests without a `traceparent` that begin a trace which is sampled."""

    @model_validator(mode="after")
    def _only_loopback_without_authentication(self) -> Self:
        authenticated = self.api_keys_file is not None
        if not authenticated and not self.insecure_no_auth and not _is_loopback(self.host):
            raise ValueError(
                f"host {self.host!r} is reachable from other machines, and requests are not"
                " authenticated: name a file of API keys with api_keys_file"
                " (FSCORE_API_KEYS_FILE; `fscore key create` makes one), listen on 127.0.0.1, or"
                " accept that with insecure_no_auth (FSCORE_INSECURE_NO_AUTH=true)"
            )
        return self

    @property
    def request_timeout(self) -> float:
        """The default deadline in seconds."""
        return self.request_timeout_ms / 1000


# Variables that other parts of the distribution read: the folder of the embedded Valkey.
_READ_ELSEWHERE = frozenset({"FSCORE_DATA_DIR"})


def load_settings(**overrides: Any) -> ServerSettings:
    """The settings of the environment with `overrides` on top; those that are None are not given.

    Raises `ConfigError` with everything that is wrong, unknown variables included.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    problems = unknown_variables()
    try:
        settings = ServerSettings(**given)
    except ValidationError as error:
        for problem in error.errors(include_input=False, include_url=False):
            place = ".".join(map(str, problem["loc"]))
            message = problem["msg"].removeprefix("Value error, ")
            problems.append(f"{place}: {message}" if place else message)
    if problems:
        raise ConfigError("wrong settings: " + "; ".join(problems))
    return settings


def unknown_variables() -> list[str]:
    """What to say of the `FSCORE_` variables that set nothing, which mostly are misspelled."""
    known = {f"FSCORE_{name.upper()}" for name in ServerSettings.model_fields} | _READ_ELSEWHERE
    lines = []
    for name in sorted(os.environ):
        if name.upper().startswith("FSCORE_") and name.upper() not in known:
            near = difflib.get_close_matches(name.upper(), known, n=1)
            advice = f"did you mean {near[0]}?" if near else "unset it"
            lines.append(f"the environment variable {name} sets nothing; {advice}")
    return lines


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
