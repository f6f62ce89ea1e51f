"""Both drivers behind one interface, so that a test is written once for both.

A driver's clients look like the blocking client. The methods of the asyncio client run on an event
loop in a thread of its own, which keeps running between calls, as it does in a server.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any

import uvloop

import fscore
import fscore.aio
from fscore.aio.driver import Driver as AioDriver
from fscore.aio.versions import Versions

DRIVERS = ("blocking", "asyncio")
PATIENCE = 60.0
"""Seconds after which a call that should have ended long ago fails its test."""


class Driver:
    """Connects clients, makes calls in the background, and closes all clients at the end."""

    name: str

    def __init__(self) -> None:
        self._clients: list[Any] = []

    def connect(self, url: str | None = None, **overrides: Any) -> Any:
        """Return a client, which is closed at the end of the test."""
        client = self._connect(url, overrides)
        self._clients.append(client)
        return client

    def start(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        """Begin a call in the background and return its future."""
        raise NotImplementedError

    def all(self, calls: list[Future[Any]]) -> list[Any]:
        """Wait for these calls and return their results; an error is returned, not raised."""
        return [call.exception(PATIENCE) or call.result() for call in calls]

    def close(self) -> None:
        """Close every client, and the driver's own loop and thread if it has them."""
        for client in self._clients:
            client.close()
        self._clients.clear()

    def _connect(self, url: str | None, overrides: dict[str, Any]) -> Any:
        raise NotImplementedError


class BlockingDriver(Driver):
    name = "blocking"

    def _connect(self, url: str | None, overrides: dict[str, Any]) -> Any:
        return fscore.connect(url, **overrides)

    def start(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        future: Future[Any] = Future()

        def run() -> None:
            try:
                future.set_result(call(*arguments, **named))
            except BaseException as error:
                future.set_exception(error)

        threading.Thread(target=run, daemon=True).start()
        return future


class AsyncioDriver(Driver):
    name = "asyncio"

    def __init__(self) -> None:
        super().__init__()
        self.loop = uvloop.new_event_loop()
        self.unhandled: list[dict[str, Any]] = []
        self.loop.set_exception_handler(lambda _, context: self.unhandled.append(context))
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def submit(self, coroutine: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run a coroutine on the loop; cancelling the returned future cancels it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.submit(coroutine).result(PATIENCE)

    def _connect(self, url: str | None, overrides: dict[str, Any]) -> Any:
        async def connect() -> Any:
            return await fscore.aio.connect(url, **overrides)

        return _OnLoop(self, self.run(connect()))

    def start(self, call: Callable[..., Any], *arguments: Any, **named: Any) -> Future[Any]:
        # Tests pass only methods of this driver's clients, which are `_Method`s.
        return call.begin(*arguments, **named)  # type: ignore[attr-defined]

    def close(self) -> None:
        super().close()
        self.run(self._cancel_rest())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE)
        self.loop.close()
        assert self.unhandled == []

    async def _cancel_rest(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


class _OnLoop:
    """A client or prepared handle of the asyncio driver, called from outside the loop."""

    def __init__(self, driver: AsyncioDriver, inner: Any) -> None:
        self._driver = driver
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        member = getattr(self._inner, name)
        if isinstance(member, Versions | AioDriver):
            return _OnLoop(self._driver, member)
        return _Method(self._driver, member) if inspect.iscoroutinefunction(member) else member

    def __repr__(self) -> str:
        return repr(self._inner)


class _Method:
    """Makes a blocking method of a coroutine method."""

    def __init__(self, driver: AsyncioDriver, function: Callable[..., Any]) -> None:
        self._driver = driver
        self._function = function

    def begin(self, *arguments: Any, **named: Any) -> Future[Any]:
        return self._driver.submit(self._function(*arguments, **named))

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        result = self.begin(*arguments, **named).result(PATIENCE)
        if isinstance(result, fscore.aio.Prepared):
            return _OnLoop(self._driver, result)
        return result


def make_driver(name: str) -> Driver:
    """Return a new driver: "blocking" or "asyncio"."""
    return BlockingDriver() if name == "blocking" else AsyncioDriver()


def until(condition: Callable[[], bool]) -> None:
    """Poll a condition until it holds; for work that happens beside the calls of a test."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)
