"""The parent of several worker processes.

`python -m fscore_server.process.supervisor` is one of the workers.

Every worker has a listening socket of its own on the shared port, over which the kernel spreads
connections. The parent keeps the sockets open: a worker that dies is started again on the same one,
and the connections that were waiting in its queue find the new worker.

Two pipes connect parent and worker. The first is the worker's standard input. The parent sends the
settings on it, because other users could read a password on a command line, and its end tells the
worker that the parent is gone. On the second the worker reports its registry revision when it
serves, and its end tells the parent that the worker is gone.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from fscore_server.process.worker import Worker, banner, bind, run_worker
from fscore_server.settings import ServerSettings
from fscore_server.telemetry import logs
from fscore_server.telemetry.logs import LOGGER

# After so many starts in a row that ended before the worker served, another would not help.
_MOST_FAILED_STARTS = 3
_LONGEST_PAUSE = 5.0
# Seconds that a worker may take beyond its drain and grace before it is killed.
_KILL_AFTER = 5.0


def supervise(settings: ServerSettings) -> int:
    """Run `settings.workers` workers until a signal ends them, and return the exit code."""
    with tempfile.TemporaryDirectory(prefix="fscore-") as folder:
        return Supervisor(settings, Path(folder) / "metrics").run()


class Supervisor:
    """Starts workers, starts them again when they die, and ends them."""

    def __init__(self, settings: ServerSettings, metrics: Path) -> None:
        self._settings = settings
        # A second server on the same port could bind it as shared and would silently take half of
        # the first one's connections, so a plain bind checks first that the port is free.
        probe = bind(settings.host, settings.port, shared=False)
        port = probe.getsockname()[1]
        probe.close()
        self._slots = [
            _Slot(settings, Worker(number, settings.workers, metrics), port)
            for number in range(settings.workers)
        ]
        self._announce = banner(settings, self._slots[0].listener)
        self._announced = False
        self._selector = selectors.DefaultSelector()
        self._signals: list[int] = []
        self._ending_since: float | None = None

    def run(self) -> int:
        with self._caught_signals():
            for slot in self._slots:
                self._start(slot)
            while self._ending_since is None or any(slot.process for slot in self._slots):
                self._step()
        return 1 if any(slot.gave_up for slot in self._slots) else 0

    def _step(self) -> None:
        for key, _ in self._selector.select(self._next_wait()):
            if isinstance(key.data, _Slot):
                self._hear(key.data)
            else:
                with contextlib.suppress(BlockingIOError):
                    key.data.recv(4096)
        for number in self._signals:
            self._end(again=number == signal.SIGINT)
        self._signals.clear()
        now = time.monotonic()
        for slot in self._slots:
            if self._ending_since is None and slot.process is None and now >= slot.start_at:
                self._start(slot)
        settings = self._settings
        if (
            self._ending_since is not None
            and now > self._ending_since + settings.drain + settings.grace + _KILL_AFTER
        ):
            for slot in self._slots:
                slot.send(signal.SIGKILL)

    def _next_wait(self) -> float | None:
        if self._ending_since is not None:
            return 0.5
        waits = [slot.start_at - time.monotonic() for slot in self._slots if slot.process is None]
        return max(0.0, min(waits)) if waits else None

    def _start(self, slot: _Slot) -> None:
        slot.start()
        self._selector.register(slot.reports, selectors.EVENT_READ, slot)

    def _hear(self, slot: _Slot) -> None:
        report = os.read(slot.reports, 64)
        if report:
            slot.failed_starts = 0
            slot.serving = True
            if not self._announced and all(other.serving for other in self._slots):
                self._announced = True
                self._announce(int(report))
            return
        self._selector.unregister(slot.reports)
        code = slot.reap()
        if self._ending_since is not None:
            return
        LOGGER.error(
            "a worker process ended",
            extra={"fields": {"worker": slot.worker.number, "exit_code": code}},
        )
        if slot.failed_starts >= _MOST_FAILED_STARTS:
            slot.gave_up = True
            LOGGER.error("the worker does not start; ending")
            self._end(again=False)

    def _end(self, *, again: bool) -> None:
        first = self._ending_since is None
        if first:
            self._ending_since = time.monotonic()
            for slot in self._slots:
                # Closed here first, so that listening ends when the workers close their copies.
                slot.listener.close()
        for slot in self._slots:
            # A terminal's Ctrl-C reaches the workers too. A SIGTERM after it changes nothing, but a
            # second SIGINT would end them at once.
            slot.send(signal.SIGINT if again and not first else signal.SIGTERM)

    @contextlib.contextmanager
    def _caught_signals(self) -> Iterator[None]:
        reading, writing = socket.socketpair()
        reading.setblocking(False)
        writing.setblocking(False)

        def note(number: int, _frame: FrameType | None) -> None:
            self._signals.append(number)

        # Without the wake-up socket, a signal just before `select` would wait for the next event.
        previous_fd = signal.set_wakeup_fd(writing.fileno())
        previous = {
            number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)
        }
        self._selector.register(reading, selectors.EVENT_READ, reading)
        try:
            yield
        finally:
            signal.set_wakeup_fd(previous_fd)
            for number, handler in previous.items():
                signal.signal(number, handler)
            self._selector.close()
            reading.close()
            writing.close()


class _Slot:
    """One slot for a worker: its socket, and its process, if it runs."""

    def __init__(self, settings: ServerSettings, worker: Worker, port: int) -> None:
        self._settings = settings
        self.worker = worker
        self.listener = bind(settings.host, port, shared=True)
        self.process: subprocess.Popen[bytes] | None = None
        self.reports = -1
        self.serving = False
        self.failed_starts = 0
        self.start_at = 0.0
        self.gave_up = False

    def start(self) -> None:
        self.serving = False
        # Counts as failed until the worker reports that it serves.
        self.failed_starts += 1
        self.reports, reports_writer = os.pipe()
        listener = self.listener.fileno()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "fscore_server.process.supervisor",
                str(listener),
                str(reports_writer),
            ],
            stdin=subprocess.PIPE,
            pass_fds=(listener, reports_writer),
        )
        os.close(reports_writer)
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            pickle.dump((self._settings, self.worker), process.stdin)
            process.stdin.flush()
        self.process = process

    def send(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)

    def reap(self) -> int:
        assert self.process is not None
        code = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        os.close(self.reports)
        self.process = None
        self.serving = False
        pause = 0.0 if self.failed_starts <= 1 else 0.1 * 2**self.failed_starts
        self.start_at = time.monotonic() + min(pause, _LONGEST_PAUSE)
        return code


def main(listener: int, reports: int) -> int:
    """Run one worker process; the arguments are file descriptors."""
    # Until the server handles SIGINT, it would end the process with a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings, worker = pickle.load(sys.stdin.buffer)
    logs.configure(settings.log_level, settings.log_format, worker=worker.number)

    def ready(revision: int) -> None:
        os.write(reports, b"%d" % revision)

    return run_worker(
        settings,
        worker,
        socket.socket(fileno=listener),
        ready=ready,
        lifeline=sys.stdin.fileno(),
    )


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
