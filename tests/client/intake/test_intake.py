"""Every form of columns, given to every call, means the same."""

from __future__ import annotations

import datetime as dt
from typing import Any, Literal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from fscore import (
    Bool,
    Bytes,
    Entity,
    EventSource,
    Feature,
    FeatureService,
    FeatureView,
    Float32,
    Float64,
    Int64,
    InvalidKeys,
    InvalidValue,
    List,
    Registry,
    RequestView,
    String,
    Timestamp,
    Vector,
    evaluate,
    latest,
    request,
)
from fscore import functions as fn
from tests.client.intake.forms import FORMS, arrow_table, polars_frame
from tests.event_times import RECENT_MS

user = Entity("user", join_keys={"user_id": Int64})
member = Entity("member", join_keys={"member_id": String, "number": Int64})
events = EventSource("events", event_time="at", timestamp_format="unix_ms")


class Everything(FeatureView, entity=user, source=events):
    whole: Int64 = latest("whole")
    wide: Float64 = latest("wide")
    narrow: Float32 = latest("narrow")
    flag: Bool = latest("flag")
    text: String = latest("text")
    octets: Bytes = latest("octets")
    at_ms: Timestamp = latest("at_ms")
    at_s: Timestamp[Literal["s"]] = latest("at_s")
    numbers: List[Int64] = latest("numbers")
    texts: List[String] = latest("texts")
    times: List[Timestamp] = latest("times")
    vector: Vector[Literal[3]] = latest("vector")


class Members(FeatureView, entity=member):
    level: Int64


class Asked(RequestView, entity=user, request={"amount": Float64, "since": Timestamp}):
    doubled: Float64 = Feature(request["amount"] * 2)
    waited: Int64 = Feature(request.now - request["since"])


REGISTRY = Registry.from_definitions(
    [
        FeatureService("everything", features=[Everything]),
        FeatureService("asked", features=[Asked]),
        Members,
    ]
)
TYPES = {feature.name: str(feature.type) for feature in REGISTRY.views["everything"].features}

AT = dt.datetime(2024, 1, 2, 3, 4, 5, 678_000, dt.UTC)
COLUMNS: dict[str, list[Any]] = {
    "whole": [-(2**53), None, 7],
    "wide": [0.5, -1e300, None],
    "narrow": [0.25, None, -1.5],
    "flag": [True, None, False],
    "text": ["é☕", None, "x"],
    "octets": [b"\x00\xff", b"", None],
    "at_ms": [AT, None, dt.datetime(1960, 1, 1, 0, 0, 0, 1_000, dt.UTC)],
    "at_s": [None, AT.replace(microsecond=0), dt.datetime(1999, 1, 1, tzinfo=dt.UTC)],
    "numbers": [[1, -(2**63)], None, []],
    "texts": [["a,b", '"'], [], None],
    "times": [[AT], None, []],
    "vector": [[0.5, 1.0, -2.0], None, [0.0, 0.0, 0.0]],
}
IDS = [1, 2, 3]


@pytest.fixture
def client(client: Any) -> Any:
    """A client whose server has these definitions."""
    client.apply(REGISTRY, allow_unsafe=True)
    return client


def stored(witness: Any) -> dict[bytes, dict[bytes, bytes]]:
    """Return every row without its event time, and empty the server's rows."""
    rows = {}
    for key in witness.keys("user:*"):
        rows[key] = witness.hgetall(key)
        assert rows[key].pop(b"_ts:everything")
        witness.delete(key)
    return rows


@pytest.mark.parametrize("form", FORMS)
def test_a_write_stores_the_same_bytes(client: Any, witness: Any, form: str) -> None:
    columns: dict[str, list[Any]] = {"user_id": IDS, **COLUMNS}
    types = {"user_id": "Int64", **TYPES}
    client.write("everything", FORMS["dicts"](columns, types))
    expected = stored(witness)
    assert len(expected) == 3
    client.write("everything", FORMS[form](columns, types))
    assert stored(witness) == expected


