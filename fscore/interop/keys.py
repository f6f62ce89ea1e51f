"""Join keys of a read from tables and columns of every form.

The core reads dicts, lists and arrays of integers itself, and asks here for all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fscore.errors import InvalidKeys, InvalidValue
from fscore.interop.column import Column, as_type
from fscore.interop.columns import column, converting, frame

__all__ = ["ids", "key_column", "key_columns"]


def key_columns(keys: Any, join_keys: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Return a column for each join key; `join_keys` are their names and types.

    `keys` is a table, whose other columns are ignored unless it is a list of dicts; or a column, if
    there is one join key. Raises InvalidKeys, which names the join key and the row.
    """
    try:
        table = frame(keys, "keys")
    except InvalidValue as error:
        raise InvalidKeys(error.message, row=error.row) from None
    names = [name for name, _ in join_keys]
    if table is None:
        if len(names) > 1:
            several = ", ".join(f'"{name}": […]' for name in names)
            raise InvalidKeys(f"there are several join keys; give a dict {{{several}}}")
        return {name: key_column(name, kind, keys) for name, kind in join_keys}
    if table.is_strict and (stray := [name for name in table.names if name not in names]):
        raise InvalidKeys(
            f'"{stray[0]}" is not a join key here; the join keys are {", ".join(names)}',
            join_key=stray[0],
        )
    if table.names and (missing := [name for name in names if name not in table]):
        raise InvalidKeys(
            f"the keys have no column {missing[0]}; they have {', '.join(table.names)}",
            join_key=missing[0],
        )
    try:
        return {name: ids(name, kind, table[name]) for name, kind in join_keys}
    except InvalidValue as error:
        raise InvalidKeys(error.message, join_key=error.feature, row=error.row) from None


def key_column(name: str, kind: str, values: Any) -> Any:
    """Return the ids of a column; None if it is one value instead of a column.

    An iterator is not a column here, because a read may have to be sent again.
    """
    if isinstance(values, Iterator):
        return None
    try:
        with converting(f"join key {name}", name):
            read = column(values)
    except InvalidValue as error:
        raise InvalidKeys(error.message, join_key=name) from None
    return None if read.is_one_value else ids(name, kind, read)


def ids(name: str, kind: str, read: Column) -> Any:
    """Return the ids of a column; InvalidKeys if one is null. The core checks those of lists."""
    if read.nulls is not None and read.nulls.any():
        row = int(read.nulls.argmax())
        raise InvalidKeys(f"join key {name} (row {row}) is null", join_key=name, row=row)
    return as_type(read, kind).values
