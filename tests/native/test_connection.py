"""The asyncio driver's connection without a loop: bytes in and out, and the time as an argument."""

from __future__ import annotations

import gc
import os
import weakref
from typing import Any

import pytest

from fscore import errors
from fscore._fscore import Connection, ReconnectBackoff, reconnect_pause

HELLO = (
    b"%6\r\n+server\r\n+redis\r\n+version\r\n+7.0.15\r\n+proto\r\n:3\r\n+id\r\n:9\r\n"
    b"+mode\r\n+standalone\r\n+role\r\n+master\r\n"
)
GREETING = HELLO + b"+OK\r\n+OK\r\n"


class Waiter:
    """Any object will do, because the connection only hands it back."""


def _ready(now: float = 100.0, **settings: Any) -> Connection:
    connection = Connection(now, **settings)
    connection.connected(now)
    assert connection.take_output() is not None
    assert connection.receive(GREETING, now) == []
    assert connection.ready
    return connection


def test_the_handshake() -> None:
    connection = Connection(100.0, username="u", password="p", client_name="c", connect_timeout=2.0)
    assert (connection.ready, connection.is_closed, connection.protocol) == (False, False, 0)
    assert connection.next_deadline() == 102.0
    assert connection.take_output() is None
    connection.connected(100.1)
    output = connection.take_output()
    assert output is not None
    assert output.startswith(
        b"*7\r\n$5\r\nHELLO\r\n$1\r\n3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n$7\r\nSETNAME\r\n"
    )
    for index in range(len(GREETING)):
        assert connection.receive(GREETING[index : index + 1], 100.2) == []
    assert connection.ready
    assert connection.server == {
        "server": "redis",
        "version": "7.0.15",
        "mode": "standalone",
        "role": "master",
        "id": 9,
        "protocol": 3,
    }
    assert connection.next_deadline() is None
    assert "Ready" in repr(connection)


def test_replies_go_to_their_waiters() -> None:
    connection = _ready()
    one, two, three = Waiter(), Waiter(), Waiter()
    connection.submit_command(["GET", "a"], one, 101.0, 100.0)
    connection.submit_command(["LPUSH", "a", 1], two, 101.0, 100.0)
    connection.submit_pipeline([["INCR", "n"], ["NOSUCH"]], three, 101.0, 100.0)
    assert connection.in_flight == 3
    assert connection.next_deadline() == 101.0
    output = connection.take_output()
    assert output is not None and output.count(b"*") == 4
    assert connection.take_output() is None
    settled = connection.receive(b"$1\r\nx\r\n-WRONGTYPE no list\r\n:1\r\n-ERR unknown", 100.1)
    assert settled[0] == (one, b"x", None)
    waiter, result, error = settled[1]
    assert (waiter, result) == (two, None)
    assert isinstance(error, errors.ConfigError)
    assert len(settled) == 2
    ((waiter, result, error),) = connection.receive(b" command\r\n", 100.2)
    assert (waiter, result[0], error) == (three, 1, None)
    assert isinstance(result[1], errors.ConfigError)
    assert connection.in_flight == 0


def test_deadlines_and_tombstones() -> None:
    connection = _ready()
    early, late = Waiter(), Waiter()
    connection.submit_command(["GET", "a"], early, 100.5, 100.0)
    connection.submit_command(["GET", "b"], late, 101.5, 100.0)
    connection.take_output()
    assert connection.check_deadlines(100.4) == []
    ((waiter, result, error),) = connection.check_deadlines(100.5)
    assert (waiter, result) == (early, None)
    assert isinstance(error, errors.DeadlineExceeded)
    assert connection.silent_for(101.0) == pytest.approx(1.0)
    assert connection.receive(b"$1\r\na\r\n$1\r\nb\r\n", 101.0) == [(late, b"b", None)]
    assert connection.silent_for(102.0) == 0.0


def test_cancelling() -> None:
    connection = _ready()
    sent, unsent, kept = Waiter(), Waiter(), Waiter()
    first = connection.submit_command(["GET", "sent"], sent, 101.0, 100.0)
    connection.take_output()
    second = connection.submit_command(["GET", "unsent"], unsent, 101.0, 100.0)
    connection.submit_command(["GET", "kept"], kept, 101.0, 100.0)
    assert [connection.cancel(first), connection.cancel(second)] == [True, True]
    assert [connection.cancel(first), connection.cancel(99)] == [False, False]
    output = connection.take_output()
    assert output is not None and b"unsent" not in output and b"kept" in output
    assert connection.receive(b"+sent\r\n+kept\r\n", 100.1) == [(kept, "kept", None)]


def test_a_job_without_commands_is_done_at_once() -> None:
    class Future(Waiter):
        def set_result(self, result: object) -> None:
            self.result = result

    connection = _ready()
    waiter = Future()
    connection.submit_pipeline([], waiter, 101.0, 100.0)
    assert waiter.result == []
    assert connection.take_output() is None
    assert connection.next_deadline() is None


def test_the_end_tells_everybody() -> None:
    connection = _ready()
    sent, unsent = Waiter(), Waiter()
    connection.submit_command(["INCR", "a"], sent, 101.0, 100.0)
    connection.take_output()
    connection.submit_command(["INCR", "b"], unsent, 101.0, 100.0)
    settled = connection.closed(100.2)
    assert [waiter for waiter, _, _ in settled] == [sent, unsent]
    assert all(isinstance(error, errors.Unavailable) for _, _, error in settled)
    assert "is not known" in str(settled[0][2])
    assert "was not sent" in str(settled[1][2])
    assert connection.is_closed
    assert connection.closed(100.3) == []
    with pytest.raises(errors.Unavailable):
        connection.submit_command(["PING"], Waiter(), 101.0, 100.3)


