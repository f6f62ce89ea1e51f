"""A server that misbehaves on purpose: it runs a scripted scene for each connection."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

Scene = Callable[[socket.socket], None]


class Peer:
    """Runs `scenes` in turn, one per connection; the last one serves all later connections."""

    def __init__(self, *scenes: Scene) -> None:
        self._scenes = list(scenes)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # Closing alone does not wake a thread that is blocked in a socket call.
        for waiting in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                waiting.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            scene = self._scenes[min(self.connections, len(self._scenes) - 1)]
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._play, args=(scene, connection), daemon=True)
            self._threads.append(thread)
            thread.start()

    @staticmethod
    def _play(scene: Scene, connection: socket.socket) -> None:
        try:
            scene(connection)
        except OSError:
            pass
        finally:
            connection.close()


def greet(connection: socket.socket) -> None:
    """Answer the handshake like a server that only speaks RESP2."""
    _read_commands(connection, 3)
    connection.sendall(b"-ERR unknown command 'HELLO'\r\n+OK\r\n+OK\r\n")
    _read_commands(connection, 2)
    connection.sendall(b"+OK\r\n+OK\r\n")


def answer(reply: bytes) -> Scene:
    """Greet, answer everything with `reply`, and wait until the client closes."""

    def scene(connection: socket.socket) -> None:
        greet(connection)
        while connection.recv(65536):
            connection.sendall(reply)

    return scene


def hang_up(reply: bytes = b"") -> Scene:
    """Greet, answer the first command with `reply`, and close."""

    def scene(connection: socket.socket) -> None:
        greet(connection)
        connection.recv(65536)
        connection.sendall(reply)

    return scene


def _read_commands(connection: socket.socket, count: int) -> None:
    received = b""
    while received.count(b"*") < count or not received.endswith(b"\r\n"):
        data = connection.recv(65536)
        if not data:
            raise ConnectionError
        received += data
