"""A subscription without a socket: what it sends, and what it does with each answer."""

from __future__ import annotations

import pytest

from fscore import AuthenticationFailed, ConfigError, FscoreError, ProtocolError, Unavailable
from fscore.connection.subscriber import Subscriber

CONFIRMED = b"*3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n"
MESSAGE = b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$2\r\nhi\r\n"
PONG = b"*2\r\n$4\r\npong\r\n$0\r\n\r\n"


def subscriber(
    username: str | None = None, password: str | None = None, client_name: str | None = None
) -> Subscriber:
    return Subscriber("news", username=username, password=password, client_name=client_name)


def test_it_authenticates_names_itself_and_subscribes() -> None:
    assert subscriber().greeting == b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n"
    greeting = subscriber("ann", "é", "fscore").greeting
    assert greeting == (
        b"*3\r\n$4\r\nAUTH\r\n$3\r\nann\r\n$2\r\n\xc3\xa9\r\n"
        b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$6\r\nfscore\r\n"
        b"*2\r\n$9\r\nSUBSCRIBE\r\n$4\r\nnews\r\n"
    )
    assert subscriber(None, "p").greeting.startswith(b"*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n")
    assert Subscriber.ping() == b"*1\r\n$4\r\nPING\r\n"


def test_confirmations_and_messages_are_news_but_pongs_are_not() -> None:
    one = subscriber("ann", "p", "fscore")
    assert (one.receive(b"+OK\r\n+OK\r\n"), one.subscribed) == (False, False)
    assert (one.receive(CONFIRMED), one.subscribed) == (True, True)
    assert not one.receive(PONG)
    assert one.receive(MESSAGE)
    assert one.receive(PONG + MESSAGE + PONG + MESSAGE + PONG)
    assert not one.receive(b"")


def test_a_refused_client_name_does_not_matter() -> None:
    one = subscriber(client_name="fscore")
    assert one.receive(b"-ERR unknown subcommand 'SETNAME'\r\n" + CONFIRMED)


def test_a_stream_that_is_cut_anywhere() -> None:
    stream = b"+OK\r\n" + CONFIRMED + PONG + MESSAGE + PONG + MESSAGE
    ends = [len(b"+OK\r\n" + CONFIRMED), len(stream) - len(PONG + MESSAGE), len(stream)]
    one = subscriber(client_name="x")
    news = [at + 1 for at in range(len(stream)) if one.receive(stream[at : at + 1])]
    assert news == ends
    for cut in range(len(stream) + 1):
        one = subscriber(client_name="x")
        heard = [one.receive(stream[:cut]), one.receive(stream[cut:])]
        assert heard == [cut >= ends[0], cut < ends[2]]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"-WRONGPASS invalid username-password pair\r\n-NOAUTH x\r\n", AuthenticationFailed),
        (b"+OK\r\n-NOPERM No permissions to access a channel\r\n", ConfigError),
        (b"+OK\r\n-LOADING Redis is loading the dataset in memory\r\n", Unavailable),
        (b"+OK\r\n:1\r\n", ProtocolError),
        (b"+OK\r\n" + MESSAGE, ProtocolError),
        (b"+OK\r\n" + CONFIRMED.replace(b"news", b"olds"), ProtocolError),
        (b"+OK\r\n" + CONFIRMED + MESSAGE.replace(b"news", b"olds"), ProtocolError),
        (b"+OK\r\n" + CONFIRMED + b"*3\r\n$11\r\nunsubscribe\r\n$4\r\nnews\r\n:0\r\n", Unavailable),
        (b"+OK\r\n" + CONFIRMED + b"HTTP/1.1 400\r\n", ProtocolError),
        (
            b"+OK\r\n" + CONFIRMED + b"*3\r\n$7\r\nmessage\r\n$4\r\nnews\r\n$99999\r\n",
            ProtocolError,
        ),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_answers_that_end_it_are_raised(answer: bytes, error: type[FscoreError]) -> None:
    with pytest.raises(error):
        subscriber(password="p").receive(answer)
