"""The decompressed bytes of an input file, and the position in the file on disk, for progress.

The file `-` is the standard input, whose size is not known.
"""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

import pyarrow as pa

from fscore_server.ingest.rows.failures import InputError

__all__ = ["COMPRESSIONS", "READ_BYTES", "STANDARD_INPUT", "Stream", "open_stream", "reading"]

READ_BYTES = 4 << 20

STANDARD_INPUT = Path("-")

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".lz4": "lz4"}


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Stream:
    """Decompressed bytes of one file."""

    def __init__(self, path: Path, file: BinaryIO, content: _Readable) -> None:
        self._path = path
        self._file = file
        self._content = content
        self.size: int | None = os.fstat(file.fileno()).st_size

    def read(self) -> bytes:
        """Return the next bytes, some MiB; they are empty only at the end of the file."""
        with reading(self._path):
            return bytes(self._content.read(READ_BYTES))

    @property
    def position(self) -> int:
        """How many bytes of the file on disk have been read."""
        return self._file.tell()

    def close(self) -> None:
        if self._content is not self._file:
            self._content.close()
        self._file.close()


class _StandardInput(Stream):
    """The standard input, read as it arrives: a line must not wait until some MiB have arrived."""

    def __init__(self) -> None:
        self.size = None
        self._taken = 0

    def read(self) -> bytes:
        data = os.read(sys.stdin.fileno(), READ_BYTES)
        self._taken += len(data)
        return data

    @property
    def position(self) -> int:
        return self._taken

    def close(self) -> None:
        """Leave the standard input open: it belongs to the process."""


def open_stream(path: Path) -> Stream:
    """Open a file for reading, decompressed by its ending: .gz, .zst, .bz2 or .lz4."""
    if path == STANDARD_INPUT:
        return _StandardInput()
    with reading(path):
        file = path.open("rb")
    compression = COMPRESSIONS.get(path.suffix.lower())
    if compression is None:
        return Stream(path, file, file)
    if compression == "gzip":
        # Unlike Arrow's, the standard library's reader reports a file that was cut short.
        return Stream(path, file, cast(_Readable, gzip.GzipFile(fileobj=file)))
    return Stream(path, file, pa.CompressedInputStream(pa.PythonFile(file, mode="r"), compression))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn exceptions of reading a file into `InputError`, with a message of one line."""
    try:
        yield
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a folder; name the files to load") from error
    except EOFError as error:
        raise InputError(
            f"{path}: the compressed file is cut short; copy or download it again"
        ) from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path}: not a valid gzip file: {error}") from error
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{path}: cannot read: {error}") from error
