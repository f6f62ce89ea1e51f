"""One subscription to one channel, without its socket: bytes in, bytes out, what was heard.

It speaks RESP2, in which a subscription is confirmed by a reply and messages are arrays like any
other: that is enough on every server, and needs no greeting. It is a protocol of its own because a
connection that carries commands matches each reply to one, and messages answer none.
"""

from __future__ import annotations

from fscore._fscore import ReplyParser
from fscore.errors import ProtocolError, Unavailable

_LONGEST_MESSAGE = 1 << 16


class Subscriber:
    """A new connection's part of the talk.

    `greeting` is sent once the socket is connected; `receive` takes every piece of bytes, however
    cut. An error reply, or bytes that make no sense, are raised, and the connection is over.
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
        """What to send first: who this is, and what it wants to hear."""
        return self._greeting

    @property
    def subscribed(self) -> bool:
        """Whether the server has confirmed the subscription: nothing is missed from then on."""
        return self._subscribed

    def receive(self, data: bytes) -> bool:
        """Take bytes of the server; whether there is news: the confirmation, or a message."""
        self._parser.feed(data)
        news = False
        for reply in self._parser:
            answered = self._unanswered.pop(0) if self._unanswered else None
            # Its name is for people: one that the server does not take keeps nobody from listening.
            if isinstance(reply, Exception) and answered != "CLIENT":
                raise reply
            if answered is None:
                news |= self._heard(reply)
        return news

    @staticmethod
    def ping() -> bytes:
        """Return what asks the server whether it is there; its answer is no news."""
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
