"""Reads whose reply stops somewhere, so that they end by their deadline with a part of it."""

from __future__ import annotations

import time
from typing import Any

from fscore import DeadlineExceeded
from tests.client.driver import PATIENCE, Driver, until
from tests.client.proxy import FaultProxy


def read_in_part(
    driver: Driver,
    prepared: Any,
    keys: Any,
    proxy: FaultProxy,
    position: int,
    length: int,
    timeout: float = 0.1,
) -> Any:
    """Return the result of a read whose reply of `length` bytes stops at `position`, or None.

    None means that the read raised DeadlineExceeded. The bytes must arrive in the first quarter of
    the timeout, so that the client has surely read them by its end; otherwise the machine is too
    busy for this timeout, and the read is repeated with a longer one.
    """
    requests, passed, began = proxy.requests, proxy.passed, time.monotonic()
    connected = proxy.connected
    proxy.pass_bytes(position)
    reading = driver.start(prepared.get, keys, timeout=timeout)
    until(lambda: reading.done() or proxy.passed >= passed + position)
    in_time = time.monotonic() - began < timeout / 4
    try:
        part = reading.result(PATIENCE)
    except DeadlineExceeded:
        part = None
    finally:
        proxy.release()
    # What comes late is behind before the next answer is counted, or its connection was given up.
    until(
        lambda: (
            proxy.requests == requests
            or proxy.passed >= passed + length
            or proxy.connected < connected
        )
    )
    if in_time:
        return part
    return read_in_part(driver, prepared, keys, proxy, position, length, 2 * timeout)
