"""Fingerprints of schemas: the number in a packed row that identifies its columns."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from fscore.model.data_type import DataType


def fingerprint(columns: Sequence[tuple[str, str]]) -> int:
    """Return the fingerprint of columns, each a name and the spelling of a type, in declared order.

    It is the first 32 bits of SHA-256 over `name:type` and a newline for each column. Raises
    ValueError if a type is not valid.

    >>> f"{fingerprint([('age', 'Int64'), ('country', 'String')]):08x}"
    '9e4f7e34'
    """
    lines = (f"{name}:{DataType.parse(spelling)}\n" for name, spelling in columns)
    return int.from_bytes(hashlib.sha256("".join(lines).encode()).digest()[:4], "big")
