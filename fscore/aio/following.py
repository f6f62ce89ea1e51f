"""The looks that an asyncio client takes beside its calls."""

from __future__ import annotations

import asyncio
import random

from fscore._fscore import reconnect_pause
from fscore.aio.driver import Driver
from fscore.aio.subscription import Subscription
from fscore.client.core import Core
from fscore.errors import FscoreError
from fscore.versions.records import revision_key


class Following:
    """Background tasks of one client: a look while reads go on, and hearing of promotions."""

    def __init__(self, core: Core, driver: Driver) -> None:
        self._core = core
        self._driver = driver
        self._look: asyncio.Task[None] | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._subscription: Subscription | None = None

    @property
    def push_fault(self) -> str | None:
        """Why promotions are not heard of at once; None if they are, or if nobody asked for it."""
        return None if self._subscription is None else self._subscription.fault

    def follow_soon(self) -> None:
        """Look for what is new, beside a read, which does not wait for it."""
        self._core.postpone_look()
        if self._look is None or self._look.done():
            self._look = asyncio.create_task(self._quietly_refresh())

    def start_hearing(self) -> None:
        """Subscribe to promotions, for as long as the client lives."""
        self._hearing = asyncio.create_task(self._hear_of_versions())

    async def stop(self) -> None:
        """End the tasks."""
        for task in (self._hearing, self._look):
            if task is not None and not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _quietly_refresh(self) -> None:
        try:
            await self._driver.run(self._core.refreshing())
        except FscoreError:
            # The reads beside it tell what is wrong with the server; the next look comes soon.
            return

    async def _hear_of_versions(self) -> None:
        """Look which versions are read whenever somebody publishes a change of them.

        A message is only the occasion to look: it comes on another connection than the answers of
        looks that are under way, and might overtake them or be overtaken.
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
                # Before the look: a message that comes during it asks for another one.
                news.clear()
                try:
                    await driver.run(core.looking_at_versions(), core.settings.timeout)
                    failed = 0
                except FscoreError:
                    failed += 1
                    await asyncio.sleep(reconnect_pause(failed, random.random()))
                    news.set()
        finally:
            listening.cancel()
            await asyncio.wait([listening])
