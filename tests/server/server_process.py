"""The server as its users run it: a process of its own, observed through its log and its port."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import Any, Self

import httpx

from tests.client.driver import PATIENCE

_PROGRAM = """
import json, sys
from fscore_server.process.run import run
from fscore_server.settings import ServerSettings
sys.exit(run(ServerSettings(**json.loads(sys.argv[1]))))
"""


class ServerProcess:
    """Serves while its block runs. `log` has every line so far, parsed.

    Beside settings it takes an `environment`: variables that libraries other than fscore read.
    """

    def __init__(self, redis_url: str, **settings: Any) -> None:
        self._environment = {**os.environ, **settings.pop("environment", {})}
        # Tests of deadlines bring their own; the default of 50 ms is short for a busy machine.
        patient = {"port": 0, "request_timeout_ms": 10_000}
        self.settings = {"redis_url": redis_url, **patient, **settings}
        self.log: list[dict[str, Any]] = []
        self.raw_log: list[str] = []
        self.url = ""
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()

    def start(self) -> Self:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, json.dumps(self.settings)],
            stderr=subprocess.PIPE,
            env=self._environment,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = str(self.wait_for("serves at")["url"])
        self.client = self.new_client()
        return self

    def new_client(self) -> httpx.Client:
        """Return a client that has no connections yet."""
        # It gives an idle connection up before the server does, if only after a second: of two
        # that do so at the same time, the client would lose its request.
        limits = httpx.Limits(keepalive_expiry=0.5)
        return httpx.Client(base_url=self.url, timeout=PATIENCE, limits=limits)

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.raw_log.append(line)
            try:
                entry = json.loads(line)
            except ValueError:
                # A line of the interpreter's own traceback; tests find it in raw_log.
                continue
            self.log.append(entry)
            self._lines.put(entry)
        self._lines.put(None)

    def wait_for(self, message: str, timeout: float = PATIENCE) -> dict[str, Any]:
        """Wait for the next line whose message contains this text, and return it parsed."""
        while True:
            try:
                entry = self._lines.get(timeout=timeout)
            except queue.Empty:
                entry = None
            if entry is None:
                raise AssertionError(f"no {message!r} in the log:\n{''.join(self.raw_log)}")
            if message in entry["message"]:
                return entry

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def pause(self) -> None:
        """Suspend the process; when this returns, no thread of it runs. SIGCONT resumes it."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def wait(self, timeout: float = PATIENCE) -> int:
        """Wait until the process has ended and its whole log is read; return the exit code."""
        code = self.process.wait(timeout)
        self._reader.join(timeout)
        return code

    def stop(self) -> int:
        """End the process as an orchestrator does, and return its exit code."""
        self.client.close()
        if self.process.poll() is None:
            self.signal(signal.SIGTERM)
        try:
            code = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        assert self.process.stderr is not None
        self.process.stderr.close()
        return code

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of all series with this name and these labels."""
        total = 0.0
        wanted = [f'{key}="{value}"' for key, value in labels.items()]
        for line in self.client.get("/metrics").text.splitlines():
            series, _, value = line.rpartition(" ")
            if series.partition("{")[0] == name and all(label in series for label in wanted):
                total += float(value)
        return total
