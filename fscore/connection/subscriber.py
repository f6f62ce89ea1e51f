"""The protocol of one subscription to one channel, without its socket.

It speaks RESP2: every server knows that without HELLO, confirms a subscription by a reply, and
sends messages as arrays. A connection for commands cannot be used, because it matches each reply to
a command, and messages answer no command.
"""

from __future__ import annotations

from fscore._fscore import ReplyParser
from fscore.errors import ProtocolError, Unavailable

_LONGEST_MESSAGE = 1 << 16


class Subscriber:
    """The client's side of one subscribed connection.

    Send `greeting` when the socket is connected, and give all received bytes to `receive`, cut
    anywhere. If that raises an error, end the connection.
    """

    def __init__(
        self, channel: str, *, username: str | None, password: str | None, client_name: str | None
    ) -> None:
        self._parser = ReplyParser(max_length=_LONGEST_MESSAGE)
        self._channel = channel.encode()
        self._subscribed = False
        commands: list[tuple[str, ...]] = []
        if password is not None:
            commands.append(("AUTH", *((username,) if username else ()), password))
        if client_name:
            commands.append(("CLIENT", "SETNAME", client_name))
        self._unanswered = [words[0] for words in commands]
        self._greeting = b"".join(_encoded(*words) for words in (*commands, ("SUBSCRIBE", channel)))

    @property
    def greeting(self) -> bytes:
        """The bytes to send first: credentials, the client's name, and SUBSCRIBE."""
        return self._greeting

    @property
    def subscribed(self) -> bool:
        """Whether the server has confirmed the subscription; from then on no message is missed."""
        return self._subscribed

    def receive(self, data: bytes) -> bool:
        """Take bytes from the server; return whether they had the confirmation or a message.

        Raises the server's error reply, or ProtocolError if an answer is not expected.
        """
        self._parser.feed(data)
        news = False
        for reply in self._parser:
            answered = self._unanswered.pop(0) if self._unanswered else None
            # The client's name is only for people, so a refusal does not end the subscription.
            if isinstance(reply, Exception) and answered != "CLIENT":
                raise reply
            if answered is None:
                news |= self._heard(reply)
        return news

    @staticmethod
    def ping() -> bytes:
        """Return the bytes of a PING, to ask whether the server is there."""
        return _encoded("PING")

    def _heard(self, reply: object) -> bool:
        match reply:
            case [b"subscribe", channel, int()] if channel == self._channel:
                self._subscribed = True
                return True
            case [b"message", channel, _] if channel == self._channel and self._subscribed:
                return True
            case [b"pong", _]:
                return False
            case [b"unsubscribe", *_]:
                raise Unavailable("the server has ended the subscription")
        raise ProtocolError(f"the subscription to {self._channel!r} was answered {reply!r:.200}")


def _encoded(*words: str) -> bytes:
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%b\r\n" % (len(data), data))
    return b"".join(parts)
