"""Answers that stop anywhere: values that arrived are right, all others are UNAVAILABLE."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.client.driver import PATIENCE, Driver
from tests.client.partial import read_in_part
from tests.client.proxy import FaultProxy
from tests.shop import REGISTRY, wide_registry

POSITIONS = 9
UNAVAILABLE = 5


def check_part(part: Any, whole: Any) -> int:
    """Compare a part with the whole value by value; return how many values arrived."""
    there = part.statuses != UNAVAILABLE
    assert np.array_equal(part.statuses[there], whole.statuses[there])
    for row, (found, expected) in enumerate(zip(part.to_dicts(), whole.to_dicts(), strict=True)):
        for column, name in enumerate(part.features):
            assert found[name] == (expected[name] if there[row, column] else None)
    assert all(there[row].any() for row, _, _ in part.problems)
    return int(there.sum())


@pytest.mark.parametrize("resp3", [True, False], ids=["resp3", "resp2"])
@pytest.mark.parametrize("service", ["one", "all"])
def test_one_entity(
    driver: Driver, proxy: FaultProxy, redis_url: str, witness: Any, service: str, resp3: bool
) -> None:
    driver.connect(redis_url).apply(wide_registry(30))
    for row in range(6):
        fields = {f"f{n}": "x" if (row, n) == (2, 0) else f"{n}" for n in range(row, 30)}
        witness.hset(f"row:{{{row}}}:v1", mapping=fields)
    witness.delete("row:{4}:v1")
    witness.set("row:{4}:v1", "no hash")
    client = driver.connect(proxy.url, registry_poll=3600, prefer_resp3=resp3)
    prepared = client.prepare(service)
    rows = list(range(8))
    before = proxy.passed
    whole = prepared.get(rows, timeout=PATIENCE)
    length = proxy.passed - before
    counts = []
    for step in range(POSITIONS):
        part = read_in_part(driver, prepared, rows, proxy, 1 + step * length // POSITIONS, length)
        counts.append(0 if part is None else check_part(part, whole))
        assert check_part(prepared.get(rows, timeout=PATIENCE), whole) == whole.statuses.size
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[-1] < whole.statuses.size
    # A row arrives whole or not at all.
    assert all(count % whole.shape[1] == 0 for count in counts)


def test_several_entities(driver: Driver, proxy: FaultProxy, redis_url: str, witness: Any) -> None:
    direct = driver.connect(redis_url)
    direct.apply(REGISTRY)
    customers, skus = [1, 1, 2, 3], ["a", "b", "a", "b"]
    direct.write("customer", [{"customer_id": customer, "orders": customer} for customer in (1, 2)])
    direct.write("stock", [{"sku": sku, "cost": 1.5, "left": 9} for sku in "ab"])
    direct.write("affinity", {"customer_id": customers, "sku": skus, "likes": [1, 2, 3, 4]})
    prepared = driver.connect(proxy.url, registry_poll=3600).prepare("offers")
    keys = {"customer_id": customers, "sku": skus}
    before = proxy.passed
    whole = prepared.get(keys, timeout=PATIENCE)
    length = proxy.passed - before
    counts = []
    for step in range(POSITIONS):
        part = read_in_part(driver, prepared, keys, proxy, 1 + step * length // POSITIONS, length)
        counts.append(0 if part is None else check_part(part, whole))
        # Late bytes have passed before the next answer is counted.
        assert check_part(prepared.get(keys, timeout=PATIENCE), whole) == whole.statuses.size
    assert counts == sorted(counts)
    assert len(set(counts)) > 4
