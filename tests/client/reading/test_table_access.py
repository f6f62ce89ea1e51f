"""What a feature table gives by name and by row: columns, rows, join keys."""

from __future__ import annotations

import operator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from fscore import (
    Entity,
    FeatureNotFound,
    FeatureService,
    FeatureView,
    Int64,
    InvalidArgument,
    InvalidValue,
    MissingValues,
    Registry,
    Status,
)
from tests.client.driver import Driver
from tests.client.every_status import VALUES

DTYPES: dict[str, Any] = {
    "whole": np.int64,
    "double": np.float64,
    "single": np.float32,
    "flag": np.bool_,
    "at": "datetime64[ms]",
    "at_s": "datetime64[ms]",
    "vector": np.float32,
}
NOTHING: dict[str, Any] = {
    "whole": 0,
    "double": np.nan,
    "single": np.nan,
    "flag": False,
    "at": np.datetime64("NaT"),
    "at_s": np.datetime64("NaT"),
    "vector": [np.nan] * 3,
}
"""What stands under a mask; None for types that NumPy does not have."""
FILLS: dict[str, tuple[Any, Any]] = {
    "whole": (0, 0),
    "double": (-1, -1.0),
    "single": (0.25, 0.25),
    "flag": (False, False),
    "text": ("none", "none"),
    "raw": (b"", b""),
    "at": (datetime(2020, 1, 1, tzinfo=UTC), 1_577_836_800_000),
    "at_s": (np.datetime64("2020-01-01"), 1_577_836_800_000),
    "numbers": ([], []),
    "words": (["x"], ["x"]),
    "vector": ([0, 0.5, 1], [0, 0.5, 1]),
}
"""For each feature what to fill with, and what is found then."""
WRONG: dict[str, Any] = {
    "whole": 0.5,
    "double": "0",
    "single": 1e300,
    "flag": 0,
    "text": b"",
    "raw": "",
    "at": datetime(2020, 1, 1),
    "at_s": "now",
    "numbers": 0,
    "words": [0],
    "vector": [1, 2],
}


def missing_rows(name: str) -> list[int]:
    return [status for status in list(Status)[1:] if (name, status) != ("raw", Status.INVALID)]


def expected(name: str, missing: Any) -> Any:
    """The column of a feature whose missing values are `missing`."""
    cells = [missing if row in missing_rows(name) else VALUES[name] for row in range(6)]
    if name in DTYPES:
        if name.startswith("at"):
            cells = [np.datetime64(cell, "ms") for cell in cells]
        return np.array(cells, dtype=DTYPES[name])
    column = np.empty(6, dtype=object)
    column[:] = cells
    return column


@pytest.mark.parametrize("name", VALUES)
def test_what_is_missing_is_never_a_value(every_status: Any, name: str) -> None:
    if name in ("whole", "flag"):
        with pytest.raises(MissingValues) as caught:
            every_status.column(name)
        error = caught.value
        assert (error.feature, error.row, error.count) == (name, 1, 5)
        assert f"feature {name} has no value in 5 of 6 rows, first in row 1, which is NULL" in str(
            error
        )
        zero = "0" if name == "whole" else "False"
        assert 'missing="mask"' in str(error)
        assert f"missing={zero} " in str(error)
    else:
        for found in (
            every_status.column(name),
            every_status[name],
            every_status.column(name, missing="raise"),
        ):
            np.testing.assert_array_equal(found, expected(name, NOTHING.get(name)), strict=True)


@pytest.mark.parametrize("name", VALUES)
def test_a_mask_is_true_where_a_value_is_missing(every_status: Any, name: str) -> None:
    masked = every_status.column(name, missing="mask")
    assert type(masked) is np.ma.MaskedArray
    whole = expected(name, NOTHING.get(name))
    np.testing.assert_array_equal(masked.data, whole, strict=True)
    mask = np.zeros(masked.shape, dtype=bool)
    mask[missing_rows(name)] = True
    np.testing.assert_array_equal(masked.mask, mask, strict=True)


@pytest.mark.parametrize("name", VALUES)
def test_missing_values_are_filled_with_a_value_of_the_type(every_status: Any, name: str) -> None:
    fill, found = FILLS[name]
    column = every_status.column(name, missing=fill)
    np.testing.assert_array_equal(column, expected(name, found), strict=True)
    assert type(column) is np.ndarray
    with pytest.raises(InvalidValue, match=f"missing= for feature {name} ") as caught:
        every_status.column(name, missing=WRONG[name])
    assert caught.value.feature == name
    for null in (None, np.datetime64("NaT")):
        if name in ("whole", "flag"):
            with pytest.raises(InvalidValue, match=f"missing= for feature {name} must be "):
                every_status.column(name, missing=null)
        else:
            found = every_status.column(name, missing=null)
            np.testing.assert_array_equal(found, every_status.column(name), strict=True)


def test_a_filled_list_is_its_rows_own(every_status: Any) -> None:
    column = every_status.column("numbers", missing=[])
    column[1].append(1)
    assert column[2] == []


def test_a_default_is_a_value(every_status: Any) -> None:
    for name, default in (("level", 7), ("vip", True)):
        with pytest.raises(MissingValues, match=r"1 of 6 rows, first in row 5, which is UNAVAIL"):
            every_status.column(name)
        assert every_status.column(name, missing="mask").tolist() == [default] * 5 + [None]
        assert every_status.column(name, missing=type(default)(0)).tolist() == [default] * 5 + [0]


