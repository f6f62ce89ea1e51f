"""The connection of a worker process to Redis, and whether the worker is ready."""

from __future__ import annotations

import asyncio
import contextlib
import random

import fscore.aio
from fscore.errors import ConfigError, FscoreError, Unavailable
from fscore.registry import Registry
from fscore_server.problems import RETRY_AFTER, Problem
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.logs import LOGGER
from fscore_server.telemetry.metrics import Metrics

_FIRST_WAIT = 0.05
_LONGEST_WAIT = 2.0


class State:
    """Connects, keeps the definitions current, and says whether requests can be answered."""

    def __init__(self, settings: ServerSettings, metrics: Metrics) -> None:
        self.settings = settings
        self.draining = False
        self._metrics = metrics
        self._client: fscore.aio.Client | None = None
        self._fault: str | None = "the first connection to Redis is being made"
        self._follower: asyncio.Task[None] | None = None
        self._push_fault: str | None = None

    @property
    def client(self) -> fscore.aio.Client:
        """The client. Raises `Unavailable` until the first connection is made."""
        if self._client is None:
            raise Unavailable(f"not connected to Redis: {self._fault}")
        return self._client

    @property
    def revision(self) -> int:
        """The revision of the definitions being served; 0 while there are none."""
        return 0 if self._client is None else self._client.revision

    @property
    def registry(self) -> Registry | None:
        """The definitions being served, if there are any."""
        return None if self._client is None or self.revision == 0 else self._client.registry

    @property
    def versions(self) -> dict[str, int]:
        """The data version that this worker reads for each feature service."""
        return {} if self._client is None else self._client.current_versions

    def defined_client(self) -> fscore.aio.Client:
        """Return the client. Raises `registry_absent` if there are no definitions to serve."""
        client = self._client or self.client
        if client.revision == 0:
            raise Problem(
                "registry_absent",
                "No feature definitions have been applied to this store; run `fscore apply`.",
                headers=[RETRY_AFTER],
            )
        return client

    def reasons_not_ready(self) -> list[dict[str, str]]:
        """Return why the worker is not ready, as codes and details; empty if it is."""
        reasons = []
        if self.draining:
            reasons.append({"code": "shutting_down", "detail": "the server is shutting down"})
        if self._fault is not None:
            reasons.append({"code": "redis_unreachable", "detail": self._fault})
        elif self.revision == 0:
            reasons.append(
                {"code": "registry_absent", "detail": "no definitions applied; run `fscore apply`"}
            )
        return reasons

    async def start(self) -> None:
        """Connect. If Redis cannot be reached, the server starts, but is not ready."""
        connected = asyncio.Event()
        self._follower = asyncio.create_task(self._follow(connected), name="fscore-follow-registry")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.startup_wait):
                await connected.wait()

    async def stop(self) -> None:
        """End the background work and close the connection."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower
        if self._client is not None:
            await self._client.close()

    async def _follow(self, connected: asyncio.Event) -> None:
        """Connect, then poll once per interval for new definitions and promotions.

        Requests also notice a new revision. The poll serves a worker that gets no requests, and
        promotions while the subscription is down.
        """
        await self._connect()
        connected.set()
        while True:
            # A little early, so that Redis has answered when the interval is over.
            await asyncio.sleep(0.9 * self.settings.registry_poll)
            try:
                async with asyncio.timeout(self.settings.timeout):
                    await self.client.refresh()
            except Exception as error:
                # Nobody awaits this task, so an error that ended it would go unnoticed.
                self._note_fault(error)
            else:
                self._note_health()
            self._note_push()

    async def _connect(self) -> None:
        wait = _FIRST_WAIT
        while True:
            try:
                self._client = await fscore.aio.connect(settings=self.settings.redis)
            except Exception as error:
                self._note_fault(error)
            else:
                self._note_health()
                return
            # Jitter keeps the workers of many servers from reconnecting at the same time.
            await asyncio.sleep(random.uniform(wait / 2, wait))
            wait = min(2 * wait, _LONGEST_WAIT)

    def _note_fault(self, error: Exception) -> None:
        # Anybody can read a probe's answer, so it says only the kind of the fault. Addresses and
        # users go to the log.
        foreseen = isinstance(error, FscoreError | TimeoutError)
        if not foreseen:
            fault = "the server failed to follow the definitions"
        elif isinstance(error, ConfigError):
            fault = "Redis refuses the server's commands"
        else:
            fault = "Redis cannot be reached"
        if fault != self._fault:
            cause = str(error) or ("no answer in time" if foreseen else type(error).__name__)
            LOGGER.warning(
                fault, extra={"fields": {"cause": cause}}, exc_info=None if foreseen else error
            )
        self._fault = fault

    def _note_health(self) -> None:
        if self._fault is not None:
            LOGGER.info("connected to Redis", extra={"fields": {"revision": self.revision}})
        self._fault = None
        self._metrics.revision(self.revision)

    def _note_push(self) -> None:
        fault = self.client.push_fault
        if fault is None:
            if self._push_fault is not None:
                LOGGER.info("subscribed to promotions again")
        elif fault != self._push_fault:
            LOGGER.warning(
                "the subscription to promotions is down; polling for them",
                extra={"fields": {"cause": fault, "seconds": self.settings.registry_poll}},
            )
        self._push_fault = fault
