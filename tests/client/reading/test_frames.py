"""Feature tables as pandas frames and as tensors, and what happens without these libraries."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fscore import ConfigError, Status
from tests.event_times import PAST_MS, RECENT_MS

ROW = {
    "customer_id": 1,
    "orders": 2**60 + 1,
    "region": "US",
    "rating": 0.07,
    "discount": 0.1,
    "loyal": True,
    "seen": 1_700_000_000_123,
    "joined": -1_000,
    "photo": b"\x00\xff",
}
BEHAVIOUR = {
    "customer_id": 1,
    "tags": ["a"],
    "times": [5],
    "blobs": [b"x"],
    "taste": [1, np.nan, 0],
}
USERS = [1, 2, 3, 4]


@pytest.fixture
def table(client: Any) -> Any:
    """A table; user 1 has values, user 2 NULLs, user 3 no row, user 4 an expired one."""
    client.write(
        "customer", [ROW, {"customer_id": 2, "orders": None, "rating": None}], event_time=RECENT_MS
    )
    client.write("customer", [{**ROW, "customer_id": 4}], event_time=PAST_MS)
    client.write("behaviour", [BEHAVIOUR])
    return client.prepare("overview").get(USERS)


def test_pandas_types_follow_from_the_features(table: Any, client: Any) -> None:
    text = pd.Series([""]).dtype
    wanted: dict[str, Any] = {
        "orders": pd.Int64Dtype(),
        "region": text,
        "rating": np.float64,
        "discount": np.float32,
        "loyal": pd.BooleanDtype(),
        "seen": pd.DatetimeTZDtype("ms", "UTC"),
        "joined": pd.DatetimeTZDtype("ms", "UTC"),
        "photo": object,
        "level": pd.Int64Dtype(),
        "tier": text,
        "vip": pd.BooleanDtype(),
        "tags": object,
        "times": object,
        "taste": object,
    }
    for frame in (table.to_pandas(), client.prepare("overview").get([]).to_pandas()):
        assert list(frame.columns) == list(table.features)
        assert {name: frame[name].dtype for name in wanted} == wanted
        assert frame.index.equals(pd.RangeIndex(len(frame)))


def test_pandas_has_the_values_and_the_missing(table: Any) -> None:
    frame = table.to_pandas()
    assert frame.shape == table.shape
    first = frame.iloc[0]
    scalars = ("orders", "region", "rating", "loyal", "photo", "level", "tags", "times")
    for name in scalars:
        assert first[name] == table.to_dicts()[0][name], name
    assert first["discount"] == np.float32(0.1)
    assert first["seen"] == pd.Timestamp(1_700_000_000_123, unit="ms", tz="UTC")
    assert first["joined"] == pd.Timestamp(-1, unit="s", tz="UTC")
    np.testing.assert_array_equal(first["taste"], np.array([1, np.nan, 0], np.float32))
    assert first["taste"].dtype == np.float32
    missing = [[value is None for value in row.values()] for row in table.to_dicts()]
    np.testing.assert_array_equal(frame.isna(), missing)
    assert frame["level"].tolist() == [7] * 4
    assert np.asarray(frame["taste"])[1] is None


def test_a_pandas_frame_is_the_callers(table: Any) -> None:
    frame = table.to_pandas()
    frame.loc[0, "rating"] = 9.0
    frame.loc[1, "orders"] = 1
    assert table.to_dicts()[0]["rating"] == 0.07
    assert table.to_pandas()["orders"].isna().tolist() == [False, True, True, True]


def test_pandas_with_keys_and_statuses(table: Any, client: Any) -> None:
    frame = table.to_pandas(keys=True, statuses=True)
    names = [f"{name}__status" for name in table.features]
    assert list(frame.columns) == ["customer_id", *table.features, *names]
    assert frame["customer_id"].dtype == np.int64
    assert frame["customer_id"].tolist() == USERS
    for column, name in enumerate(names):
        assert list(frame[name].cat.categories) == [status.name for status in Status]
        codes = table.statuses[:, column]
        assert frame[name].tolist() == [Status(code).name for code in codes]
    members = client.prepare(features=["rank"]).get(["é", "x"]).to_pandas(keys=True)
    assert members["member_id"].tolist() == ["é", "x"]
    assert members["member_id"].dtype == pd.Series([""]).dtype


WITHOUT_ARROW = """
import sys
sys.modules["pyarrow"] = None
import fscore
with fscore.connect(sys.argv[1]) as client:
    frame = client.prepare("overview").get([1, 2]).to_pandas(keys=True, statuses=True)
assert frame["region"].tolist()[0] == "US"
print(frame.shape)
"""


def test_pandas_needs_no_arrow(table: Any, redis_url: str) -> None:
    command = [sys.executable, "-c", WITHOUT_ARROW, redis_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == (f"(2, {1 + 2 * table.shape[1]})\n", "")


@pytest.mark.parametrize(
    ("library", "form", "command"),
    [
        ("pandas", "to_pandas", "pip install pandas"),
        ("polars", "to_polars", "pip install polars"),
        ("torch", "to_torch", "pip install torch"),
        ("pyarrow", "to_arrow", r"pip install 'fscore-core\[arrow\]'"),
    ],
)
def test_a_library_that_is_missing_is_named(
    table: Any, monkeypatch: pytest.MonkeyPatch, library: str, form: str, command: str
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ConfigError, match=f"{form}.. needs {library}: {command}"):
        getattr(table, form)()


def test_tensors_of_torch(client: Any) -> None:
    torch = pytest.importorskip("torch")
    client.write("customer", [ROW])
    for features, dtype in ((["rating", "discount"], torch.float64), (["discount"], torch.float32)):
        table = client.prepare(features=features).get(USERS)
        for tensor in (table.to_torch(), table.to_torch(dtype), torch.from_dlpack(table)):
            assert tensor.dtype == dtype
            np.testing.assert_array_equal(tensor.numpy(), table.to_numpy())
    assert table.to_torch("float64").dtype == torch.float64
    tensor = table.to_torch()
    tensor[:] = 0
    assert table.to_numpy()[0, 0] == np.float32(0.1)
