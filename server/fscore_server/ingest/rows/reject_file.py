"""The file of rejects beside an input file."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import IO

from fscore_server.ingest.formats.bytes import STANDARD_INPUT
from fscore_server.ingest.rows.failures import InputError, Reject

__all__ = ["RejectFile"]


class RejectFile:
    """`<input>.rejects.ndjson`, with one JSON object for each rejected row; only made if there are
    any.

    If `write` is False, rejects are only counted.
    """

    def __init__(self, source: Path, folder: Path | None, *, write: bool) -> None:
        name = "stdin" if source == STANDARD_INPUT else source.name
        self.path = (folder or source.parent) / f"{name}.rejects.ndjson"
        self.count = 0
        self.reasons: dict[str, int] = {}
        self.examples: list[Reject] = []
        self.written = write
        self._file: IO[str] | None = None

    def add(self, rejects: Iterable[Reject]) -> None:
        """Count rejects and write them to the file."""
        for reject in rejects:
            self.count += 1
            kind = reject.reason.partition(", found ")[0]
            if len(self.reasons) < 100 or kind in self.reasons:
                self.reasons[kind] = self.reasons.get(kind, 0) + 1
            if len(self.examples) < 3:
                self.examples.append(reject)
            if self.written:
                entry = {"line": reject.line, "reason": reject.reason, "raw": reject.raw}
                self._open().write(json.dumps(entry, ensure_ascii=False) + "\n")

    def close(self) -> None:
        """Finish the file. If this load had no rejects, remove the file of an earlier load."""
        if self._file is not None:
            self._file.close()
        elif self.written and not self.count:
            try:
                self.path.unlink(missing_ok=True)
            except OSError as error:
                raise self._unwritable(error) from error

    def _open(self) -> IO[str]:
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8")
            except OSError as error:
                raise self._unwritable(error) from error
        return self._file

    def _unwritable(self, error: OSError) -> InputError:
        return InputError(
            f"cannot write the rejects to {self.path}: {error.strerror};"
            " choose a folder for them with --rejects-dir"
        )
