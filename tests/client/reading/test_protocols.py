"""A feature table speaks the protocols of Arrow, NumPy and DLPack, so other libraries take it."""

from __future__ import annotations

import datetime as dt
import gc
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from fscore import (
    DeadlineExceeded,
    Entity,
    Feature,
    FeatureService,
    FeatureView,
    Float64,
    Int64,
    InvalidArgument,
    Registry,
    Status,
    String,
)
from tests.client.driver import PATIENCE, Driver
from tests.client.proxy import FaultProxy
from tests.event_times import PAST_MS, RECENT_MS
from tests.shop import REGISTRY

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
FULL = {
    "customer_id": 1,
    "orders": 29,
    "region": "US",
    "rating": 0.07,
    "discount": 0.1,
    "loyal": True,
    "seen": 1_700_000_000_123,
    "joined": 1_700_000_000_000,
    "photo": b"\x00\xff",
    "level": 3,
    "tier": "gold",
    "credit": 1.5,
    "vip": False,
    "tags": ["a", "", "日本"],
    "counts": [1, -2],
    "weights": [0.5, math.nan],
    "flags": [True, False],
    "blobs": [b"", b"\x00"],
    "times": [1, -1],
    "taste": [1.0, -2.5, 0.0],
}
ODD = {
    "customer_id": 6,
    "orders": -(2**63),
    "region": "",
    "rating": math.nan,
    "discount": math.inf,
    "loyal": False,
    "seen": -1,
    "joined": -1_000,
    "photo": b"",
    "level": 2**63 - 1,
    "tier": "é",
    "credit": -0.0,
    "vip": True,
    "tags": [],
    "counts": [],
    "weights": [],
    "flags": [],
    "blobs": [],
    "times": [],
    "taste": [math.nan, math.inf, 0.1],
}
USERS = [1, 2, 3, 4, 5, 6, 1]


def write(client: Any, row: dict[str, Any], event_time: int = RECENT_MS) -> None:
    """Write the features of a user to their views."""
    for view in ("customer", "standing", "behaviour"):
        features = REGISTRY.views[view].features
        names = ("customer_id", *(feature.name for feature in features))
        part = {name: row[name] for name in names if name in row}
        if len(part) > 1:
            client.write(view, [part], event_time=event_time)


@pytest.fixture
def filled(client: Any, witness: Any) -> Any:
    """A client; its users have values of every status but UNAVAILABLE, and of every type."""
    write(client, FULL)
    write(client, {"customer_id": 2, "orders": 30, "rating": None, "level": None})
    write(client, {**FULL, "customer_id": 4}, PAST_MS)
    write(client, {**ODD, "customer_id": 6})
    broken = {name: b"\xff" for name in FULL if name not in ("customer_id", "photo")}
    witness.hset("customer:{5}:v1", mapping=broken)
    return client


@pytest.fixture
def table(filled: Any) -> Any:
    return filled.prepare("overview").get(USERS)


# What is expected follows from `to_dicts`.


def expected(table: Any) -> dict[str, list[Any]]:
    """Return each column's values, as the Python objects that Arrow makes of them."""
    rows = table.to_dicts()
    return {
        name: [_as_arrow(kind, row[name]) for row in rows]
        for name, kind in zip(table.features, table.types, strict=True)
    }


