"""The file formats, and the choice of a file's reader."""

from __future__ import annotations

from pathlib import Path

from fscore_server.ingest.formats.bytes import COMPRESSIONS, STANDARD_INPUT, reading
from fscore_server.ingest.formats.chunk import Reader
from fscore_server.ingest.formats.csv import CsvFile
from fscore_server.ingest.formats.ndjson import NdjsonFile
from fscore_server.ingest.formats.parquet import ParquetFile
from fscore_server.ingest.plan import Reading
from fscore_server.ingest.rows.failures import InputError

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
    """Return the format by the file's ending, without that of the compression.

    Raises `InputError` if the ending is not known.
    """
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in COMPRESSIONS:
        endings.pop()
    found = _ENDINGS.get(endings[-1]) if endings else None
    if found is None:
        raise InputError(
            f"{path}: the ending names no known format; give it with --format {'|'.join(FORMATS)}"
            f" or end the name in {', '.join(_ENDINGS)},"
            f" and {', '.join(COMPRESSIONS)} when compressed"
        )
    return found


def open_file(path: Path, wanted: Reading, format_name: str | None = None) -> Reader:
    """Open an input file to read the wanted columns. Raises `InputError` if it cannot be read."""
    if path == STANDARD_INPUT:
        chosen = format_name or "ndjson"
        if chosen == "parquet":
            raise InputError("Parquet is read from files, not from the standard input")
    else:
        with reading(path):
            if not path.exists():
                raise FileNotFoundError
            if path.is_dir():
                raise IsADirectoryError
        chosen = format_name or format_of(path)
    if chosen == "parquet":
        return ParquetFile(path, list(wanted.columns))
    if chosen == "ndjson":
        return NdjsonFile(path, wanted.columns)
    return CsvFile(path, list(wanted.columns), delimiter="\t" if chosen == "tsv" else ",")