@pytest.mark.parametrize("form", FORMS)
def test_a_push_stores_the_same_bytes(client: Any, witness: Any, form: str) -> None:
    columns: dict[str, list[Any]] = {"user_id": IDS, "at": [RECENT_MS] * 3, **COLUMNS}
    types = {"user_id": "Int64", "at": "Int64", **TYPES}
    written = {name: values for name, values in columns.items() if name != "at"}
    client.write("everything", FORMS["dicts"](written, types))
    expected = stored(witness)
    client.push("events", FORMS[form](columns, types))
    assert stored(witness) == expected


# An iterator ends, and a read may have to be sent again.
LASTING = [form for form in FORMS if form != "generators"]


@pytest.mark.parametrize("form", LASTING)
def test_a_read_takes_its_keys_in_every_form(client: Any, form: str) -> None:
    client.write("everything", {"user_id": IDS, "whole": [10, 20, 30]})
    client.write("members", {"member_id": ["a", "b"], "number": [1, 2], "level": [5, 6]})
    prepared = client.prepare(features=["everything:whole"])
    keys = FORMS[form]({"user_id": [3, 9, 1]}, {"user_id": "Int64"})
    assert prepared.get(keys).to_dicts() == [{"whole": 30}, {"whole": None}, {"whole": 10}]
    pairs: dict[str, list[Any]] = {"member_id": ["b", "a"], "number": [2, 1]}
    keys = FORMS[form](pairs, {"member_id": "String", "number": "Int64"})
    assert client.prepare(entity="member").get(keys).to_dicts() == [{"level": 6}, {"level": 5}]
    assert client.delete("members", FORMS[form](pairs, {"member_id": "String", "number": "Int64"}))


@pytest.mark.parametrize("form", LASTING)
def test_request_inputs_come_in_every_form(client: Any, form: str) -> None:
    given: dict[str, list[Any]] = {"amount": [1.5, None], "since": [AT, None]}
    brought = FORMS[form](given, {"amount": "Float64", "since": "Timestamp"})
    table = client.prepare("asked").get([1, 2], request=brought, as_of=AT)
    assert table.to_dicts() == [
        {"doubled": 3.0, "waited": 0},
        {"doubled": None, "waited": None},
    ]


def computed(name: str) -> Any:
    """Return an expression with one value for each row of a column."""
    feature = getattr(Everything, name)
    return fn.length(feature) if TYPES[name].startswith(("List", "Vector", "Bytes")) else feature


@pytest.mark.parametrize("form", FORMS)
def test_evaluate_reads_the_same_values(form: str) -> None:
    for name in TYPES:
        values, statuses = evaluate(computed(name), FORMS[form](COLUMNS, TYPES))
        expected, known = evaluate(computed(name), {name: COLUMNS[name]})
        assert repr(values.tolist()) == repr(expected.tolist())
        assert statuses.tolist() == known.tolist()
        assert [status == 1 for status in statuses] == [value is None for value in COLUMNS[name]]


def test_a_frame_may_have_more_columns_than_its_join_keys(client: Any) -> None:
    client.write("everything", {"user_id": IDS, "whole": [10, 20, 30]})
    frame = pd.DataFrame({"label": [0, 1], "user_id": [2, 3]})
    prepared = client.prepare(features=["everything:whole"])
    expected = [{"whole": 20}, {"whole": 30}]
    assert prepared.get(frame).to_dicts() == expected
    assert prepared.get(frame.set_index("user_id")).to_dicts() == expected
    assert prepared.get(pl.from_pandas(frame)).to_dicts() == expected
    assert prepared.get(frame["user_id"]).to_dicts() == expected
    # In a dict or a list of dicts each name was written for this call, so another is a mistake.
    for keys in ({"user_id": [2], "label": [0]}, [{"user_id": 2, "label": 0}]):
        with pytest.raises(InvalidKeys, match='"label" is not a join key here'):
            prepared.get(keys)


# Nulls and NaN


