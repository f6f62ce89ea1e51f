"""CSV and TSV: a header line, then rows. Arrow parses whole blocks; a block that Arrow may misread
is read record by record.

A file is text in UTF-8. An empty cell, quoted or not, is a missing value. Rows with another number
of columns than the header, and malformed rows, become rejects; the rows around them are read.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyarrow import csv as arrow_csv

from fscore_server.ingest.formats.bytes import Stream, open_stream
from fscore_server.ingest.formats.chunk import Chunk, absent
from fscore_server.ingest.rows.failures import InputError, Reject, missing_columns

__all__ = ["CsvFile"]

_BOM = b"\xef\xbb\xbf"
_LONGEST_LINE = 16 << 20
# A quote that is never closed must not swallow the rest of the file, so the first line of a longer
# record is rejected.
_RECORD_LINES = 100
_RECORD_BYTES = 1 << 20
_OPEN_QUOTE = "a quote is opened and not closed"


class CsvFile:
    """One open CSV file. Its header is read at once, so that missing columns are reported first."""

    def __init__(self, path: Path, wanted: Sequence[str], *, delimiter: str = ",") -> None:
        self.path = path
        self._delimiter = delimiter
        self._stream: Stream = open_stream(path)
        self._buffer = b""
        self._line = 1
        try:
            self.columns = self._header()
            lacking = absent(wanted, self.columns)
            if lacking:
                raise missing_columns(path, lacking, self.columns)
        except BaseException:
            self._stream.close()
            raise
        self._wanted = list(wanted)

    @property
    def size(self) -> int | None:
        return self._stream.size

    @property
    def position(self) -> int:
        return self._stream.position

    def close(self) -> None:
        self._stream.close()

    def chunks(self) -> Iterator[Chunk]:
        ended = False
        while not ended:
            block, ended = self._next_block()
            if not block:
                continue
            chunk, used = self._parse(block, ended)
            self._buffer = block[used:] + self._buffer
            self._line += block.count(b"\n", 0, used)
            if chunk is not None:
                yield chunk

    def _header(self) -> tuple[str, ...]:
        while b"\n" not in self._buffer and self._read():
            pass
        line, _, self._buffer = self._buffer.removeprefix(_BOM).partition(b"\n")
        self._line = 2
        try:
            text = line.decode("utf-8")
            names = next(csv.reader([text], delimiter=self._delimiter, strict=True), [])
        except (UnicodeDecodeError, csv.Error) as error:
            raise InputError(
                f"{self.path}: the header line is not CSV in UTF-8: {error}"
            ) from error
        if not any(names):
            raise InputError(
                f"{self.path}: no header line; the first line of a CSV file names its columns"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InputError(f"{self.path}: the header names {', '.join(twice)} more than once")
        return tuple(names)

    def _read(self) -> bool:
        data = self._stream.read()
        self._buffer += data
        if len(self._buffer) > _LONGEST_LINE and b"\n" not in self._buffer:
            raise InputError(
                f"{self.path}: line {self._line} is longer than {_LONGEST_LINE >> 20} MiB;"
                " is this a CSV file?"
            )
        return bool(data)

    def _next_block(self) -> tuple[bytes, bool]:
        """Return whole lines, and whether they are the last.

        Bytes after the last line end stay in the buffer.
        """
        more = self._read()
        if not more:
            block, self._buffer = self._buffer, b""
            return block, True
        cut = self._buffer.rfind(b"\n") + 1
        block, self._buffer = self._buffer[:cut], self._buffer[cut:]
        return block, False

    def _parse(self, block: bytes, last: bool) -> tuple[Chunk | None, int]:
        chunk = self._parse_block(block)
        if chunk is not None:
            return chunk, len(block)
        return self._parse_records(block, last)

    def _parse_block(self, block: bytes) -> Chunk | None:
        """Parse the block with Arrow; return None if Arrow may have misread it, so that it is read
        record by record.
        """
        if block.count(b'"') % 2 or not _is_utf8(block):
            return None
        invalid: list[Any] = []

        def skip(row: Any) -> str:
            invalid.append(row)
            return "skip"

        try:
            table = arrow_csv.read_csv(
                pa.py_buffer(block),
                # Arrow knows the number of a bad row only without threads. They would not help: it
                # parses a block in one piece.
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, column_names=self.columns, block_size=len(block) + 1
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter,
                    newlines_in_values=True,
                    ignore_empty_lines=False,
                    invalid_row_handler=skip,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(self._wanted, pa.string()),
                    include_columns=self._wanted,
                    null_values=[""],
                    strings_can_be_null=True,
                    quoted_strings_can_be_null=True,
                ),
            )
        except pa.ArrowInvalid:
            return None
        total = table.num_rows + len(invalid)
        if total != block.count(b"\n") + (not block.endswith(b"\n")):
            # Some line ends are quoted. Arrow cannot tell whether that is meant or a closing quote
            # is missing.
            return None
        records = np.delete(np.arange(total), [row.number - 1 for row in invalid])
        lines = _Lines(block, self._line)
        return Chunk(
            frame=_frame(table),
            locate=lambda rows: lines.locate([int(records[row]) for row in rows]),
            rejects=[
                Reject(line, _wrong_count(row.actual_columns, row.expected_columns), raw)
                for row, (line, raw) in zip(
                    invalid, lines.locate([row.number - 1 for row in invalid]), strict=True
                )
                if raw.strip()
            ],
        )

    def _parse_records(self, block: bytes, last: bool) -> tuple[Chunk | None, int]:
        """Read the block record by record; return the chunk and the number of bytes read.

        A record may go on in the next block, so some bytes may be left.
        """
        lines = block.split(b"\n")
        if not lines[-1]:
            lines.pop()
        rows: list[list[str]] = []
        places: list[tuple[int, str]] = []
        rejects: list[Reject] = []
        at = used = 0
        while at < len(lines):
            taken, outcome = _record(lines, at, self._delimiter)
            if outcome is None and not last:
                break
            wrong = isinstance(outcome, list) and len(outcome) not in (0, len(self.columns))
            if outcome is None or (wrong and taken > 1):
                # The open quote would swallow the rows after it, so reading goes on with the next
                # line.
                taken, outcome = 1, _OPEN_QUOTE
            raw = b"\n".join(lines[at : at + taken])
            line = self._line + at
            text = raw.rstrip(b"\r").decode("utf-8", "backslashreplace")
            if isinstance(outcome, str):
                rejects.append(Reject(line, outcome, text))
            elif wrong:
                rejects.append(Reject(line, _wrong_count(len(outcome), len(self.columns)), text))
            elif outcome:
                rows.append(outcome)
                places.append((line, text))
            at += taken
            used += len(raw) + 1
        if not used:
            return None, 0
        indices = [self.columns.index(name) for name in self._wanted]
        frame = pl.DataFrame(
            {
                name: pl.Series([row[index] or None for row in rows], dtype=pl.String)
                for name, index in zip(self._wanted, indices, strict=True)
            }
        )
        chunk = Chunk(frame, lambda wanted: [places[row] for row in wanted], rejects)
        return chunk, min(used, len(block))


class _Lines:
    """The lines of a block in which every line is a record."""

    def __init__(self, block: bytes, first: int) -> None:
        self._block = block
        self._first = first
        self._lines: list[str] = []

    def locate(self, records: Sequence[int]) -> list[tuple[int, str]]:
        if not records:
            return []
        if not self._lines:
            self._lines = self._block.decode("utf-8").split("\n")
        return [(self._first + record, self._lines[record].rstrip("\r")) for record in records]


def _record(lines: Sequence[bytes], at: int, delimiter: str) -> tuple[int, list[str] | str | None]:
    """Read one record from `lines[at]` on.

    Returns how many lines it takes, and its cells; or the reason why it is malformed; or None if
    the block ends before the record does.
    """
    taken = 1
    size = len(lines[at])
    while True:
        try:
            text = b"\n".join(lines[at : at + taken]).decode("utf-8")
            source = io.StringIO(text, newline="")
            return taken, next(csv.reader(source, delimiter=delimiter, strict=True), [])
        except UnicodeDecodeError as error:
            return 1, f"not UTF-8 at byte {error.start} of the row" if taken == 1 else _OPEN_QUOTE
        except csv.Error as error:
            if "unexpected end of data" not in str(error):
                return 1, f"not CSV: {error}" if taken == 1 else _OPEN_QUOTE
        # Only a line with a quote in it can close the open cell.
        while True:
            if taken >= _RECORD_LINES or size >= _RECORD_BYTES:
                return 1, _OPEN_QUOTE
            if at + taken >= len(lines):
                return taken, None
            size += len(lines[at + taken])
            taken += 1
            if b'"' in lines[at + taken - 1]:
                break


def _wrong_count(found: int, expected: int) -> str:
    return f"{found} columns, but the header has {expected}"


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _frame(table: Any) -> pl.DataFrame:
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame
