"""Server processes of the HTTP comparison, and the CPU that they use."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

# Feast needs several seconds to start, and far more on a busy machine.
START_SECONDS = 90.0
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class HttpServer:
    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """Return the user and system CPU seconds of the process and all its descendants."""
        return sum(_cpu_ticks(pid) for pid in _tree(self.pid)) / TICKS

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, bytes, int]:
        """Send one request; return the status, the body, and the size of the whole response."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        headers = {"Content-Type": "application/json"} if body else {}
        connection.request(method, path, body or None, headers)
        response = connection.getresponse()
        answer = response.read()
        connection.close()
        size = len(f"HTTP/1.1 {response.status} {response.reason}\r\n\r\n") + len(answer)
        size += sum(len(f"{name}: {value}\r\n") for name, value in response.getheaders())
        return response.status, answer, size


@contextlib.contextmanager
def serving(
    name: str,
    command: list[str],
    port: int,
    probe: str,
    environment: Mapping[str, str] | None = None,
) -> Iterator[HttpServer]:
    """Start a server, wait until it answers `probe` with 200, and end it after the block."""
    with tempfile.TemporaryFile() as log:
        folder = Path(__file__).parents[2]
        whole = {**os.environ, **(environment or {})}
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=whole)
        try:
            server = HttpServer(name, port, process.pid)
            _wait(server, process, probe, log.fileno())
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(server: HttpServer, process: subprocess.Popen[bytes], probe: str, log: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    status: object = "no answer"
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            status, *_ = server.ask("GET", probe)
            if status == 200:
                return
        time.sleep(0.05)
    said = os.pread(log, 4000, 0).decode(errors="replace")
    raise SystemExit(f"{server.name} does not answer {probe} ({status}); it said:\n{said}")


def _tree(pid: int) -> list[int]:
    """Return the ids of the process and its descendants."""
    found = [pid]
    for parent in found:
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def _cpu_ticks(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])
