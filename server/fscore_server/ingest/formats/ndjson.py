"""NDJSON: one JSON object on each line. Arrow parses whole blocks; the part of a block that it
refuses is read line by line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
from pyarrow import json as arrow_json

from fscore_server.ingest.formats.bytes import Stream, open_stream
from fscore_server.ingest.formats.chunk import Chunk, absent
from fscore_server.ingest.rows.failures import InputError, Reject, missing_columns

__all__ = ["NdjsonFile", "kind_of"]

_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 16 << 20
_PROBED_LINES = 1000
# After a broken line only this many lines are read line by line, not the whole block.
_PIECE_LINES = 256

_SCALARS = {
    "Int64": pa.int64(),
    "Float32": pa.float64(),
    "Float64": pa.float64(),
    "Bool": pa.bool_(),
    "String": pa.string(),
    "Bytes": pa.string(),
}


def kind_of(spelling: str | None) -> pa.DataType | None:
    """Return the Arrow type that a feature type has in JSON, or None if the file decides (times,
    counted columns).
    """
    if spelling is None or spelling.startswith("Timestamp"):
        return None
    if spelling.startswith("Vector["):
        return pa.list_(pa.float64())
    if spelling.startswith("List["):
        inner = kind_of(spelling[len("List[") : -1])
        return None if inner is None else pa.list_(inner)
    return _SCALARS.get(spelling)


class NdjsonFile:
    """One open NDJSON file; `wanted` has the feature type that reads each column, or None."""

    def __init__(self, path: Path, wanted: Mapping[str, str | None]) -> None:
        self.path = path
        self._stream: Stream = open_stream(path)
        self._wanted = dict(wanted)
        self._unseen = {name: json.dumps(name).encode() for name in wanted}
        self._schema: pa.Schema | None = None
        # A value of each undeclared column, for those in which one has been seen.
        self._held: dict[str, Any] = {}
        self._undeclared = [name for name, spelling in wanted.items() if not kind_of(spelling)]
        self._names: dict[str, None] = {}
        self._line = 1

    @property
    def size(self) -> int | None:
        return self._stream.size

    @property
    def position(self) -> int:
        return self._stream.position

    def close(self) -> None:
        self._stream.close()

    def chunks(self) -> Iterator[Chunk]:
        buffer = b""
        rows = False
        while True:
            data = self._stream.read()
            buffer += data
            cut = buffer.rfind(b"\n") + 1 if data else len(buffer)
            if len(buffer) - cut > _LONGEST_LINE:
                raise InputError(
                    f"{self.path}: line {self._line + buffer.count(bytes([10]))} is longer than"
                    f" {_LONGEST_LINE >> 20} MiB; is there one JSON object on each line?"
                )
            block, buffer = buffer[:cut], buffer[cut:]
            if block:
                chunk = self._parse(block)
                rows = rows or chunk.frame.height > 0 or bool(chunk.rejects)
                yield chunk
            if not data:
                break
        # A key may be absent from most objects, so only the end of the file shows that a column
        # is missing.
        lacking = absent(self._wanted, set(self._wanted) - set(self._unseen))
        if rows and lacking:
            raise missing_columns(self.path, lacking, self._names)

    def _parse(self, block: bytes) -> Chunk:
        first = self._line
        if first == 1:
            block = block.removeprefix(_BOM)
        self._line += block.count(b"\n")
        self._unseen = {name: token for name, token in self._unseen.items() if token not in block}
        lines = block.split(b"\n")
        filled = [at for at, line in enumerate(lines) if line and not line.isspace()]
        if self._schema is None or not self._held.keys() >= set(self._undeclared):
            self._schema = self._probe([lines[at] for at in filled])
        table = _parse_block(block, self._schema, len(filled))
        kept = filled
        rejects: list[Reject] = []
        if table is None:
            table, kept, rejects = self._parse_pieces(lines, filled, first)
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        return Chunk(
            frame=frame.select(list(self._wanted)),
            locate=lambda rows: [(first + kept[row], _text(lines[kept[row]])) for row in rows],
            rejects=rejects,
        )

    def _parse_pieces(
        self, lines: Sequence[bytes], filled: Sequence[int], first: int
    ) -> tuple[pa.Table, list[int], list[Reject]]:
        schema = self._schema
        assert schema is not None
        tables = [schema.empty_table()]
        kept: list[int] = []
        rejects: list[Reject] = []
        for start in range(0, len(filled), _PIECE_LINES):
            piece = filled[start : start + _PIECE_LINES]
            table = _parse_block(b"\n".join(lines[at] for at in piece), schema, len(piece))
            if table is not None:
                tables.append(table)
                kept += piece
                continue
            objects = []
            for at in piece:
                outcome = _object(lines[at], schema)
                if isinstance(outcome, str):
                    rejects.append(Reject(first + at, outcome, _text(lines[at])))
                else:
                    objects.append(outcome)
                    kept.append(at)
            tables.append(pa.Table.from_pylist(objects, schema=schema))
        return pa.concat_tables(tables), kept, rejects

    def _probe(self, lines: Sequence[bytes]) -> pa.Schema:
        """Return the Arrow schema: declared types, and for the rest those of the first lines."""
        found = self._held
        for count, line in enumerate(lines):
            if count >= _PROBED_LINES and all(name in found for name in self._undeclared):
                break
            try:
                value = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if not isinstance(value, dict):
                continue
            for name, item in value.items():
                self._names.setdefault(name)
                if item is not None and (found.get(name) is None or isinstance(item, float)):
                    found[name] = item
        return pa.schema(
            [
                (name, kind_of(spelling) or _arrow_type(found.get(name)))
                for name, spelling in self._wanted.items()
            ]
        )


def _arrow_type(value: Any) -> pa.DataType:
    if isinstance(value, bool):
        return pa.bool_()
    if isinstance(value, int):
        return pa.int64()
    return pa.float64() if isinstance(value, float) else pa.string()


def _parse_block(block: bytes, schema: pa.Schema, rows: int) -> pa.Table | None:
    """Parse the block with Arrow; return None if Arrow refuses it or finds another number of
    objects than there are lines.
    """
    if not rows:
        return schema.empty_table()
    try:
        block.decode("utf-8")
        table = arrow_json.read_json(
            pa.BufferReader(block),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(block) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowException, UnicodeDecodeError):
        return None
    return table if table.num_rows == rows else None


def _object(line: bytes, schema: pa.Schema) -> dict[str, Any] | str:
    """Return the wanted values of one line, or the reason why it is rejected."""
    try:
        pairs = json.loads(line.decode("utf-8"), object_pairs_hook=_Pairs)
    except UnicodeDecodeError as error:
        return f"not UTF-8 at byte {error.start} of the line"
    except json.JSONDecodeError as error:
        return f"not JSON: {error.msg} at character {error.pos}"
    except (ValueError, RecursionError):
        return "not JSON that can be read: nested too deeply or a number too long"
    if not isinstance(pairs, _Pairs):
        return f"not a JSON object but {_json_name(pairs)}"
    values = dict(pairs)
    if len(values) != len(pairs):
        names = [name for name, _ in pairs]
        return f"{next(name for name in names if names.count(name) > 1)}: given more than once"
    row = {}
    for column in schema:
        value = values.get(column.name)
        problem = _mismatch(value, column.type)
        if problem is not None:
            return f"{column.name}: {problem}"
        row[column.name] = value
    return row


class _Pairs(list[tuple[str, Any]]):
    """The members of an object as pairs, so that repeated names are not lost."""


def _mismatch(value: Any, kind: pa.DataType) -> str | None:
    if value is None:
        return None
    if pa.types.is_list(kind):
        if not isinstance(value, list) or isinstance(value, _Pairs):
            return f"expected an array, found {_json_name(value)}"
        problems = (_mismatch(item, kind.value_type) for item in value)
        return next((f"in the array: {problem}" for problem in problems if problem), None)
    fits: bool
    if pa.types.is_integer(kind):
        name = "an integer of 64 bits"
        fits = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    elif pa.types.is_floating(kind):
        name = "a number"
        fits = isinstance(value, int | float) and not isinstance(value, bool)
    elif pa.types.is_boolean(kind):
        name = "true or false"
        fits = isinstance(value, bool)
    else:
        name = "a string"
        fits = isinstance(value, str)
    return None if fits else f"expected {name}, found {_json_name(value)}"


def _json_name(value: Any) -> str:
    if isinstance(value, _Pairs | dict):
        return "an object"
    if isinstance(value, list):
        return "an array"
    if isinstance(value, str):
        return "a string"
    return json.dumps(value)[:40]


def _text(line: bytes) -> str:
    return line.rstrip(b"\r").decode("utf-8", "backslashreplace")
