"""Parses the URLs of servers, without ever showing a password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fscore.errors import ConfigError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

_FORMS = "redis://[user:password@]host[:port][/database], rediss://… or unix://[…@]/path[?db=0]"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The address of a server: the `path` of a unix socket, or `host` and `port`."""

    host: str
    port: int
    path: str | None = None
    tls: bool = False
    database: int = 0
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix://{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'rediss' if self.tls else 'redis'}://{host}:{self.port}"


def parse_url(url: str) -> Endpoint:
    """Parse a server's URL; raises ConfigError, whose message does not show the password."""
    # Imported here and below: only a program that connects needs it.
    from urllib.parse import unquote, urlsplit

    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ConfigError(f"the Redis URL has no valid host and port; use {_FORMS}") from None
    if parts.scheme not in ("redis", "rediss", "unix"):
        shown = parts.scheme or "none"
        raise ConfigError(f"the Redis URL's scheme is {shown}; use {_FORMS}")
    if parts.fragment:
        raise ConfigError("the Redis URL has a #; write it as %23 in a password")
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password is not None else None
    if parts.scheme == "unix":
        if not parts.path.startswith("/") or parts.hostname:
            raise ConfigError("the Redis URL needs an absolute path: unix:///run/redis.sock")
        database = _database(_query(parts, {"db"}).get("db", "0"))
        path = unquote(parts.path)
        return Endpoint("", 0, path, False, database, username, password)
    _query(parts, set())
    database = _database(parts.path.removeprefix("/") or "0")
    host = parts.hostname or "127.0.0.1"
    tls = parts.scheme == "rediss"
    # Port 0 cannot be connected to, so it means the default port, like an absent one.
    return Endpoint(host, port or 6379, None, tls, database, username, password)


def _query(parts: SplitResult, known: set[str]) -> dict[str, str]:
    from urllib.parse import parse_qs

    query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if stray := sorted(set(query) - known):
        raise ConfigError(
            f"the Redis URL has the unknown parameter {stray[0]!r}; options are settings of their "
            "own, such as FSCORE_TLS_CA_FILE"
        )
    return query


def _database(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5):
        raise ConfigError(f"the Redis URL's database is {text!r}; it must be a number")
    return int(text)