def test_garbage_ends_it() -> None:
    connection = _ready()
    waiter = Waiter()
    connection.submit_command(["GET", "a"], waiter, 101.0, 100.0)
    connection.take_output()
    ((found, _, error),) = connection.receive(b"$1\r\nxyz\r\n", 100.1)
    assert found is waiter
    assert isinstance(error, errors.ProtocolError)
    assert connection.is_closed
    assert isinstance(connection.error, errors.ProtocolError)
    assert connection.receive(b"+OK\r\n", 100.2) == []


def test_a_refused_handshake() -> None:
    connection = Connection(100.0, password="wr0ng")
    waiter = Waiter()
    connection.submit_command(["GET", "a"], waiter, 101.0, 100.0)
    connection.connected(100.0)
    connection.take_output()
    settled = connection.receive(b"-WRONGPASS no\r\n-NOAUTH no\r\n-NOAUTH no\r\n", 100.1)
    ((found, _, error),) = settled
    assert found is waiter
    assert isinstance(error, errors.AuthenticationFailed)
    assert connection.is_closed
    assert isinstance(connection.error, errors.AuthenticationFailed)
    assert "wr0ng" not in str(connection.error)


def test_pushes() -> None:
    connection = _ready()
    waiter = Waiter()
    connection.submit_command(["GET", "a"], waiter, 101.0, 100.0)
    connection.take_output()
    push = b">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"
    assert connection.receive(push + b"$1\r\nx\r\n" + push, 100.1) == [(waiter, b"x", None)]
    assert connection.take_pushes() == [["invalidate", [b"k"]]] * 2
    assert connection.take_pushes() == []


def test_bounds() -> None:
    connection = _ready(max_in_flight=2)
    for _ in range(2):
        connection.submit_command(["GET", "a"], Waiter(), 101.0, 100.0)
    with pytest.raises(errors.Overloaded):
        connection.submit_command(["GET", "a"], Waiter(), 101.0, 100.0)
    connection = _ready(max_bytes_in_flight=10)
    connection.submit_command(["GET", "a" * 100], Waiter(), 101.0, 100.0)
    with pytest.raises(errors.Overloaded):
        connection.submit_command(["GET", "a"], Waiter(), 101.0, 100.0)


def test_a_wrong_argument_sends_nothing() -> None:
    connection = _ready()
    with pytest.raises(errors.InvalidArgument, match="not NoneType"):
        connection.submit_pipeline([["GET", "a"], ["GET", None]], Waiter(), 101.0, 100.0)  # type: ignore[list-item]
    assert connection.take_output() is None
    assert connection.in_flight == 0


def test_times_of_every_kind() -> None:
    connection = _ready()
    waiter = Waiter()
    connection.submit_command(["GET", "a"], waiter, float("inf"), 100.0)
    assert connection.check_deadlines(1e18) == []
    for deadline in (float("nan"), -1.0, 99.0):
        with pytest.raises(errors.DeadlineExceeded):
            connection.submit_command(["GET", "a"], Waiter(), deadline, 100.0)


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TypeError, match='no setting "pasword"'):
        Connection(0.0, pasword="x")


def test_waiters_are_let_go() -> None:
    connection = _ready()
    waiter = Waiter()
    watch = weakref.ref(waiter)
    connection.submit_command(["GET", "a"], waiter, 101.0, 100.0)
    connection.take_output()
    settled = connection.receive(b"+a\r\n", 100.1)
    del waiter, settled
    gc.collect()
    assert watch() is None


def test_a_child_process_gets_an_error() -> None:
    connection = _ready()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            connection.submit_command(["GET", "a"], Waiter(), 101.0, 100.0)
        except errors.ForkedProcess:
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_it_knows_whether_anything_was_answered() -> None:
    connection = _ready()
    assert not connection.has_answered
    connection.submit_command(["GET", "a"], Waiter(), 101.0, 100.0)
    connection.take_output()
    connection.receive(b"$1\r\n", 100.1)
    assert not connection.has_answered
    connection.receive(b"x\r\n", 100.1)
    assert connection.has_answered


def test_reconnecting_backs_off() -> None:
    backoff = ReconnectBackoff()
    assert backoff.pause(100.0) == 0.0
    # After a connection that answered something, the next dial is at once.
    backoff.ready()
    backoff.lost(100.0, True, 100.1)
    assert backoff.pause(100.1) == 0.0
    # After a dial that fails there is a pause, which counts from that dial.
    backoff.failed(100.1)
    assert 0.05 <= backoff.pause(100.1) <= 0.1
    assert 0.01 <= backoff.pause(100.14) <= 0.06
    assert backoff.pause(102.1) == 0.0
    # There is a pause too if a server ends one connection after the other.
    backoff.ready()
    backoff.lost(110.0, False, 110.1)
    assert backoff.pause(110.1) == 0.0
    backoff.lost(110.2, False, 110.3)
    assert 0.05 <= backoff.pause(110.3) <= 0.1


def test_reconnect_pauses() -> None:
    assert reconnect_pause(1, 0.0) == pytest.approx(0.05)
    assert reconnect_pause(100, 1.0) == pytest.approx(2.0)
    pauses = [reconnect_pause(attempt, 0.5) for attempt in range(1, 12)]
    assert pauses == sorted(pauses)
