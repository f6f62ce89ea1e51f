"""Sources and mappings: their JSON form, and the errors for wrong ones."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fscore
from fscore import EventSource, count, distinct, ever, first, latest, mean
from fscore.model.mapping import FeatureMapping, cell_text
from fscore.types import DataType
from tests.definitions.conftest import Problems


@pytest.mark.parametrize(
    ("mapping", "json"),
    [
        (latest("a"), {"op": "latest", "column": "a", "where": {}}),
        (first("a"), {"op": "first", "column": "a", "where": {}}),
        (count(), {"op": "count", "column": None, "where": {}}),
        (ever(), {"op": "ever", "column": None, "where": {}}),
        (distinct("a"), {"op": "distinct", "column": "a", "where": {}}),
        (fscore.sum("a"), {"op": "total", "column": "a", "where": {}}),
        (mean("a"), {"op": "mean", "column": "a", "where": {}}),
        (fscore.min("a"), {"op": "smallest", "column": "a", "where": {}}),
        (fscore.max("a"), {"op": "largest", "column": "a", "where": {}}),
        (
            count(where={"event": "purchase", "amount": [2, 1.5], "test": False, "coupon": None}),
            {
                "op": "count",
                "column": None,
                "where": {
                    "amount": ["1.5", "2"],
                    "coupon": [None],
                    "event": ["purchase"],
                    "test": ["false"],
                },
            },
        ),
        (
            count(where={"event": {"b", None, "a", ""}}),
            {"op": "count", "column": None, "where": {"event": [None, "a", "b"]}},
        ),
    ],
)
def test_the_json_form(mapping: FeatureMapping, json: dict[str, Any]) -> None:
    assert mapping.to_json() == json
    assert FeatureMapping.from_json(json) == mapping
    filled = DataType({"ever": "Bool", "mean": "Float64"}.get(mapping.name, "Int64"))
    assert FeatureMapping.from_json(json).problems(filled) == []


@given(
    st.dictionaries(
        st.text(min_size=1),
        st.lists(st.none() | st.text() | st.booleans() | st.integers() | st.floats(), min_size=1),
    )
)
def test_conditions_are_canonical(where: dict[str, list[Any]]) -> None:
    mapping = count(where=where)
    assert FeatureMapping.from_json(mapping.to_json()).to_json() == mapping.to_json()
    turned = {column: [*reversed(values), *values] for column, values in reversed(where.items())}
    assert count(where=turned).to_json() == mapping.to_json()


@given(st.none() | st.text())
def test_a_cells_text_is_its_own(text: str | None) -> None:
    assert cell_text(text) == (text or None)


@pytest.mark.parametrize(
    ("mapping", "spelling", "says"),
    [
        ("latest(5)", "String", "latest() needs the name of a column, not 5"),
        ("distinct('')", "Int64", "distinct() needs the name of a column, not ''"),
        ("count(where='purchase')", "Int64", "where must be a dict of column to value or values"),
        ("count(where={5: 'a'})", "Int64", "where needs names of columns, not 5"),
        ("count(where={'event': []})", "Int64", "where['event'] lists no value"),
        ("count(where={'event': [b'a']})", "Int64", "where['event'] compares with text"),
        ("count(where={'event': {'eq': 1}})", "Int64", "where['event'] compares with text"),
        ("count()", "String", "count() cannot fill a String"),
        ("distinct('a')", "Bool", "distinct() cannot fill a Bool"),
        ("fscore.sum('')", "Int64", "sum() needs the name of a column, not ''"),
        ("fscore.sum('a')", "Timestamp", "sum() cannot fill a Timestamp: the type must be one of"),
        ("mean('a')", "Int64", "mean() cannot fill a Int64: the type must be Float64"),
        ("fscore.max('a')", "Bytes", "max() cannot fill a Bytes"),
        ("fscore.min('a')", "List[Int64]", "min() cannot fill a List[Int64]"),
    ],
)
def test_a_wrong_mapping_is_reported(
    problems: Problems, mapping: str, spelling: str, says: str
) -> None:
    found = problems(
        f"class V(FeatureView, entity=user, source=clicks):\n    age: {spelling} = {mapping}\n"
    )
    assert len(found) == 1, found
    assert found[0].startswith("features.py:6: V.age: ")
    assert says in found[0]


@pytest.mark.parametrize(
    "data",
    [
        None,
        [],
        {},
        {"op": "count", "column": None},
        {"op": "count", "column": "a", "where": {}},
        {"op": "median", "column": "a", "where": {}},
        {"op": ["count"], "column": None, "where": {}},
        {"op": "latest", "column": None, "where": {}},
        {"op": "latest", "column": "a", "where": []},
        {"op": "latest", "column": "a", "where": {"b": [[]]}},
    ],
)
def test_json_that_is_not_a_mapping_is_reported(data: Any) -> None:
    assert len(FeatureMapping.from_json(data).problems(DataType("Int64"))) == 1


def test_a_sources_json_form() -> None:
    source = EventSource(
        "clicks", event_time="at", timestamp_format="%Y-%m-%d", keys={"user_id": "uid"}
    )
    data = {
        "kind": "file",
        "name": "clicks",
        "event_time": "at",
        "timestamp_format": "%Y-%m-%d",
        "keys": {"user_id": "uid"},
    }
    assert source.to_json() == data
    assert EventSource.from_json(data) == source
    assert source.columns_of(["user_id", "shop"]) == {"user_id": "uid", "shop": "shop"}
    with pytest.raises(ValueError, match=r'a source has .* is of kind "file"'):
        EventSource.from_json({**data, "kind": "kafka"})


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ('"my clicks", event_time="at"', "'my clicks' is not a valid name for a source"),
        ('"s", event_time=""', "event_time must name a column, not ''"),
        ('"s", event_time="at", timestamp_format="ISO"', "timestamp_format must be a strptime"),
        ('"s", event_time="at", timestamp_format=1', "timestamp_format must be a strptime"),
        ('"s", event_time="at", keys=["user_id"]', "keys must be a dict of join key to column"),
        ('"s", event_time="at", keys={"user_id": 1}', "keys must be a dict of join key to column"),
        ('"s", event_time="at", keys={"uid": "user_id"}', "keys names uid, which no entity"),
    ],
)
def test_a_wrong_source_is_reported(problems: Problems, arguments: str, says: str) -> None:
    found = problems(
        f"s = EventSource({arguments})\n"
        "class V(FeatureView, entity=user, source=s):\n    a: Int64\n"
    )
    assert len(found) == 1, found
    assert found[0].startswith("features.py:7: V: source ")
    assert says in found[0]


@pytest.mark.parametrize("pattern", [None, "unix", "unix_ms", "%d.%m.%Y %H:%M"])
def test_timestamp_formats(pattern: str | None) -> None:
    source = EventSource("s", event_time="at", timestamp_format=pattern)
    assert source.problems() == []
