"""The embedded Valkey: how it is started, shared, found again, and never left running."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from fscore.errors import ConfigError, Unavailable
from fscore_server.process import embedded
from fscore_server.process.embedded import Running
from tests.client.driver import PATIENCE, until


def command(running: Running, *words: str) -> bytes:
    family = socket.AF_UNIX if running.socket else socket.AF_INET
    with socket.socket(family) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(running.socket or ("127.0.0.1", running.port))
        parts = "".join(f"${len(word.encode())}\r\n{word}\r\n" for word in words)
        connection.sendall(f"*{len(words)}\r\n{parts}".encode())
        return connection.recv(1 << 16)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@contextmanager
def owner_process(folder: Path, *, temporary: bool = False) -> Iterator[subprocess.Popen[str]]:
    """Another process that starts the embedded server and waits to be told to stop it."""
    program = (
        "import sys; from fscore_server.process import embedded\n"
        f"with embedded.start({str(folder)!r}, owner='serve', temporary={temporary}) as server:\n"
        "    print(server.running.pid, flush=True)\n"
        "    sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_it_starts_persists_and_stops_cleanly(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        folder = tmp_path / "valkey"
        assert server.owned
        assert server.url == f"unix://{folder}/valkey.sock"
        assert server.announcement == (
            f"embedded Valkey started: data in {folder} (AOF every second),"
            f" redis-cli -s {folder}/valkey.sock"
        )
        assert embedded.find(tmp_path) == server.running
        assert command(server.running, "SET", "key", "value") == b"+OK\r\n"
        settings = command(server.running, "CONFIG", "GET", "append*")
        assert b"everysec" in settings
        assert b"yes" in settings
        pid = server.running.pid
    assert not is_alive(pid)
    assert embedded.find(tmp_path) is None
    assert not (folder / "valkey.sock").exists()
    assert not (folder / "embedded.json").exists()
    with embedded.start(tmp_path) as server:
        assert command(server.running, "GET", "key") == b"$5\r\nvalue\r\n"


def test_nobody_else_may_enter_its_folder_or_its_socket(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        assert (tmp_path / "valkey").stat().st_mode & 0o077 == 0
        assert server.running.socket is not None
        assert Path(server.running.socket).stat().st_mode & 0o077 == 0


def test_a_second_start_joins_the_first(tmp_path: Path) -> None:
    with embedded.start(tmp_path, owner="serve") as first:
        with embedded.start(tmp_path, owner="load", temporary=True) as second:
            assert not second.owned
            assert second.running == first.running
            assert "found (run by `fscore serve`)" in second.announcement
        assert command(first.running, "PING") == b"+PONG\r\n"


def test_it_ends_with_a_killed_owner_and_what_was_written_is_there_afterwards(
    tmp_path: Path,
) -> None:
    with owner_process(tmp_path) as owner:
        pid = int(first_line(owner))
        running = embedded.find(tmp_path)
        assert running is not None
        assert running.pid == pid
        command(running, "SET", "key", "value")
        owner.send_signal(signal.SIGKILL)
        # A killed process keeps its lock until its last thread has ended.
        until(lambda: not is_alive(pid) and embedded.find(tmp_path) is None)
    with embedded.start(tmp_path) as server:
        assert server.owned
        assert command(server.running, "GET", "key") == b"$5\r\nvalue\r\n"


def test_leftovers_of_a_killed_server_are_cleared_away(tmp_path: Path) -> None:
    server = embedded.start(tmp_path)
    command(server.running, "SET", "key", "value")
    # The append-only file is written before each reply, so killing the process loses nothing.
    os.kill(server.running.pid, signal.SIGKILL)
    until(lambda: embedded.find(tmp_path) is None)
    assert (tmp_path / "valkey" / "valkey.sock").exists()
    assert (tmp_path / "valkey" / "embedded.json").exists()
    with embedded.start(tmp_path) as after:
        assert after.owned
        assert command(after.running, "GET", "key") == b"$5\r\nvalue\r\n"
        # The owner of the dead server must not remove the files of the running one.
        server.stop()
        assert embedded.find(tmp_path) == after.running
        assert command(after.running, "PING") == b"+PONG\r\n"


def test_a_torn_append_only_file_is_read_up_to_the_tear(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        command(server.running, "SET", "key", "value")
        command(server.running, "SET", "other", "value")
    log = max((tmp_path / "valkey" / "appendonlydir").glob("*.incr.aof"))
    log.write_bytes(log.read_bytes()[:-3])
    with embedded.start(tmp_path) as server:
        assert command(server.running, "GET", "key") == b"$5\r\nvalue\r\n"
        assert command(server.running, "EXISTS", "other") == b":0\r\n"


def test_a_folder_that_the_server_cannot_read_is_one_line(tmp_path: Path) -> None:
    with embedded.start(tmp_path) as server:
        command(server.running, "SET", "key", "value")
    (tmp_path / "valkey" / "appendonlydir" / "appendonly.aof.manifest").write_text("rubbish\n")
    with pytest.raises(Unavailable, match="ended while it started") as caught:
        embedded.start(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "valkey" / "valkey.log") in str(caught.value)
    assert embedded.find(tmp_path) is None


def test_many_starts_at_once_share_one_server(tmp_path: Path) -> None:
    program = (
        "import sys; from fscore_server.process import embedded\n"
        f"server = embedded.start({str(tmp_path)!r}, owner='serve')\n"
        "print(server.running.pid, int(server.owned), flush=True)\n"
        "sys.stdin.readline(); server.stop()\n"
    )

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    processes = [start() for _ in range(4)]
    with ThreadPoolExecutor() as pool:
        answers = [line.split() for line in pool.map(first_line, processes)]
    assert len({pid for pid, _ in answers}) == 1
    assert [owned for _, owned in answers].count("1") == 1
    for process in processes:
        process.communicate("\n")
        assert process.returncode == 0
    assert embedded.find(tmp_path) is None


def test_a_lasting_command_does_not_build_on_a_temporary_server(tmp_path: Path) -> None:
    with owner_process(tmp_path, temporary=True) as owner:
        first_line(owner)
        with pytest.raises(Unavailable, match=r"is in use by `fscore serve` \(pid"):
            embedded.start(tmp_path, owner="serve", timeout=0.2)
        owner.communicate("\n")
        with embedded.start(tmp_path, owner="serve") as server:
            assert server.owned


def test_a_temporary_server_waits_for_who_joined_it(tmp_path: Path) -> None:
    with owner_process(tmp_path, temporary=True) as owner:
        pid = int(first_line(owner))
        with embedded.start(tmp_path, owner="get", temporary=True) as joined:
            assert owner.stdin is not None
            owner.stdin.write("\n")
            owner.stdin.flush()
            assert command(joined.running, "PING") == b"+PONG\r\n"
            assert is_alive(pid)
        owner.wait(PATIENCE)
        assert not is_alive(pid)


def test_a_long_path_gets_a_port_in_place_of_a_socket(tmp_path: Path) -> None:
    long = tmp_path / ("d" * 100)
    with embedded.start(long) as server:
        assert server.running.socket is None
        assert server.url == f"redis://127.0.0.1:{server.running.port}"
        assert server.redis_cli == f"redis-cli -p {server.running.port}"
        assert command(server.running, "PING") == b"+PONG\r\n"


def test_odd_characters_in_the_path(tmp_path: Path) -> None:
    from fscore.connection.endpoint import parse_url

    with embedded.start(tmp_path / 'a "quoted"\né%41 # folder') as server:
        assert parse_url(server.url).path == server.running.socket
        assert command(server.running, "PING") == b"+PONG\r\n"


def test_a_data_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file")
    with pytest.raises(ConfigError, match=r"cannot create the data folder .* set FSCORE_DATA_DIR"):
        embedded.start(tmp_path / "data")


def test_the_data_folder_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FSCORE_DATA_DIR", raising=False)
    assert embedded.data_folder() == tmp_path / "data" / "valkey"
    monkeypatch.setenv("FSCORE_DATA_DIR", str(tmp_path / "other"))
    assert embedded.data_folder() == tmp_path / "other" / "valkey"