def test_nan_is_null_in_pandas_and_a_value_elsewhere(client: Any, witness: Any) -> None:
    nan = [1.5, float("nan")]
    values: list[Any] = [
        *(nan, np.array(nan), pa.array(nan), pl.Series(nan)),
        *(np.array([1.5, np.nan], dtype=np.float32),),
    ]
    nulls: list[Any] = [pd.Series(nan), pd.Series(nan, dtype="float32"), pd.Index(nan)]
    for column in values + nulls:
        is_null = any(column is null for null in nulls)
        client.write("everything", {"user_id": [1, 2], "wide": column})
        written = stored(witness)
        client.push(
            "events", {"user_id": [1, 2], "at": [RECENT_MS] * 2, **blank(2), "wide": column}
        )
        pushed = stored(witness)
        for found in (written, pushed):
            assert found[b"user:{1}:v1"][b"wide"] == b"1.5"
            assert found[b"user:{2}:v1"].get(b"wide") == (None if is_null else b"nan")
        assert evaluate(Everything.wide, {"wide": column}).statuses.tolist() == [0, int(is_null)]


def blank(rows: int) -> dict[str, list[Any]]:
    return {name: [None] * rows for name in COLUMNS}


def test_pandas_integers_with_a_gap_are_integers(client: Any, witness: Any) -> None:
    frame = pd.DataFrame({"user_id": [1, 2], "whole": [29, None]})
    assert frame["whole"].dtype == np.float64
    client.write("everything", frame)
    assert stored(witness)[b"user:{1}:v1"] == {b"whole": b"29"}
    assert evaluate(Everything.whole, frame).values.tolist() == [29, 0]
    keys = pd.DataFrame({"user_id": pd.Series([1.0, None]).dropna()})
    assert len(client.prepare("everything").get(keys)) == 1
    with pytest.raises(InvalidValue, match=r"everything:whole \(row 1\) must be Int64, not float"):
        client.write("everything", pd.DataFrame({"user_id": [1, 2], "whole": [None, 1.5]}))


def test_any_byte_but_zero_is_true(client: Any, witness: Any) -> None:
    flags = np.array([0, 1, 2, 255], dtype=np.uint8).view(np.bool_)
    ids = [1, 2, 3, 4]
    client.write("everything", {"user_id": ids, "flag": flags})
    found = {key: row[b"flag"] for key, row in stored(witness).items()}
    assert [found[f"user:{{{one}}}:v1".encode()] for one in ids] == [b"0", b"1", b"1", b"1"]
    negated = evaluate(~Everything.flag, {"flag": flags}).values
    assert negated.view(np.uint8).tolist() == [1, 0, 0, 0]
    masked = np.ma.array([1, 2, 3, 4], mask=np.array([0, 2, 0, 255], np.uint8).view(np.bool_))
    client.write("everything", {"user_id": ids, "whole": masked})
    assert {row.get(b"whole") for row in stored(witness).values()} == {b"1", None, b"3"}


def test_what_is_under_a_mask_is_never_read(client: Any, witness: Any) -> None:
    vector = np.ma.array([[1, 2, 3], [4, 5, 6]], mask=[[True] * 3, [False] * 3])
    client.write("everything", {"user_id": [1, 2], "vector": vector})
    rows = stored(witness)
    assert b"vector" not in rows[b"user:{1}:v1"] and len(rows[b"user:{2}:v1"][b"vector"]) == 12
    gap = np.ma.array([[1, 2, 3]], mask=[[False, True, False]])
    for column in (gap, [gap[0]]):
        with pytest.raises(InvalidValue, match=r"everything:vector \(row 0\)"):
            client.write("everything", {"user_id": [1], "vector": column})
    ids = np.ma.array([1, 2], mask=[False, True])
    for keys in (ids, {"user_id": ids}):
        with pytest.raises(InvalidKeys, match=r"user_id \(row 1\) is null") as error:
            client.prepare("everything").get(keys)
        assert error.value.row == 1


