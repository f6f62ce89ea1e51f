"""Background tasks by which an asyncio client follows definitions and promotions."""

from __future__ import annotations

import asyncio
import logging
import random

from fscore._fscore import reconnect_pause
from fscore.aio.driver import Driver
from fscore.aio.subscription import Subscription
from fscore.client.core import Core
from fscore.errors import FscoreError
from fscore.versions.records import revision_key

_LOGGER = logging.getLogger("fscore")


class Following:
    """The background tasks of one client: looks beside its reads, and a subscription to promotions.

    `follow_soon` and `start_hearing` start them, `stop` ends them.
    """

    def __init__(self, core: Core, driver: Driver) -> None:
        self._core = core
        self._driver = driver
        self._look: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None
        self._fault: str | None = None
        """What ended the last look, unless it is a fault of the server, which reads raise."""

    @property
    def push_fault(self) -> str | None:
        """Why the subscription to promotions does not work; None if it does, or was not started."""
        return None if self._subscription is None else self._subscription.fault or self._fault

    def follow_soon(self) -> None:
        """Start a look for new definitions and versions; reads do not wait for it.

        Raises WrongEventLoop.
        """
        self._driver.node.require_loop()
        self._core.postpone_look()
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._quietly_refresh())

    def start_hearing(self) -> None:
        """Subscribe to promotions, for as long as the client lives."""
        self._hearing = asyncio.create_task(self._hear_of_versions())

    async def stop(self) -> None:
        """Cancel the tasks, and wait for their end."""
        for task in (self._hearing, self._look):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _quietly_refresh(self) -> None:
        try:
            await self._driver.run(self._core.refreshing())
            self._fault = None
        except Exception as error:
            self._note(error)

    async def _hear_of_versions(self) -> None:
        """Look which versions services read whenever a change is published.

        A message arrives on another connection than the replies of looks, and may overtake them or
        be overtaken. So its content is not used: it only starts a look.
        """
        core, driver = self._core, self._driver
        news = asyncio.Event()
        self._subscription = Subscription(
            core.endpoint, core.settings, revision_key(core.prefix), news.set
        )
        listening = asyncio.create_task(self._subscription.run())
        failed = 0
        try:
            while True:
                await news.wait()
                # A message that arrives during the look needs another look, so this comes before.
                news.clear()
                try:
                    await driver.run(core.looking_at_versions(), core.settings.timeout)
                    failed, self._fault = 0, None
                except Exception as error:
                    self._note(error)
                    failed += 1
                    await asyncio.sleep(reconnect_pause(failed, random.random()))
                    news.set()
        finally:
            listening.cancel()
            await asyncio.wait([listening])

    def _note(self, error: Exception) -> None:
        """Log an error, once, that would go unnoticed because nobody awaits the tasks."""
        if isinstance(error, FscoreError):
            # Reads raise what is wrong with the server, and the next look comes soon.
            return
        fault = f"a look at definitions and versions failed: {error!r}"
        if fault != self._fault:
            _LOGGER.error(fault, exc_info=error)
        self._fault = fault