def test_nothing_is_missing_in_no_rows(client: Any) -> None:
    table = client.prepare("overview").get([])
    for name in table.features:
        assert len(table[name]) == 0
        masked = table.column(name, missing="mask")
        assert masked.shape == masked.mask.shape == table[name].shape
    assert table["taste"].shape == (0, 3)
    assert (list(table), table[:], table.keys) == ([], [], {"customer_id": []})
    with pytest.raises(IndexError):
        table[0]


def test_an_unknown_name_is_a_key_error_with_the_nearest_names_first(customers: Any) -> None:
    table = customers.prepare(features=["region", "level", "orders"]).get([1])
    for ask in (table.__getitem__, table.column):
        with pytest.raises(FeatureNotFound, match='no feature "order"; it has orders, ') as caught:
            ask("order")
        assert isinstance(caught.value, KeyError)
        assert (caught.value.name, caught.value.suggestions) == ("order", ("orders",))
        with pytest.raises(
            FeatureNotFound, match=r'no feature ".*"; it has region, level, orders$'
        ):
            ask("x" * 100_000)
        with pytest.raises(FeatureNotFound):
            ask("\udc00")
    for wrong in (1, None, b"orders"):
        with pytest.raises(InvalidArgument, match="name of a feature is a str") as refused:
            table.column(wrong)
        assert refused.value.argument == "name"


def test_a_table_is_a_sequence_of_rows(customers: Any) -> None:
    table = customers.prepare(features=["orders", "region"]).get([0, 1, 2, 9])
    rows = [
        {"orders": 30, "region": "c0"},
        {"orders": 31, "region": "c1"},
        {"orders": 32, "region": None},
        {"orders": None, "region": None},
    ]
    assert table.to_dicts() == rows
    assert len(table) == 4
    for index in range(-4, 4):
        assert table[index] == rows[index]
    assert table[np.int64(1)] == rows[1]
    for part in (slice(1, 3), slice(None), slice(None, None, -1), slice(9, 12), slice(-1, 0, -2)):
        assert table[part] == rows[part]
    for beyond in (4, -5, 2**80, -(2**80)):
        with pytest.raises(IndexError, match="beyond the table's 4 rows"):
            table[beyond]
    for wrong in (1.0, None, b"orders", (1, 2)):
        with pytest.raises(InvalidArgument, match="a feature's name, a row's number or a slice"):
            table[wrong]
    iterator = iter(table)
    assert iter(iterator) is iterator
    assert (next(iterator), operator.length_hint(iterator)) == (rows[0], 3)
    assert list(iterator) == rows[1:]
    assert list(iterator) == []
    assert list(table) == list(table) == rows
    assert "orders" in table
    assert "order" not in table
    assert rows[0] not in table


def test_keys_are_those_that_the_caller_gave(customers: Any) -> None:
    table = customers.prepare(features=["orders"]).get(np.array([3, 1, 3]))
    assert table.keys == {"customer_id": [3, 1, 3]}
    keys = {"sku": ["b", "ä"], "customer_id": (1, 2)}
    assert list(customers.prepare("offers").get(keys).keys.items()) == [
        ("sku", ["b", "ä"]),
        ("customer_id", [1, 2]),
    ]


def test_dicts_have_keys_and_statuses_if_asked(customers: Any) -> None:
    table = customers.prepare(features=["region", "orders", "level"]).get([1, 2, 9])
    values = table.to_dicts()
    assert values[1] == {"region": None, "orders": 32, "level": 7}
    keys = [{"customer_id": user} for user in (1, 2, 9)]
    words = [("PRESENT", "PRESENT"), ("NULL", "PRESENT"), ("NOT_FOUND", "NOT_FOUND")]
    statuses = [
        {"region__status": country, "orders__status": age, "level__status": "NOT_FOUND"}
        for country, age in words
    ]
    expected: list[Any] = [keys, values, statuses]
    for with_keys in (False, True):
        for with_statuses in (False, True):
            chosen = [expected[0]] * with_keys + [values] + [statuses] * with_statuses
            found = table.to_dicts(keys=with_keys, statuses=with_statuses)
            rows = [
                [pair for part in parts for pair in part.items()]
                for parts in zip(*chosen, strict=True)
            ]
            assert [list(row.items()) for row in found] == rows


class Things(FeatureView, entity=Entity("thing", join_keys={"thing_id": Int64})):
    id: Int64


class Clashing(FeatureView, entity=Entity("row", join_keys={"id": Int64, "a__status": Int64})):
    a: Int64
    b: Int64
    b__status: Int64


def test_names_that_clash_are_refused(driver: Driver, redis_url: str) -> None:
    client = driver.connect(redis_url)
    client.apply(Registry.from_definitions([FeatureService("s", features=[Things, Clashing])]))
    keys = {"id": [1], "a__status": [2]}
    table = client.prepare("s").get({**keys, "thing_id": [3]})
    for options, message in (
        ({"keys": True}, 'two columns would have the name "id"'),
        ({"statuses": True}, 'two columns would have the name "b__status"'),
    ):
        with pytest.raises(InvalidArgument, match=message):
            table.to_dicts(**options)
    only_a = client.prepare(features=["a"]).get(keys)
    assert only_a.to_dicts(keys=True) == [{"id": 1, "a__status": 2, "a": None}]
    assert only_a.to_dicts(statuses=True) == [{"a": None, "a__status": "NOT_FOUND"}]
    with pytest.raises(InvalidArgument, match='two columns would have the name "a__status"'):
        only_a.to_dicts(keys=True, statuses=True)
