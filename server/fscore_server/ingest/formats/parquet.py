"""Parquet: only the wanted columns are read, a batch of rows at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from fscore_server.ingest.formats.bytes import reading
from fscore_server.ingest.formats.chunk import Chunk, absent
from fscore_server.ingest.rows.failures import missing_columns

__all__ = ["ParquetFile"]

_BATCH_ROWS = 65_536


class ParquetFile:
    """One open Parquet file. Its rejects have row numbers from 1 in place of line numbers."""

    def __init__(self, path: Path, wanted: Sequence[str]) -> None:
        self.path = path
        with reading(path):
            self._file = pq.ParquetFile(path)
        lacking = absent(wanted, self._file.schema_arrow.names)
        if lacking:
            present = list(self._file.schema_arrow.names)
            self._file.close()
            raise missing_columns(path, lacking, present)
        self._wanted = list(wanted)
        self.size = path.stat().st_size
        self._total: int = max(self._file.metadata.num_rows, 1)
        self._rows = 0

    @property
    def position(self) -> int:
        return self.size * self._rows // self._total

    def close(self) -> None:
        self._file.close()

    def chunks(self) -> Iterator[Chunk]:
        batches = self._file.iter_batches(batch_size=_BATCH_ROWS, columns=self._wanted)
        while True:
            with reading(self.path):
                batch = next(batches, None)
            if batch is None:
                return
            frame = pl.from_arrow(batch)
            assert isinstance(frame, pl.DataFrame)
            first = self._rows + 1
            self._rows += frame.height
            yield Chunk(frame.select(self._wanted), _locator(frame, first))


def _locator(frame: pl.DataFrame, first: int) -> Callable[[Sequence[int]], list[tuple[int, str]]]:
    def locate(rows: Sequence[int]) -> list[tuple[int, str]]:
        records = frame[list(rows)].to_dicts()
        texts = (json.dumps(record, default=str, ensure_ascii=False) for record in records)
        return [(first + row, text) for row, text in zip(rows, texts, strict=True)]

    return locate
