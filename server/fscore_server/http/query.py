"""The query string, read strictly by the core: what is ambiguous or unreadable is refused."""

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
    """The parameters by name.

    Raises `malformed_query` for a broken percent escape or text that is not UTF-8, and
    `invalid_request` for a parameter given twice.
    """
    return dict(_read(parse_query, query))


def read_request(query: bytes) -> ReadQuery:
    """What a query string asks to be read; raises likewise."""
    return _read(ReadQuery, query)


def _read(reader: Callable[[bytes], _T], query: bytes) -> _T:
    try:
        return reader(query)
    except MalformedRequest as error:
        # Of the library's errors this is the one for a body.
        problem = Problem("malformed_query", str(error))
    raise problem
