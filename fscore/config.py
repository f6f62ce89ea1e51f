"""Settings of the library: every default is defined here and nowhere else.

Each setting is also an environment variable: `FSCORE_` followed by its name in capitals. Every repr
hides secrets.

>>> RedisSettings(redis_url="redis://:secret@127.0.0.1:6380/1").endpoint()
Endpoint(host='127.0.0.1', port=6380, path=None, tls=False, database=1, username=None)
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fscore.connection.endpoint import Endpoint, parse_url
from fscore.errors import ConfigError

DEFAULT_URL = "redis://127.0.0.1:6379"
"""The server that a client connects to by default."""
RECLAIM_RATE = 10_000
"""Keys a second that retiring a version removes by default."""
MIGRATION_RATE = 5_000
"""Rows a second that a migration copies by default."""
MIGRATION_SETTLE = 3.0
"""Seconds that a migration waits by default for every client to follow."""

MAX_SECONDS = 3600.0
"""The greatest timeout, of settings and of calls."""

Seconds = Annotated[float, Field(gt=0, le=MAX_SECONDS)]


class RedisSettings(BaseSettings):
    """How to reach and use a Redis or Valkey server."""

    model_config = SettingsConfigDict(
        env_prefix="FSCORE_", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    redis_url: SecretStr | None = None
    """URL of the server: `redis://`, `rediss://` (TLS) or `unix://`, with `user:password@` and a
    database if needed. Without it the library uses redis://127.0.0.1:6379, and the command line
    starts a Valkey of its own."""
    redis_username: str | None = None
    """Name of the ACL user; takes precedence over the URL's."""
    redis_password: SecretStr | None = None
    """Password; takes precedence over the URL's and the file's."""
    redis_password_file: Path | None = None
    """File whose first line is the password; takes precedence over the URL's."""
    key_prefix: str = Field("", max_length=256, pattern=r"^[^\s{}%*?\[\]\\]*$")
    """Prefix of every key, such as `acme:`; ACL rules match it."""
    client_name: str = Field("fscore", pattern=r"^[!-~]*$")
    """Name of the client in `CLIENT LIST`."""

    tls_ca_file: Path | None = None
    """File of the certificates to trust, PEM; default: the certificates of the system."""
    tls_cert_file: Path | None = None
    """File of the client certificate, PEM; requires `tls_key_file`."""
    tls_key_file: Path | None = None
    """File of the client certificate's key, PEM; requires `tls_cert_file`."""
    tls_server_name: str | None = None
    """Name to expect in the server's certificate; without it, the URL's host."""
    tls_verify: bool = True
    """Check the server's certificate. Turn this off only in tests."""

    timeout: Seconds = 1.0
    """Deadline of a read in seconds; it covers waiting, connecting and retries."""
    write_timeout: Seconds = 10.0
    """Deadline of a write, and of any other command, in seconds."""
    connect_timeout: Seconds = 2.0
    """Seconds within which a new connection must be ready."""
    max_connections: int = Field(64, ge=1)
    """Connections that a blocking client may open; further threads wait for a free one."""
    max_in_flight: int = Field(10_000, ge=1)
    """Requests that an asyncio client may have in flight; more raise Overloaded."""
    max_bytes_in_flight: int = Field(64 << 20, ge=1 << 16)
    """Bytes of commands that a connection may have in flight; more raise Overloaded."""
    max_keys: int = Field(100_000, ge=1)
    """Rows that one read may have; more raise RequestTooLarge."""
    registry_poll: Seconds = 1.0
    """Seconds between two looks for a new revision of the definitions and for promotions, while the
    client is used."""
    follow_versions: Literal["poll", "push"] = "poll"
    """How an asyncio client learns of promotions: `poll` every `registry_poll` seconds; `push` also
    by a subscription on a connection of its own, within milliseconds. A blocking client polls."""
    prefer_resp3: bool = True
    """Use RESP3 if the server supports it; otherwise RESP2 is used."""

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
        """Return the address to connect to; raises ConfigError if the URL is wrong."""
        url = DEFAULT_URL if self.redis_url is None else self.redis_url.get_secret_value()
        return parse_url(url)

    def credentials(self) -> tuple[str | None, str | None]:
        """Return user and password; raises ConfigError if the password's file cannot be read."""
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
        """Return the arguments that a connection in Rust takes, complete and by name."""
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
    """Return the settings of a client; raises ConfigError, which names each wrong setting.

    They are `settings`, or else the environment's. `url` and `overrides` take precedence over them.
    """
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
