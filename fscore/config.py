"""Settings of the library: every default stands here and nowhere else.

Each is also an environment variable, `FSCORE_` and its name in capitals; secrets are hidden in
every repr.

>>> RedisSettings(redis_url="redis://:secret@127.0.0.1:6380/1").endpoint()
Endpoint(host='127.0.0.1', port=6380, path=None, tls=False, database=1, username=None)
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fscore._endpoint import Endpoint, parse_url
from fscore.errors import ConfigError

DEFAULT_URL = "redis://127.0.0.1:6379"
"""Where a client connects to that is told nothing else."""
RECLAIM_RATE = 10_000
"""Keys a second that retiring a version removes where it is told nothing else."""
MIGRATION_RATE = 5_000
"""Rows a second that a migration copies where it is told nothing else."""
MIGRATION_SETTLE = 3.0
"""Seconds that a migration waits for everybody to follow where it is told nothing else."""

Seconds = Annotated[float, Field(gt=0, le=3600)]


class RedisSettings(BaseSettings):
    """How to reach and use a Redis or Valkey server."""

    model_config = SettingsConfigDict(
        env_prefix="FSCORE_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    redis_url: SecretStr | None = None
    """`redis://`, `rediss://` (TLS) or `unix://`, each with `user:password@` and a database where
    needed. The library takes redis://127.0.0.1:6379 where there is none; the server starts its own
    Valkey."""
    redis_username: str | None = None
    """ACL user; overrides the URL's."""
    redis_password: SecretStr | None = None
    """Password; overrides the URL's."""
    redis_password_file: Path | None = None
    """File whose first line is the password; overrides the URL's."""
    key_prefix: str = Field("", max_length=256, pattern=r"^[^\s{}%*?\[\]\\]*$")
    """Put before every key, such as `acme:`; what an ACL rule matches."""
    client_name: str = Field("fscore", pattern=r"^[!-~]*$")
    """What `CLIENT LIST` shows."""

    tls_ca_file: Path | None = None
    """Certificates to trust, PEM; the system's where there is none."""
    tls_cert_file: Path | None = None
    """Client certificate, PEM; goes with `tls_key_file`."""
    tls_key_file: Path | None = None
    """Key of the client certificate, PEM."""
    tls_server_name: str | None = None
    """Name to expect in the server's certificate; the URL's host where there is none."""
    tls_verify: bool = True
    """Check the server's certificate. Off only for tests."""

    timeout: Seconds = 1.0
    """Deadline of a read in seconds; covers queueing, connecting and retries."""
    write_timeout: Seconds = 10.0
    """Deadline of a write, and of any other command, in seconds."""
    connect_timeout: Seconds = 2.0
    """Seconds within which a connection must be ready."""
    max_connections: int = Field(64, ge=1)
    """Connections of a blocking client; more threads than that wait for one."""
    max_in_flight: int = Field(10_000, ge=1)
    """Requests that an asyncio client has on its way; more are refused (Overloaded)."""
    max_bytes_in_flight: int = Field(64 << 20, ge=1 << 16)
    """Bytes of commands that a connection has on their way."""
    max_keys: int = Field(100_000, ge=1)
    """Rows of one read; more are refused (RequestTooLarge)."""
    registry_poll: Seconds = 1.0
    """Seconds after which a client that is used looks for a new revision of the definitions, and
    for promotions."""
    follow_versions: Literal["poll", "push"] = "poll"
    """How an asyncio client learns of promotions: `poll` by that look, `push` also by a
    subscription on a connection of its own, within milliseconds. A blocking client polls."""
    prefer_resp3: bool = True
    """Ask for RESP3; RESP2 is used where the server has no other."""

    @model_validator(mode="after")
    def _certificate_and_key(self) -> Self:
        if (self.tls_cert_file is None) != (self.tls_key_file is None):
            raise ValueError("tls_cert_file and tls_key_file go together; give both or neither")
        return self

    @property
    def redis(self) -> RedisSettings:
        """The settings of the connection alone, without those of a subclass."""
        return RedisSettings.model_construct(
            **{name: getattr(self, name) for name in RedisSettings.model_fields}
        )

    def endpoint(self) -> Endpoint:
        """Where to connect to; ConfigError where the URL is wrong."""
        url = DEFAULT_URL if self.redis_url is None else self.redis_url.get_secret_value()
        return parse_url(url)

    def credentials(self) -> tuple[str | None, str | None]:
        """User and password; ConfigError where the password's file cannot be read."""
        endpoint = self.endpoint()
        password = endpoint.password
        if self.redis_password_file is not None:
            try:
                lines = self.redis_password_file.read_text().splitlines()
            except OSError as error:
                raise ConfigError(f"redis_password_file cannot be read: {error}") from None
            password = lines[0] if lines else ""
        if self.redis_password is not None:
            password = self.redis_password.get_secret_value()
        return self.redis_username or endpoint.username, password

    def connection(self) -> dict[str, Any]:
        """What the protocol of one connection needs, complete and by name."""
        username, password = self.credentials()
        return {
            "username": username,
            "password": password,
            "client_name": self.client_name or None,
            "database": self.endpoint().database,
            "prefer_resp3": self.prefer_resp3,
            "connect_timeout": self.connect_timeout,
            "max_in_flight": self.max_in_flight,
            "max_bytes_in_flight": self.max_bytes_in_flight,
        }


def load_settings(
    url: str | None, settings: RedisSettings | None, overrides: dict[str, Any]
) -> RedisSettings:
    """The settings of a client: those given, or the environment's; `url` and overrides on top."""
    if url is not None:
        overrides = {"redis_url": url, **overrides}
    try:
        if settings is None:
            return RedisSettings(**overrides)
        if not overrides:
            return settings
        given = {name: getattr(settings, name) for name in RedisSettings.model_fields}
        return RedisSettings(**{**given, **overrides})
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("wrong settings: " + "; ".join(lines)) from None
