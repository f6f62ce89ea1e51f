"""Test vectors of packed rows, read by an independent decoder after docs/storage-format.md.

`rust/core/tests/packed_vectors.rs` reads the same file with the library's codec.
"""

from __future__ import annotations

import base64
import json
import math
import struct
from pathlib import Path
from typing import Any

import pytest

from fscore.model.fingerprint import fingerprint

VECTORS = json.loads(
    (Path(__file__).parents[1] / "vectors" / "storage" / "packed.json").read_text("utf-8")
)
SCHEMAS = {
    int(schema["fingerprint"], 16): [(name, kind) for name, kind in schema["columns"]]
    for schema in VECTORS["schemas"].values()
}
FIXED = {"Int64": "q", "Float64": "d", "Float32": "f", "Bool": "B"}
TIMES = {"Timestamp": 1, "Timestamp[s]": 1000}
INT64 = range(-(2**63), 2**63)

Column = tuple[str, str]


class Malformed(Exception):
    """No value of the row can be read."""


class Invalid(Exception):
    """A value is not valid for its type."""


def code(kind: str) -> str:
    """Return the `struct` format of a column's fixed part."""
    if kind.startswith("Vector["):
        return f"{kind[7:-1]}f"
    return "q" if kind in TIMES else FIXED.get(kind, "I")


def decode(row: bytes) -> tuple[int, dict[str, tuple[str, Any]]]:
    """Return the event time, and type and value (or `Invalid`) of each column that is not null."""
    if row[:1] not in (b"", b"\x01"):
        raise Malformed("format")
    if len(row) < 13:
        raise Malformed("length")
    number, event_time = struct.unpack_from("<Iq", row, 1)
    if number not in SCHEMAS:
        raise Malformed("schema")
    columns = SCHEMAS[number]
    at = 13 + (len(columns) + 7) // 8
    bits = int.from_bytes(row[13:at], "little")
    tail = at + sum(struct.calcsize("<" + code(kind)) for _, kind in columns)
    if len(row) < tail:
        raise Malformed("length")
    found: dict[str, tuple[str, Any]] = {}
    end = 0
    misplaced = False
    for index, (name, kind) in enumerate(columns):
        stored = struct.unpack_from("<" + code(kind), row, at)
        at += struct.calcsize("<" + code(kind))
        is_null = bits >> index & 1
        start, end = end, stored[0] if code(kind) == "I" else end
        if is_null:
            continue
        if code(kind) == "I":
            misplaced = misplaced or not start <= end <= len(row) - tail
            found[name] = kind, row[tail + start : tail + end]
        else:
            found[name] = kind, stored
    if tail + end != len(row):
        raise Malformed("length")
    if misplaced:
        raise Malformed("offset")
    return event_time, {name: (kind, value(kind, raw)) for name, (kind, raw) in found.items()}


def value(kind: str, raw: Any) -> Any:
    """Convert a stored value to the form that the vectors have."""
    try:
        match kind:
            case "String":
                return raw.decode()
            case "Bytes":
                return base64.b64encode(raw).decode()
            case "Bool":
                return (False, True)[raw[0]]
            case "Timestamp" | "Timestamp[s]":
                return moment(kind, raw[0])
        if kind.startswith("List["):
            return [element(kind[5:-1], item) for item in json.loads(raw)]
        numbers = [plain(number) for number in raw]
        return numbers if kind.startswith("Vector[") else numbers[0]
    except (UnicodeDecodeError, IndexError, Invalid) as error:
        return Invalid(str(error))


def moment(kind: str, stored: int) -> int:
    ms = stored * TIMES[kind]
    if ms not in INT64:
        raise Invalid(f"{stored} is beyond 64 bits of milliseconds")
    return ms


def element(kind: str, item: Any) -> Any:
    kinds: dict[str, type | tuple[type, ...]] = {
        **{"Int64": int, "Timestamp": int, "Timestamp[s]": int, "Bool": bool},
        **{"Float64": (int, float), "Float32": (int, float), "String": str, "Bytes": str},
    }
    # In Python a bool is an int.
    matches = isinstance(item, kinds[kind]) and isinstance(item, bool) == (kind == "Bool")
    if not matches:
        raise Invalid(f"{item!r} is no {kind}")
    return moment(kind, item) if kind in TIMES else plain(item)


def plain(item: Any) -> Any:
    """Return a number in a form that JSON can hold."""
    if isinstance(item, float) and not math.isfinite(item):
        return "nan" if math.isnan(item) else "inf" if item > 0 else "-inf"
    return item


def read(row: bytes, wanted: list[Column]) -> list[dict[str, Any]]:
    """Return status and value of each wanted column, as a reader has to find them."""
    _, found = decode(row)
    outputs = []
    for name, kind in wanted:
        stored, item = found.get(name, (kind, None))
        if stored != kind or isinstance(item, Invalid):
            outputs.append({"status": "INVALID", "value": None})
        else:
            outputs.append({"status": "NULL" if item is None else "PRESENT", "value": item})
    return outputs


def cases(section: str) -> Any:
    return pytest.mark.parametrize("case", VECTORS[section], ids=lambda case: case["name"])


@pytest.mark.parametrize("name", VECTORS["schemas"])
def test_fingerprints(name: str) -> None:
    schema = VECTORS["schemas"][name]
    assert f"{fingerprint([*map(tuple, schema['columns'])]):08x}" == schema["fingerprint"]


def test_a_fingerprint_is_of_known_types() -> None:
    with pytest.raises(ValueError, match="'Int65' is not a feature type"):
        fingerprint([("age", "Int65")])


@cases("rows")
def test_rows(case: dict[str, Any]) -> None:
    row = bytes.fromhex(case["row"])
    schema = VECTORS["schemas"][case["schema"]]
    wanted = [(name, kind) for name, kind in schema["columns"]]
    assert decode(row)[0] == case["event_time"]
    assert f"{struct.unpack_from('<I', row, 1)[0]:08x}" == schema["fingerprint"]
    assert [output["value"] for output in read(row, wanted)] == case["values"]


@cases("reads")
def test_reads(case: dict[str, Any]) -> None:
    wanted = [(name, kind) for name, kind in case["wanted"]]
    assert read(bytes.fromhex(case["row"]), wanted) == case["expected"]


@cases("malformed")
def test_malformed(case: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match=case["error"]):
        decode(bytes.fromhex(case["row"]))