def _as_arrow(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind.startswith("List["):
        return [_as_arrow(kind[5:-1], element) for element in value]
    if kind.startswith("Vector["):
        return [_as_arrow("Float32", element) for element in value]
    if kind.startswith("Timestamp"):
        return EPOCH + dt.timedelta(milliseconds=value)
    if kind == "Float32":
        return float(np.float32(value))
    return value


def same(found: Any, wanted: Any) -> bool:
    """Return whether two values are equal; NaN equals NaN, and -0.0 is not 0.0."""
    if isinstance(found, list | tuple) and isinstance(wanted, list | tuple):
        return len(found) == len(wanted) and all(map(same, found, wanted))
    if isinstance(found, float) and isinstance(wanted, float):
        return found.hex() == wanted.hex()
    return type(found) is type(wanted) and bool(found == wanted)


def check(columns: dict[str, list[Any]], table: Any) -> None:
    wanted = expected(table)
    assert list(columns) == list(wanted)
    for name, values in columns.items():
        assert same(values, wanted[name]), (name, values, wanted[name])


# Arrow


def test_arrow_takes_a_table_of_every_type_and_status(table: Any) -> None:
    assert [list(Status)[code].name for code in np.unique(table.statuses)] == [
        *("PRESENT", "NULL", "NOT_FOUND", "EXPIRED", "INVALID")
    ]
    taken = pa.table(table)
    taken.validate(full=True)
    check(taken.to_pydict(), table)
    check(table.to_arrow().to_pydict(), table)
    assert pa.schema(table) == taken.schema
    assert [column.num_chunks for column in taken.columns] == [1] * table.shape[1]
    assert all(field.nullable for field in taken.schema)


def test_arrow_knows_the_types(client: Any) -> None:
    table = client.prepare("overview").get([])
    scalars: dict[str, Any] = {
        "Int64": pa.int64(),
        "Float64": pa.float64(),
        "Float32": pa.float32(),
        "Bool": pa.bool_(),
        "String": pa.string(),
        "Bytes": pa.binary(),
        "Timestamp": pa.timestamp("ms", tz="UTC"),
        "Timestamp[s]": pa.timestamp("ms", tz="UTC"),
    }
    lists = {f"List[{kind}]": pa.list_(arrow) for kind, arrow in scalars.items()}
    known = {**scalars, **lists, "Vector[3]": pa.list_(pa.float32(), 3)}
    assert pa.schema(table).types == [known[kind] for kind in table.types]
    assert pa.table(table).schema == pa.schema(table)


def test_polars_takes_a_table(table: Any) -> None:
    frame = pl.DataFrame(table)
    check({name: frame[name].to_list() for name in frame.columns}, table)
    assert frame.schema["seen"] == pl.Datetime("ms", "UTC")
    assert frame.schema["taste"] == pl.Array(pl.Float32, 3)
    assert frame.equals(table.to_polars())


def test_duckdb_queries_a_table(table: Any) -> None:
    features = table
    with duckdb.connect() as database:
        queried = database.sql("SELECT * FROM features").to_arrow_table()
        counted = database.sql("SELECT count(*), count(orders) FROM features").fetchall()
    check(queried.to_pydict(), features)
    assert counted == [(7, 4)]


@pytest.mark.parametrize("rows", [0, 1])
def test_short_tables(filled: Any, rows: int) -> None:
    table = filled.prepare("overview").get(USERS[:rows])
    check(pa.table(table).to_pydict(), table)
    frame = pl.DataFrame(table)
    check({name: frame[name].to_list() for name in frame.columns}, table)
    numbers = filled.prepare(features=["rating", "orders", "taste"]).get(USERS[:rows])
    assert np.asarray(numbers).shape == numbers.to_numpy().shape == (rows, 5)
    floats = filled.prepare(features=["rating", "credit"]).get(USERS[:rows])
    assert np.asarray(floats).shape == np.from_dlpack(floats).shape == (rows, 2)


def test_values_that_did_not_arrive_are_null(
    driver: Driver, filled: Any, proxy: FaultProxy
) -> None:
    prepared = driver.connect(proxy.url, registry_poll=3600).prepare("overview")
    before = proxy.passed
    prepared.get(USERS, timeout=PATIENCE)
    length = proxy.passed - before
    table = _part(prepared, proxy, length // 2)
    assert {Status.PRESENT, Status.UNAVAILABLE} <= set(table.statuses.flat)
    check(pa.table(table).to_pydict(), table)
    statuses = table.to_arrow(statuses=True)["level__status"].to_pylist()
    assert statuses == [
        Status(code).name for code in table.statuses[:, table.features.index("level")]
    ]


def _part(prepared: Any, proxy: FaultProxy, length: int) -> Any:
    """Return the result of a read of which only `length` bytes of the answer arrive."""
    for timeout in (0.2, 0.8, 3.2, 12.8):
        proxy.pass_bytes(length)
        try:
            table = prepared.get(USERS, timeout=timeout)
        except DeadlineExceeded:
            continue
        finally:
            proxy.release()
        if Status.PRESENT in table.statuses:
            return table
    pytest.fail("no part of the answer arrived")


def test_two_streams_of_a_table_are_independent(table: Any) -> None:
    one, two = (pa.RecordBatchReader.from_stream(table) for _ in range(2))
    (batch,) = one.read_all().to_batches()
    one.close()
    check(batch.to_pydict(), table)
    check(two.read_all().to_pydict(), table)


def test_what_was_taken_outlives_the_table(table: Any) -> None:
    taken, wanted = pa.table(table), expected(table)
    features = table.features
    del table
    gc.collect()
    for name in features:
        assert same(taken[name].to_pylist(), wanted[name])


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


def test_streams_leave_no_memory_behind(filled: Any) -> None:
    size, streams = 1 << 20, 256
    filled.write("customer", [{"customer_id": 1, "region": "x" * size}])
    table = filled.prepare(features=["region"]).get([1])

    def begun_only() -> None:
        table.__arrow_c_schema__()
        table.__arrow_c_stream__()

    def read() -> None:
        assert pa.table(table).nbytes >= size

    for use in (begun_only, read):
        use()
        before = resident_bytes()
        for _ in range(streams):
            use()
        assert resident_bytes() - before < streams * size // 4, use


def test_a_consumer_may_ask_for_large_text(table: Any) -> None:
    own = pa.schema(table)
    large = {pa.string(): pa.large_string(), pa.binary(): pa.large_binary()}
    wanted = pa.schema([field.with_type(large.get(field.type, field.type)) for field in own])
    reader = pa.RecordBatchReader.from_stream(table, schema=wanted)
    assert reader.schema == wanted
    taken = reader.read_all()
    taken.validate(full=True)
    check(taken.to_pydict(), table)
    # Other types stay as they are.
    text = pa.schema([field.with_type(pa.string()) for field in own])
    assert pa.RecordBatchReader.from_stream(table, schema=text).schema == own


def test_a_schema_must_have_the_columns_of_the_table(filled: Any) -> None:
    table = filled.prepare(features=["orders", "region"]).get([1])
    for schema in (
        pa.schema([("orders", pa.int64())]),
        pa.schema([("orders", pa.int64()), ("town", pa.string())]),
    ):
        with pytest.raises(
            InvalidArgument, match=r"requested_schema has .*the table has orders, region"
        ):
            pa.table(table, schema=schema)
    released = pa.schema(table).__arrow_c_schema__()
    pa.Schema._import_from_c_capsule(released)
    for wrong in (
        1,
        "orders",
        table.__arrow_c_stream__(),
        released,
        pa.int64().__arrow_c_schema__(),
    ):
        with pytest.raises(InvalidArgument, match="requested_schema"):
            table.__arrow_c_stream__(wrong)


# NumPy


def test_numpy_takes_the_matrix(filled: Any) -> None:
    for features in (["rating", "orders", "loyal", "seen", "taste", "vip"], ["discount", "taste"]):
        table = filled.prepare(features=features).get(USERS)
        for taken in (np.asarray(table), np.array(table), np.asarray(table, dtype=np.float32)):
            np.testing.assert_array_equal(taken, table.to_numpy(taken.dtype))
            assert taken.flags.writeable
    wide = filled.prepare(features=["taste", "orders"]).get(USERS)
    columns = [*wide.column("taste").T, wide.column("orders", missing=0).astype(float)]
    columns[3][~np.isin(wide.statuses[:, 1], [Status.PRESENT])] = np.nan
    np.testing.assert_array_equal(np.asarray(wide), np.transpose(columns))


def test_many_rows_fill_a_matrix(client: Any) -> None:
    ids = list(range(1_000))
    halves = [one / 2 for one in ids]
    client.write("customer", {"customer_id": ids, "orders": ids, "rating": halves})
    table = client.prepare(features=["orders", "rating", "vip"]).get(ids)
    wanted = np.transpose([ids, halves, np.ones(1_000)])
    np.testing.assert_array_equal(table.to_numpy(), wanted)
    np.testing.assert_array_equal(table.to_numpy(np.float32), wanted.astype(np.float32))


@pytest.fixture
def floats(filled: Any) -> Any:
    """A table of Float64 and Float32 features, with values of every status."""
    return filled.prepare(features=["rating", "discount", "credit"]).get(USERS)


def address(array: Any) -> int:
    place: int = array.__array_interface__["data"][0]
    return place


def test_a_matrix_of_floats_is_a_view(floats: Any, filled: Any) -> None:
    views = [
        np.asarray(floats),
        np.asarray(floats, copy=False),
        np.asarray(floats, dtype="float64"),
        np.from_dlpack(floats),
        np.from_dlpack(floats, copy=False),
    ]
    for view in views:
        assert address(view) == address(views[0])
        assert np.shares_memory(view, views[0])
        assert not view.flags.writeable
        np.testing.assert_array_equal(view, floats.to_numpy())
    with pytest.raises(ValueError, match="WRITEABLE"):
        views[0].flags.writeable = True
    narrow = filled.prepare(features=["discount"]).get(USERS)
    assert address(np.asarray(narrow, dtype=float)) == address(np.asarray(narrow, dtype=float))
    assert address(np.asarray(narrow)) != address(np.asarray(narrow, dtype=float))


def test_a_copy_of_a_matrix_is_the_callers(floats: Any) -> None:
    view = np.asarray(floats)
    kept = view.copy()
    for copy in (
        np.array(floats),
        np.from_dlpack(floats, copy=True),
        floats.to_numpy(),
        np.asarray(floats, dtype=np.float32),
    ):
        assert not np.shares_memory(copy, view)
        copy[:] = 1
    np.testing.assert_array_equal(view, kept)


def test_a_view_keeps_the_table(filled: Any) -> None:
    prepared = filled.prepare(features=["rating", "credit"])
    views = [np.asarray(prepared.get([1])), np.from_dlpack(prepared.get([1]))]
    gc.collect()
    for view in views:
        # The memory would be that of the next table.
        prepared.get([3])
        np.testing.assert_array_equal(view, [[0.07, 1.5]])


def test_without_a_copy_only_a_view_is_given(filled: Any) -> None:
    whole = filled.prepare(features=["orders"]).get([1])
    halves = filled.prepare(features=["rating"]).get([1])
    for refused in (
        lambda: np.asarray(whole, copy=False),
        lambda: np.asarray(halves, dtype=np.float32, copy=False),
    ):
        with pytest.raises(InvalidArgument, match="copy"):
            refused()


def test_text_has_no_matrix(table: Any) -> None:
    names = r"region \(String\), photo \(Bytes\), tier \(String\), tags \(List\[String\]\)"
    for refused in (np.asarray, np.from_dlpack, lambda table: table.to_numpy(out=np.empty((7, 9)))):
        with pytest.raises(TypeError, match=names):
            refused(table)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_callers_array_is_filled(filled: Any, dtype: str) -> None:
    for features in (["rating", "orders", "taste"], ["rating", "credit"], ["discount"]):
        table = filled.prepare(features=features).get(USERS)
        wanted = table.to_numpy(dtype)
        whole = np.zeros((20, wanted.shape[1]), dtype)
        out = whole[5:12]
        assert table.to_numpy(out=out) is out
        assert table.to_numpy(dtype, out=out) is out
        np.testing.assert_array_equal(out, wanted)
        assert not whole[:5].any() and not whole[12:].any()


def _unfit() -> Iterator[tuple[Any, str]]:
    read_only = np.empty((7, 2))
    read_only.flags.writeable = False
    odd = np.zeros(7 * 2 * 8 + 1, np.uint8)[1:].view(np.float64).reshape(7, 2)
    yield np.empty((7, 3)), r"shape \(7, 3\), and the matrix has \(7, 2\)"
    yield np.empty((2, 7)), r"shape \(2, 7\)"
    yield np.empty(14), "two dimensions"
    yield np.empty((7, 2), np.int64), "float32 or float64"
    yield np.empty((7, 2), ">f8"), "float32 or float64"
    yield [[0.0] * 2] * 7, "float32 or float64"
    yield np.empty((2, 7)).T, "contiguous"
    yield np.empty((7, 4))[:, ::2], "contiguous"
    yield odd, "contiguous"
    yield read_only, "written"


def test_an_array_that_does_not_fit_is_refused(filled: Any) -> None:
    table = filled.prepare(features=["rating", "credit"]).get(USERS)
    for out, reason in _unfit():
        with pytest.raises(InvalidArgument, match=reason):
            table.to_numpy(out=out)
    with pytest.raises(InvalidArgument, match="out is float64, and dtype is float32"):
        table.to_numpy("float32", out=np.empty((7, 2)))
    with pytest.raises(InvalidArgument, match="written"):
        table.to_numpy(out=np.asarray(table))


# DLPack


def test_tensors_are_on_the_processor(floats: Any) -> None:
    assert floats.__dlpack_device__() == (1, 0)
    assert np.from_dlpack(floats, device="cpu").shape == (7, 3)
    with pytest.raises(BufferError, match="memory of the processor"):
        floats.__dlpack__(dl_device=(2, 0))
    with pytest.raises(InvalidArgument, match="stream must be None"):
        floats.__dlpack__(stream=1)


def test_what_is_read_only_goes_to_those_who_know_it(floats: Any) -> None:
    names = {
        False: floats.__dlpack__(),
        True: floats.__dlpack__(max_version=(1, 0), dl_device=(1, 0), stream=None),
    }
    for versioned, capsule in names.items():
        assert ('"dltensor_versioned"' in repr(capsule)) is versioned
    with pytest.raises(BufferError, match="copy"):
        floats.__dlpack__(copy=False)

    class Old:
        """A producer as consumers of DLPack before version 1 use it."""

        def __dlpack__(self) -> Any:
            return floats.__dlpack__()

        def __dlpack_device__(self) -> Any:
            return floats.__dlpack_device__()

    old: Any = Old()
    taken: Any = np.from_dlpack(old)
    assert not np.shares_memory(taken, np.asarray(floats))
    np.testing.assert_array_equal(taken, floats.to_numpy())


def test_a_matrix_that_is_made_is_the_consumers(filled: Any) -> None:
    for features, dtype in ((["orders", "rating"], np.float64), (["discount"], np.float32)):
        table = filled.prepare(features=features).get(USERS)
        one, two = np.from_dlpack(table), np.from_dlpack(table)
        assert one.dtype == dtype
        assert one.flags.writeable and not np.shares_memory(one, two)
        np.testing.assert_array_equal(one, table.to_numpy())
        with pytest.raises(BufferError, match="copy"):
            np.from_dlpack(table, copy=False)


# Keys and statuses


user = Entity("user", join_keys={"customer_id": Int64})


class Odd(FeatureView, entity=user):
    rating: Float64
    rating__status: String
    size: Float64 = Feature(default=1.0)


CLASHES = Registry.from_definitions(
    [
        FeatureService("statuses", features=[Odd.rating, Odd.rating__status]),
        FeatureService("keys", features=[Odd.rating.alias("customer_id"), Odd.size]),
    ]
)


def test_two_columns_never_have_one_name(driver: Driver, redis_url: str) -> None:
    client = driver.connect(redis_url)
    client.apply(CLASHES)
    for service, clash, free in (
        ("statuses", {"statuses": True}, {"keys": True}),
        ("keys", {"keys": True}, {"statuses": True}),
    ):
        table = client.prepare(service).get([1])
        name = {"statuses": "rating__status", "keys": "customer_id"}[service]
        for form in (table.to_arrow, table.to_polars, table.to_pandas):
            with pytest.raises(InvalidArgument, match=f'two columns would have the name "{name}"'):
                form(**clash)
            assert form(**free).shape[0] == 1


def test_keys_come_first_and_statuses_last(client: Any) -> None:
    client.write("stock", [{"sku": "é", "cost": 1.5}])
    client.write("affinity", [{"customer_id": 1, "sku": "é", "likes": 3}])
    table = client.prepare("offers").get({"sku": ["é", "b"], "customer_id": [1, 2]})
    features = ["cost", "orders", "liked", "left"]
    taken = table.to_arrow(keys=True, statuses=True)
    assert taken.column_names == [
        *("sku", "customer_id"),
        *features,
        *(f"{name}__status" for name in features),
    ]
    taken.validate(full=True)
    assert taken["sku"].to_pylist() == ["é", "b"]
    assert taken["customer_id"].to_pylist() == [1, 2]
    assert taken["liked"].to_pylist() == [3, None]
    assert taken.schema.field("orders__status").type == pa.dictionary(pa.int8(), pa.string())
    assert taken["left__status"].to_pylist() == ["NULL", "NOT_FOUND"]
    assert taken.select(features).equals(table.to_arrow())
    frame = table.to_polars(keys=True, statuses=True)
    assert {name: frame[name].to_list() for name in frame.columns} == taken.to_pydict()
    assert table.to_arrow(keys=True).column_names == ["sku", "customer_id", *features]


def test_keys_of_no_rows_have_their_type(client: Any) -> None:
    taken = client.prepare("offers").get({"customer_id": [], "sku": []}).to_arrow(keys=True)
    assert taken.schema.types[:2] == [pa.int64(), pa.string()]