@pytest.mark.parametrize("unit", ["D", "s", "ms", "us", "ns"])
def test_times_of_every_unit_are_rounded_down(client: Any, witness: Any, unit: str) -> None:
    times = np.array(["1969-12-31T23:59:59.999999999", "NaT"], dtype="M8[ns]").astype(f"M8[{unit}]")
    expected = {"D": -86_400_000, "s": -1_000}.get(unit, -1)
    lists = np.empty(2, dtype=object)
    lists[:] = [times[:1], None]
    for column in (times, list(times), pa.array(times), pd.Series(times.astype("M8[ns]"))):
        client.write("everything", {"user_id": [1, 2], "at_ms": column, "times": lists})
        rows = stored(witness)
        assert rows.pop(b"user:{2}:v1") == {}
        assert rows[b"user:{1}:v1"][b"at_ms"] == str(expected).encode()
        assert rows[b"user:{1}:v1"][b"times"] == f"[{expected}]".encode()


def test_durations_are_whole_milliseconds(client: Any, witness: Any) -> None:
    whole = [dt.timedelta(seconds=2), None]
    columns: list[Any] = [whole, np.array(whole, "m8[us]"), pa.array(whole), pd.Series(whole)]
    for column in columns:
        client.write("everything", {"user_id": [1, 2], "whole": column})
        assert stored(witness)[b"user:{1}:v1"] == {b"whole": b"2000"}
    part = [None, dt.timedelta(microseconds=1)]
    for column in (part, np.array(part, "m8[us]"), pa.array(part), pd.Series(part)):
        with pytest.raises(InvalidValue, match=r"everything:whole \(row 1\)") as error:
            client.write("everything", {"user_id": [1, 2], "whole": column})
        assert error.value.row == 1


# Errors


WRONG: dict[str, tuple[str, list[Any]]] = {
    "text for a number": ("whole", [None, None, "x"]),
    "a fraction for an integer": ("whole", [None, None, 1.5]),
    "a boolean for an integer": ("whole", [None, None, True]),
    "beyond 64 bits": ("whole", [None, 1, 2**63]),
    "a time for an integer": ("whole", [None, None, AT]),
    "text for a float": ("wide", [None, None, "0.5"]),
    "beyond Float32": ("narrow", [None, 0.5, 1e39]),
    "a number for a boolean": ("flag", [None, None, 1]),
    "a number for text": ("text", [None, None, 5]),
    "bytes for text": ("text", [None, None, b"x"]),
    "text for bytes": ("octets", [None, None, "x"]),
    "a float for a time": ("at_ms", [None, None, 1.5]),
    "text for a time": ("at_ms", [None, None, "2024-01-01"]),
    "a number for a list": ("numbers", [None, None, 5]),
    "text in a list of numbers": ("numbers", [None, None, ["x"]]),
    "null in a list": ("texts", [None, [], [None]]),
    "a vector too short": ("vector", [None, None, [1.0]]),
}
BROUGHT: dict[str, Any] = {
    "lists": lambda values: values,
    "an array of objects": lambda values: objects(values),
    "an Arrow array": lambda values: pa.array(values, pa.uint64() if 2**63 in values else None),
    "a pandas Series": lambda values: pd.Series(values, dtype=object),
    "a Polars Series": lambda values: pl.Series(
        values, dtype=pl.UInt64 if 2**63 in values else None, strict=False
    ),
}


def objects(values: list[Any]) -> Any:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    return array


@pytest.mark.parametrize("case", WRONG)
def test_errors_name_row_and_column_whatever_the_form(client: Any, witness: Any, case: str) -> None:
    name, values = WRONG[case]
    for form, bring in BROUGHT.items():
        column = bring(values)
        with pytest.raises(InvalidValue) as error:
            client.write("everything", {"user_id": IDS, name: column})
        assert (error.value.feature, error.value.row) == (name, 2), form
        assert f"everything:{name} (row 2)" in str(error.value), form
        pushed = {"user_id": IDS, "at": [RECENT_MS] * 3, **blank(3), name: column}
        if name == "at_ms" and case == "a float for a time":
            continue  # The source's times are numbers.
        with pytest.raises(InvalidValue) as error:
            client.push("events", pushed)
        assert (error.value.feature, error.value.row) == (name, 2), form
        with pytest.raises(InvalidValue) as error:
            evaluate(computed(name), {name: column})
        assert error.value.row == 2, form
    assert witness.keys("user:*") == []


