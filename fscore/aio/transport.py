"""Connections of the asyncio client: sockets, TLS, and keepalive for peers that are gone."""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import TYPE_CHECKING, Any

from fscore.connection.endpoint import Endpoint
from fscore.errors import ConfigError

if TYPE_CHECKING:
    from fscore.config import RedisSettings

_USER_TIMEOUT_MS = 1_500
_KEEPALIVE_S = 1


async def open_transport(
    loop: asyncio.AbstractEventLoop,
    protocol: asyncio.Protocol,
    endpoint: Endpoint,
    tls: ssl.SSLContext | None,
    tls_name: str,
) -> None:
    """Connect `protocol`, whose `connection_made` gets the transport; raises OSError."""
    if endpoint.path is not None:
        await loop.create_unix_connection(lambda: protocol, endpoint.path)
    else:
        await loop.create_connection(
            lambda: protocol,
            endpoint.host,
            endpoint.port,
            ssl=tls,
            server_hostname=tls_name if tls else None,
        )


def keep_alive(sock: Any) -> None:
    """Set socket options by which a TCP connection notices within 2 s that its peer is gone."""
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (
        ("TCP_KEEPIDLE", _KEEPALIVE_S),
        ("TCP_KEEPINTVL", _KEEPALIVE_S),
        # While data is in flight the kernel sends no keepalive probes, so this limits that time.
        ("TCP_USER_TIMEOUT", _USER_TIMEOUT_MS),
    ):
        if (option := getattr(socket, name, None)) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def tls_context(settings: RedisSettings) -> ssl.SSLContext:
    """Return a TLS context with the settings' certificates and checks.

    Raises ConfigError if a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
        if settings.tls_cert_file is not None:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except OSError as error:
        raise ConfigError(f"the TLS files cannot be used: {error}") from None
    if not settings.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
