"""The settings as keywords of `connect`: for type checkers, and for `help`, IPython and jedi.

Their defaults are those of `RedisSettings`, which is imported only to show them.
"""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar

from fscore.config.defaults import FollowVersions

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

F = TypeVar("F", bound=Callable[..., Any])


class RedisOptions(TypedDict, total=False):
    """The settings that `connect` takes as keywords: the fields of `RedisSettings`.

    Its docstrings, and docs/reference/settings.md, say what each means.
    """

    redis_url: str | SecretStr | None
    redis_username: str | None
    redis_password: str | SecretStr | None
    redis_password_file: str | Path | None
    key_prefix: str
    client_name: str
    tls_ca_file: str | Path | None
    tls_cert_file: str | Path | None
    tls_key_file: str | Path | None
    tls_server_name: str | None
    tls_verify: bool
    timeout: float
    write_timeout: float
    connect_timeout: float
    max_connections: int
    max_in_flight: int
    max_bytes_in_flight: int
    max_keys: int
    registry_poll: float
    follow_versions: FollowVersions
    prefer_resp3: bool


class _Default:
    """The default of a setting, which is looked up when it is shown."""

    __slots__ = ("_name",)

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        from fscore.config.settings import RedisSettings

        return repr(RedisSettings.model_fields[self._name].default)


def with_settings_shown(connect: F) -> F:
    """Have the signature of a function show each setting in place of its `**overrides`."""
    shown = signature(connect)
    *own, _ = shown.parameters.values()
    settings = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=_Default(name),
            # Like all annotations of this package, it is shown as text.
            annotation=getattr(kind, "__forward_arg__", kind),
        )
        for name, kind in RedisOptions.__annotations__.items()
    ]
    connect.__signature__ = shown.replace(parameters=[*own, *settings])  # type: ignore[attr-defined]
    return connect
