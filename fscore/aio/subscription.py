"""A subscription that connects again whenever its connection ends.

It has a connection of its own, because messages would come between the replies to reads and writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import TYPE_CHECKING, cast

from fscore._fscore import ReconnectBackoff
from fscore.aio.transport import keep_alive, open_transport, tls_context
from fscore.connection.endpoint import Endpoint
from fscore.connection.subscriber import Subscriber
from fscore.errors import FscoreError, Unavailable

if TYPE_CHECKING:
    from fscore.config import RedisSettings

# After this many seconds without a message the subscription sends PING. After as many more without
# an answer it ends the connection.
_QUIET = 5.0


class Subscription:
    """Calls `heard` when something is published on a channel, for as long as it runs.

    Several messages may be one call. `heard` is also called each time that the server confirms the
    subscription on a new connection, because messages that were published before it are lost.
    """

    def __init__(
        self, endpoint: Endpoint, settings: RedisSettings, channel: str, heard: Callable[[], None]
    ) -> None:
        self._endpoint = endpoint
        self._channel = channel
        self._heard = heard
        self._username, self._password = settings.credentials()
        self._client_name = settings.client_name
        self._patience = settings.connect_timeout
        self._tls = tls_context(settings) if endpoint.tls else None
        self._tls_name = settings.tls_server_name or endpoint.host
        self.fault: str | None = "the first connection is being made"
        """Why no messages arrive now; None while the subscription works."""

    async def run(self) -> None:
        """Keep the subscription until this is cancelled."""
        backoff = ReconnectBackoff()
        while True:
            link = _Link(self._subscriber(), self._heard)
            ready_at = None
            try:
                await self._subscribe(link)
                ready_at, self.fault = monotonic(), None
                backoff.ready()
                await self._listen(link)
            except TimeoutError:
                self.fault = f"{self._endpoint} did not answer in time"
            except Exception as error:
                # Nobody awaits this task, so an error that ended it would go unnoticed.
                foreseen = isinstance(error, OSError | FscoreError)
                self.fault = (str(error) if foreseen else repr(error)) or type(error).__name__
            finally:
                link.abort()
            now = monotonic()
            if ready_at is None:
                backoff.failed(now)
            else:
                backoff.lost(ready_at, link.has_heard, now)
            await asyncio.sleep(backoff.pause(now))

    def _subscriber(self) -> Subscriber:
        return Subscriber(
            self._channel,
            username=self._username,
            password=self._password,
            client_name=self._client_name,
        )

    async def _subscribe(self, link: _Link) -> None:
        async with asyncio.timeout(self._patience):
            loop = asyncio.get_running_loop()
            await open_transport(loop, link, self._endpoint, self._tls, self._tls_name)
            await asyncio.wait([link.subscribed, link.ended], return_when=asyncio.FIRST_COMPLETED)
            if link.ended.done():
                link.ended.result()

    async def _listen(self, link: _Link) -> None:
        """Wait for the end of the connection, and raise its reason."""
        while True:
            link.silent = True
            done, _ = await asyncio.wait([link.ended], timeout=_QUIET)
            if done:
                link.ended.result()
            if link.silent and link.asked:
                raise Unavailable(f"{self._endpoint} is silent")
            link.asked = link.silent
            if link.asked:
                link.ask()


class _Link(asyncio.Protocol):
    """One connection of the subscription."""

    def __init__(self, subscriber: Subscriber, heard: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self.subscribed: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        """Set to the reason when the connection ends, as an exception; it never has a result."""
        self.silent = True
        self.asked = False
        self.has_heard = False
        """Whether anything arrived since the server confirmed the subscription."""
        self._subscriber = subscriber
        self._heard = heard
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        keep_alive(transport.get_extra_info("socket"))
        self._transport.write(self._subscriber.greeting)

    def data_received(self, data: bytes) -> None:
        self.silent = False
        try:
            news = self._subscriber.receive(data)
        except FscoreError as error:
            self._end(error)
            return
        if not self._subscriber.subscribed:
            return
        if self.subscribed.done():
            self.has_heard = True
        else:
            self.subscribed.set_result(None)
        if news:
            self._heard()

    def connection_lost(self, error: Exception | None) -> None:
        self._end(
            Unavailable(f"the connection ended: {error}" if error else "the connection ended")
        )

    def ask(self) -> None:
        """Send PING, so that the server answers if it is there."""
        if self._transport is not None:
            self._transport.write(self._subscriber.ping())

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()
        for future in (self.subscribed, self.ended):
            future.cancel()

    def _end(self, reason: FscoreError) -> None:
        if not self.ended.done():
            self.ended.set_exception(reason)
            # Nobody may be waiting for it, and asyncio would log an exception nobody retrieved.
            self.ended.exception()
