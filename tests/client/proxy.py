"""A TCP proxy between a client and its server that misbehaves on demand.

Requests always pass. A test says what happens to the replies:

    proxy.hold()             replies wait until `release`; `hold_these`: on open connections only
    proxy.pass_bytes(100)    that many bytes of replies pass, the rest is held
    proxy.cut_after(100)     that many bytes pass, then every connection ends
    proxy.inject(b"…")       these bytes go out before the next reply
    proxy.greet_only()       connections end as soon as the server has greeted
    proxy.cut(), refuse(), accept()

`wait_for_request` returns once a request has reached the proxy, so no test has to sleep.
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from typing import Self

from tests.client.driver import PATIENCE


class FaultProxy:
    """Listens on a free port of loopback while its block runs."""

    def __init__(self, port: int) -> None:
        self._upstream = ("127.0.0.1", port)
        self._changed = threading.Condition()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._threads: list[threading.Thread] = []
        self._budget: int | None = None  # bytes of replies that may pass; None means all
        self._cut_when_spent = False
        self._held: list[socket.socket] = []
        self._injected = b""
        self._refusing = False
        self._greeting_only = False
        self._closing = False
        self.requests = 0
        """Pieces of requests received so far."""
        self.passed = 0
        """Bytes of replies that went to clients so far."""
        self.connections = 0
        """Connections accepted so far."""

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def connected(self) -> int:
        """Connections that are open now."""
        with self._changed:
            return len(self._pairs)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._accepting = self._spawn(self._accept)
        return self

    def __exit__(self, *_error: object) -> None:
        with self._changed:
            self._closing = True
        # Wakes the thread that waits in accept.
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
            pass
        self._accepting.join(PATIENCE)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE)

    # What a test asks of the proxy

    def hold(self) -> None:
        """Hold all replies from now on."""
        self.pass_bytes(0)

    def hold_these(self) -> None:
        """Hold replies on the connections that are open now; later connections are not affected."""
        with self._changed:
            self._held = [client for client, _ in self._pairs]

    def release(self) -> None:
        """Let replies pass again, the held ones first."""
        with self._changed:
            self._budget, self._cut_when_spent, self._held = None, False, []
            self._changed.notify_all()

    def pass_bytes(self, count: int) -> None:
        """Let this many bytes of replies pass and hold the rest."""
        with self._changed:
            self._budget, self._cut_when_spent = count, False
            self._changed.notify_all()

    def cut_after(self, count: int) -> None:
        """Let this many bytes of replies pass, then end all connections; later ones are served."""
        with self._changed:
            self._budget, self._cut_when_spent = count, True
            self._changed.notify_all()

    def inject(self, data: bytes) -> None:
        """Send these bytes before the next reply."""
        with self._changed:
            self._injected = data

    def cut(self) -> None:
        """End all connections, as a killed server does."""
        with self._changed:
            pairs, self._pairs = self._pairs, []
            self._changed.notify_all()
        for pair in pairs:
            _end(*pair)

    def refuse(self) -> None:
        """End all connections, and each new one as soon as it is accepted."""
        with self._changed:
            self._refusing = True
        self.cut()

    def greet_only(self) -> None:
        """End all connections, and each new one once its first replies have passed."""
        self._greeting_only = True
        self.cut()

    def accept(self) -> None:
        """Serve new connections again, after `refuse` or `greet_only`."""
        self._refusing = self._greeting_only = False

    def wait_for_request(self, after: int) -> None:
        """Wait until more than this many pieces of requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.requests > after, PATIENCE)

    def wait_for_connection(self, after: int) -> None:
        """Wait until more than this many connections were made."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.connections > after, PATIENCE)

    # How the proxy does it

    def _spawn(self, target: Callable[..., None], *arguments: object) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    def _accept(self) -> None:
        while True:
            client, _ = self._listener.accept()
            with self._changed:
                self.connections += 1
                self._changed.notify_all()
                if self._closing:
                    client.close()
                    return
            if self._refuses():
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._upstream, timeout=PATIENCE)
            except OSError:
                _reset(client)
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._changed:
                # `refuse` may have come meanwhile, and did not see this connection.
                if not self._refuses():
                    self._pairs.append((client, server))
            if self._is_gone(client):
                _end(client, server)
                continue
            self._spawn(self._requests, client, server)
            self._spawn(self._replies, client, server)

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                # Counted first, so that a test that has the answer finds its request counted.
                with self._changed:
                    self.requests += 1
                    self._changed.notify_all()
                server.sendall(data)
        self._drop(client, server)

    def _replies(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                while data:
                    piece, cut = self._admitted(data, client)
                    data = data[len(piece) :]
                    with self._changed:
                        piece, self._injected = self._injected + piece, b""
                        self.passed += len(piece)
                    client.sendall(piece)
                    if cut:
                        self.release()
                        self.cut()
                        return
                if self._greeting_only:
                    break
        self._drop(client, server)

    def _admitted(self, data: bytes, client: socket.socket) -> tuple[bytes, bool]:
        """Return the part of `data` that may pass now, and whether all connections end after it."""
        with self._changed:
            self._changed.wait_for(lambda: self._may_pass(client) or self._is_gone(client))
            if self._is_gone(client):
                raise ConnectionAbortedError
            if self._budget is None:
                return data, False
            piece = data[: self._budget]
            self._budget -= len(piece)
            return piece, self._cut_when_spent and self._budget == 0

    def _refuses(self) -> bool:
        return self._refusing

    def _may_pass(self, client: socket.socket) -> bool:
        return self._budget != 0 and all(held is not client for held in self._held)

    def _is_gone(self, client: socket.socket) -> bool:
        return all(pair[0] is not client for pair in self._pairs)

    def _drop(self, client: socket.socket, server: socket.socket) -> None:
        with self._changed:
            self._pairs = [pair for pair in self._pairs if pair[0] is not client]
            self._changed.notify_all()
        _end(client, server)


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


def _reset(one: socket.socket) -> None:
    # A linger time of 0 makes close send RST, as a port does on which nobody listens.
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    one.close()
