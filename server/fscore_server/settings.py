"""The server's settings: environment variables `FSCORE_…`, or arguments of the same names.

The command line reads them once, when it starts the server. `create_app(settings)` and everything
below it takes the object and does not read the environment.
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
    """Address to listen on. An address beyond loopback requires `api_keys_file` or
    `insecure_no_auth`."""
    port: int = Field(default=8080, ge=0, le=65535)
    """Port to listen on; with 0 the server takes a free one and logs it in its first line."""
    workers: int = Field(default=1, ge=1, le=256)
    """Worker processes that share the port."""
    api_keys_file: Path | None = None
    """Key file. With it every request needs one of its API keys; the server follows changes."""
    insecure_no_auth: bool = False
    """Listen beyond loopback without API keys, so that requests are not authenticated."""

    follow_versions: Literal["poll", "push"] = "push"
    """How a worker learns of promotions: `push` by a subscription, within milliseconds, and by a
    poll every `registry_poll` seconds if it has none; `poll` by the poll alone."""

    request_timeout_ms: Milliseconds = 50
    """Deadline of a request, from its last byte on. `X-Request-Timeout-Ms` can only shorten it."""
    header_timeout: Seconds = 5.0
    """Seconds within which a request's header must have arrived."""
    body_timeout: Seconds = 5.0
    """Seconds within which a request's body must have arrived."""
    write_stall_timeout: Seconds = 30.0
    """Seconds after which a connection is closed if its caller reads nothing of the answer."""
    keep_alive: Seconds = 75.0
    """Seconds for which the server keeps an idle connection open."""

    max_header_bytes: int = Field(default=32 * 1024, ge=1024)
    """Greatest size of a request's header, and of the trailers behind its body; larger is 431."""
    max_body_bytes: int = Field(default=8 * 1024 * 1024, ge=1024)
    """Greatest size of a request's body; a larger one is answered 413."""
    max_values: int = Field(default=1_000_000, ge=1)
    """Values (entities times features) that one request may read."""
    max_features: int = Field(default=2_000, ge=1)
    """Features that one request may name."""
    max_requests: int = Field(default=1024, ge=1)
    """Requests that one worker processes at a time; more are answered 429."""
    max_clients: int = Field(default=10_000, ge=1)
    """Connections that one worker accepts at a time. On those beyond, one request for `/health/…`
    is answered, anything else 429."""
    hot_routes: bool = True
    """Answer plain reads of features without the web framework; this only makes them faster."""
    prepared_features: int = Field(default=100_000, ge=1)
    """Features, in total, of the prepared sets that one worker keeps."""

    startup_wait: float = Field(default=2.0, ge=0, le=60)
    """Seconds for which a starting worker waits for its connection to Redis before it serves."""
    drain: float = Field(default=0.0, ge=0, le=300)
    """Seconds at shutdown between reporting not ready and refusing connections."""
    grace: float = Field(default=10.0, gt=0, le=600)
    """Seconds after which a server that shuts down stops waiting for requests in flight."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Lowest level that is logged."""
    log_format: Literal["json", "text"] = "json"
    """Format of the log lines."""
    access_log: bool = False
    """Log a line for every request; without it, for errors only."""
    tracing: Literal["off", "otlp"] = "off"
    """With `otlp`, record sampled requests as spans and send these by OTLP over HTTP, to the
    endpoint in OpenTelemetry's own variables (`OTEL_EXPORTER_OTLP_ENDPOINT`, ...)."""
    tracing_ratio: float = Field(default=0.0, ge=0, le=1)
    """Share of the requests without a `traceparent` that begin a sampled trace."""

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
    """Read the settings from the environment, with `overrides` on top; None does not override.

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
    """Return a complaint about each `FSCORE_` variable that sets nothing; most are misspelled."""
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
