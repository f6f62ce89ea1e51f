"""The query string, read strictly by the core, which refuses ambiguous or unreadable ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from fscore.errors import MalformedRequest
from fscore.serving import ReadQuery, parse_query
from fscore_server.problems import Problem

# The types of inputs that a query string can hold.
TYPES = frozenset(
    {"Int64", "String", "Float64", "Float32", "Bool", "Timestamp", "Timestamp[s]"},
)

_T = TypeVar("_T")


def parse(query: bytes) -> dict[str, str]:
    """Return the parameters by name.

    Raises `malformed_query` for a broken percent escape or text that is not UTF-8, and
    `invalid_request` for a parameter given twice.
    """
    return dict(_read(parse_query, query))


def read_request(query: bytes) -> ReadQuery:
    """Return the read that a query string asks for. Raises the same problems as `parse`."""
    return _read(ReadQuery, query)


def _read(reader: Callable[[bytes], _T], query: bytes) -> _T:
    try:
        return reader(query)
    except MalformedRequest as error:
        # The library's error stands for a malformed body, so a query string gets its own kind.
        problem = Problem("malformed_query", str(error))
    raise problem
