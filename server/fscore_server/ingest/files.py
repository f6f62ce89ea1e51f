"""Which reader a file gets."""

from __future__ import annotations

from pathlib import Path

from fscore_server.ingest.chunk import Reader
from fscore_server.ingest.csv_file import CsvFile
from fscore_server.ingest.failures import InputError
from fscore_server.ingest.ndjson_file import NdjsonFile
from fscore_server.ingest.parquet_file import ParquetFile
from fscore_server.ingest.plan import LoadPlan
from fscore_server.ingest.stream import COMPRESSIONS, reading

__all__ = ["FORMATS", "format_of", "open_file"]

FORMATS = ("csv", "tsv", "ndjson", "parquet")

_ENDINGS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".ndjson": "ndjson",
    ".jsonl": "ndjson",
    ".json": "ndjson",
    ".parquet": "parquet",
    ".pq": "parquet",
}


def format_of(path: Path) -> str:
    """The format by the file's ending, compression aside."""
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in COMPRESSIONS:
        endings.pop()
    found = _ENDINGS.get(endings[-1]) if endings else None
    if found is None:
        raise InputError(
            f"{path}: the ending says no format; say it with --format {'|'.join(FORMATS)}"
            f" or end the name in {', '.join(_ENDINGS)},"
            f" and {', '.join(COMPRESSIONS)} when compressed"
        )
    return found


def open_file(path: Path, plan: LoadPlan, format_name: str | None = None) -> Reader:
    """Open one input file for the columns that the plan reads."""
    with reading(path):
        if not path.exists():
            raise FileNotFoundError
        if path.is_dir():
            raise IsADirectoryError
    chosen = format_name or format_of(path)
    if chosen == "parquet":
        return ParquetFile(path, list(plan.columns))
    if chosen == "ndjson":
        return NdjsonFile(path, plan.columns)
    return CsvFile(path, list(plan.columns), delimiter="\t" if chosen == "tsv" else ",")
