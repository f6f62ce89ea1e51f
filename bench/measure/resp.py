"""The part of RESP2 that the harness itself needs, so that it uses no contestant's client."""

from __future__ import annotations

import socket
from typing import Any, Self


class ServerError(Exception):
    """An error reply."""


def encode(*args: str | bytes | int) -> bytes:
    """Return one command as a RESP array."""
    parts = [b"*%d\r\n" % len(args)]
    for arg in args:
        raw = arg if isinstance(arg, bytes) else str(arg).encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(raw), raw))
    return b"".join(parts)


def commands_of(payload: bytes) -> list[list[bytes]]:
    """Parse the commands that a client has sent."""
    found: list[list[bytes]] = []
    at = 0

    def line() -> bytes:
        nonlocal at
        end = payload.index(b"\r\n", at)
        text, at = payload[at:end], end + 2
        return text

    while at < len(payload):
        command = []
        for _ in range(int(line()[1:])):
            size = int(line()[1:])
            command.append(payload[at : at + size])
            at += size + 2
        found.append(command)
    return found


class Connection:
    """A blocking connection: commands out, replies in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._file = sock.makefile("rb", buffering=1 << 16)

    @classmethod
    def tcp(cls, host: str, port: int) -> Self:
        sock = socket.create_connection((host, port), timeout=60)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return cls(sock)

    @classmethod
    def unix(cls, path: str) -> Self:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(60)
        sock.connect(path)
        return cls(sock)

    def call(self, *args: str | bytes | int) -> Any:
        self.sock.sendall(encode(*args))
        return self.reply()

    def pipeline(self, commands: list[bytes]) -> list[Any]:
        self.sock.sendall(b"".join(commands))
        return [self.reply() for _ in commands]

    def reply(self) -> Any:
        line = self._file.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"$":
            if rest == b"-1":
                return None
            return self._file.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self.reply() for _ in range(int(rest))]
        if kind == b":":
            return int(rest)
        if kind == b"-":
            raise ServerError(rest.decode())
        return rest

    def close(self) -> None:
        self._file.close()
        self.sock.close()