@pytest.mark.parametrize(
    "rows",
    [
        {"user_id": 1, "whole": 5},
        {"user_id": [1], "whole": 5},
        {"user_id": [1], "whole": None},
        {"user_id": [1], "whole": "12"},
        {"user_id": [1], "whole": {1: 2}},
        {"user_id": [1], "whole": {5}},
    ],
)
def test_one_value_is_not_a_column(client: Any, rows: Any) -> None:
    with pytest.raises((InvalidValue, InvalidKeys), match="must be a list or an array"):
        client.write("everything", rows)


def test_a_column_that_is_there_twice_is_named(client: Any) -> None:
    table = pa.Table.from_arrays(
        [pa.array([1]), pa.array([1]), pa.array([2])], ["user_id", "whole", "whole"]
    )
    frame = pd.DataFrame([[1, 1, 2]], columns=["user_id", "whole", "whole"])
    for rows in (table, frame):
        with pytest.raises(InvalidValue, match="more than one column whole") as error:
            client.write("everything", rows)
        assert error.value.feature == "whole"


class Broken:
    """A column whose library fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise self._error

    def __iter__(self) -> Any:
        raise self._error


@pytest.mark.parametrize(
    "error", [TypeError("no"), ValueError("no"), RuntimeError("no"), pa.ArrowInvalid("no")]
)
def test_no_foreign_exception_crosses(client: Any, error: Exception) -> None:
    broken = Broken(error)
    with pytest.raises(InvalidValue, match=r"whole.* cannot be read: no"):
        client.write("everything", {"user_id": [1], "whole": broken})
    with pytest.raises(InvalidValue, match=r"whole.* cannot be read: no"):
        client.push("events", {"user_id": [1], "at": [RECENT_MS], **blank(1), "whole": broken})
    with pytest.raises(InvalidKeys, match="user_id cannot be read: no"):
        client.prepare("everything").get(broken)
    with pytest.raises(InvalidKeys, match="user_id cannot be read: no"):
        client.prepare("everything").get({"user_id": broken})
    with pytest.raises(InvalidValue, match=r"whole.* cannot be read: no"):
        evaluate(Everything.whole, {"whole": broken})
    with pytest.raises(InvalidValue, match="amount cannot be read: no"):
        client.prepare("asked").get([1], request={"amount": broken, "since": AT})
    with pytest.raises(InvalidValue, match="event_time cannot be read: no"):
        client.write("everything", {"user_id": [1], "whole": [1]}, event_time=broken)


def test_keys_may_change_while_they_are_read(client: Any) -> None:
    """A column's own code may change the dict that it is in."""
    keys: dict[str, Any] = {}

    class Column:
        def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
            keys["member_id"] = ["x"]
            return np.array([1])

    keys["user_id"] = Column()
    assert len(client.prepare("everything").get(keys)) == 1


def test_what_can_be_read_once_is_written_to_every_version(client: Any) -> None:
    client.versions.create("everything")
    whole = {"user_id": [1], "whole": [5]}
    forms: list[Any] = [pa.table(whole).to_reader(), {k: iter(v) for k, v in whole.items()}]
    for rows in forms:
        assert client.write("everything", rows).versions == (1, 2)
        for version in (1, 2):
            table = client.prepare(features=["everything:whole"]).get([1], version=version)
            assert table.to_dicts() == [{"whole": 5}]
            assert client.delete("everything", [1], version=version) == 1


def test_features_name_columns(client: Any, witness: Any) -> None:
    rows: dict[Any, Any] = {"user_id": [1], Everything.whole: [5]}
    client.write("everything", rows)
    assert stored(witness)[b"user:{1}:v1"] == {b"whole": b"5"}
    assert evaluate(fn.coalesce(Everything.whole, 0), {Everything.whole: [5]}).values.tolist() == [
        5
    ]


def test_the_forms_agree_about_what_they_hold() -> None:
    """The table of forms itself is right: each has every column, and the same nulls."""
    for table in (arrow_table(COLUMNS, TYPES), polars_frame(COLUMNS, TYPES)):
        assert len(table) == 3
