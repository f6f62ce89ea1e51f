"""The settings of a client, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fscore.config.defaults import DEFAULT_URL, MAX_SECONDS, FollowVersions
from fscore.connection.endpoint import Endpoint, parse_url
from fscore.errors import ConfigError, InvalidArgument

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
    follow_versions: FollowVersions = "poll"
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


# Its repr, and pickles of it, name what applications import, as those of all exports do.
RedisSettings.__module__ = "fscore"


def load_settings(
    url: str | None, settings: RedisSettings | None, overrides: Mapping[str, object]
) -> RedisSettings:
    """Return the settings of a client; raises ConfigError, which names each wrong setting.

    They are `settings`, or else the environment's. `url` and `overrides` take precedence over them.
    """
    if settings is not None and not isinstance(settings, RedisSettings):
        # It may hold a password, so it is not shown.
        raise InvalidArgument(
            f"settings must be RedisSettings, not {type(settings).__name__}", argument="settings"
        )
    if url is not None:
        if overrides.get("redis_url") is not None:
            raise ConfigError("the URL is given twice: as url and as redis_url; leave one out")
        overrides = {**overrides, "redis_url": url}
    if settings is not None and not overrides:
        return settings
    given: dict[str, Any] = {}
    if settings is not None:
        given = {name: getattr(settings, name) for name in RedisSettings.model_fields}
    try:
        return RedisSettings(**{**given, **overrides})
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, problem['loc'])) or 'settings'}: {problem['msg']}"
            for problem in error.errors(include_input=False, include_url=False)
        ]
        raise ConfigError("wrong settings: " + "; ".join(lines)) from None
