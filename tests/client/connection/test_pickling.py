"""Pickling and copying of clients: they cannot be, and the error says what to do instead."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import pytest

from fscore import ClientFault, NotPicklable, RedisSettings
from tests.client.driver import Driver
from tests.client.oracle import fill


def parts(client: Any) -> list[Any]:
    """Return the client, its `versions`, and a prepared set: objects that have connections."""
    prepared = client.prepare("customer")
    # The tests' wrapper of the asyncio client is not what programs have.
    return [getattr(part, "_inner", part) for part in (client, client.versions, prepared)]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_clients_are_not_pickled(client: Any, protocol: int) -> None:
    own, versions, prepared = parts(client)
    for held in (own, versions, prepared, own.write, prepared.get, {"client": own}):
        with pytest.raises(NotPicklable, match=r"^a fscore\S+ has connections.*connect again"):
            pickle.dumps(held, protocol)


@pytest.mark.parametrize("made", [copy.copy, copy.deepcopy])
def test_clients_are_not_copied(client: Any, made: Callable[[Any], Any]) -> None:
    for part in parts(client):
        with pytest.raises(NotPicklable, match="pickled or copied") as caught:
            made(part)
        assert isinstance(caught.value, TypeError)
        assert isinstance(caught.value, ClientFault)


def test_a_process_pool_tells_the_caller(client: Any) -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        sent = pool.submit(print, parts(client)[0])
        with pytest.raises(NotPicklable, match="connect again there"):
            sent.result()


def test_settings_are_pickled_and_connect_again(
    driver: Driver, redis_url: str, client: Any
) -> None:
    fill(client, 3)
    given = driver.connect(redis_url, redis_password=None, timeout=3.0)
    settings = pickle.loads(pickle.dumps(given.settings))
    assert isinstance(settings, RedisSettings)
    assert settings == given.settings
    again = driver.connect(settings=settings)
    assert again.prepare(features=["orders"]).get([2]).column("orders").tolist() == [1_000_002]
