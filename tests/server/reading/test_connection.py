"""A worker's connection to Redis: its background work goes on after any error."""

from __future__ import annotations

import asyncio

import pytest

import fscore.aio
from fscore_server.reading.connection import State
from fscore_server.settings import ServerSettings
from fscore_server.telemetry.metrics import Metrics
from tests.client.driver import until
from tests.unforeseen import failing_once


def test_an_unforeseen_error_is_logged_once_and_does_not_end_the_following(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ServerSettings.model_validate({"redis_url": redis_url, "registry_poll": 0.01})
    monkeypatch.setattr(fscore.aio, "connect", failing_once(fscore.aio.connect))
    failures = 0

    def told() -> int:
        return sum("failed to follow" in record.message for record in caplog.records)

    async def fail() -> bool:
        nonlocal failures
        failures += 1
        raise ZeroDivisionError

    async def scenario() -> None:
        state = State(settings, Metrics([]))

        async def comes_to(*codes: str) -> None:
            def is_so() -> bool:
                return [reason["code"] for reason in state.reasons_not_ready()] == [*codes]

            await asyncio.to_thread(until, is_so)

        await state.start()
        try:
            await comes_to("registry_absent")
            assert told() == 1
            with monkeypatch.context() as broken:
                broken.setattr(state.client, "refresh", fail)
                await asyncio.to_thread(until, lambda: failures > 2)
                await comes_to("redis_unreachable")
            await comes_to("registry_absent")
            assert told() == 2
        finally:
            await state.stop()

    asyncio.run(scenario())
