"""Feature tables without their client: pickled, copied, compared, in another process."""

from __future__ import annotations

import copy
import multiprocessing
import operator
import pickle
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
import pytest

from fscore import FscoreError, InvalidValue
from tests.client.every_status import VALUES, keys
from tests.event_times import RECENT_MS


def test_a_pickled_table_is_equal_and_needs_no_client(every_status: Any) -> None:
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        restored = pickle.loads(pickle.dumps(every_status, protocol))
        assert restored is not every_status
        assert restored == every_status
    assert restored.to_dicts() == every_status.to_dicts()
    assert restored.features == every_status.features
    assert restored.types == every_status.types
    assert restored.keys == every_status.keys == keys(6)
    assert restored.problems == every_status.problems != []
    assert (restored.version, restored.pointer, restored.invalid, restored.unknown_schemas) == (
        *(
            every_status.version,
            every_status.pointer,
            every_status.invalid,
            every_status.unknown_schemas,
        ),
    )
    np.testing.assert_array_equal(restored.statuses, every_status.statuses)
    np.testing.assert_array_equal(restored.event_times, every_status.event_times)
    assert restored.to_json(timestamps=True) == every_status.to_json(timestamps=True)
    assert repr(restored) == repr(every_status)
    for name in VALUES:
        masked = restored.column(name, missing="mask")
        np.testing.assert_array_equal(masked, every_status.column(name, missing="mask"))


def test_no_rows_are_pickled_too(client: Any) -> None:
    table = client.prepare("overview").get([])
    assert pickle.loads(pickle.dumps(table)) == table


def test_copies_are_equal(every_status: Any) -> None:
    for copied in (
        copy.copy(every_status),
        copy.deepcopy(every_status),
        copy.deepcopy([every_status])[0],
    ):
        assert copied == every_status
        assert copied.to_dicts() == every_status.to_dicts()


def test_a_table_goes_to_another_process_and_back(customers: Any) -> None:
    table = customers.prepare("overview").get([0, 9])
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(operator.methodcaller("to_dicts"), table).result() == table.to_dicts()
        assert pool.submit(copy.copy, table).result() == table


def test_tables_are_equal_if_all_that_they_say_is(customers: Any, witness: Any) -> None:
    prepared = customers.prepare(features=["orders", "rating"])
    witness.hset("user:{1}:v1", "rating", "nan")
    table = prepared.get([0, 1, 9])
    assert table == prepared.get([0, 1, 9])
    assert table != prepared.get([0, 9, 1])
    assert table != prepared.get([0, 1, 8])
    assert table != customers.prepare(features=["rating", "orders"]).get([0, 1, 9])
    assert table != prepared.get([0, 1, 9], version=2)
    assert table != table.to_dicts()
    customers.write("customer", [{"customer_id": 0, "orders": 30}], event_time=RECENT_MS + 1)
    assert table != prepared.get([0, 1, 9])
    with pytest.raises(TypeError, match="unhashable"):
        hash(table)


def test_damaged_bytes_are_an_error_of_ours(every_status: Any) -> None:
    again, (data,) = every_status.__reduce__()
    assert again(data) == every_status
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        for damaged in (bytes(flipped), data[:place]):
            with pytest.raises(FscoreError, match="cannot be unpickled"):
                again(damaged)
    with pytest.raises(InvalidValue, match="damaged or cut off"):
        again(data + b"\0")
    with pytest.raises(InvalidValue, match="not a table"):
        again(b"")
    with pytest.raises(InvalidValue, match="format 2, and this release of fscore reads format 1"):
        again(data[:8] + b"\2\0" + data[10:])
