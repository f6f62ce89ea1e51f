"""The query string, read strictly: what is ambiguous or unreadable is refused, not guessed."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from urllib.parse import unquote_to_bytes

from fscore._fscore import parse_moment, parse_timestamp
from fscore_server.problems import Problem

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_HEX = frozenset(b"0123456789abcdefABCDEF")


def parse(query: bytes) -> dict[str, str]:
    """The parameters by name.

    Raises `malformed_query` for a broken percent escape or text that is not UTF-8, and
    `invalid_request` for a parameter given twice.
    """
    parameters: dict[str, str] = {}
    if not query:
        return parameters
    plain = b"%" not in query and b"+" not in query and query.isascii()
    for pair in query.split(b"&"):
        if not pair:
            continue
        raw_name, _, raw_value = pair.partition(b"=")
        if plain:
            name, value = raw_name.decode("ascii"), raw_value.decode("ascii")
        else:
            name, value = _decoded(raw_name), _decoded(raw_value)
        if name in parameters:
            raise Problem(
                "invalid_request",
                f"The parameter {name!r} is given twice; several entities are asked for with POST.",
            )
        parameters[name] = value
    return parameters


def flag(name: str, value: str) -> bool:
    """A parameter that is `true` or `false`."""
    if value not in ("true", "false"):
        raise Problem("invalid_request", f"The parameter {name!r} is true or false, not {value!r}.")
    return value == "true"


def integer(name: str, value: str, *, least: int = -(2**63), most: int = 2**63 - 1) -> int:
    """A parameter that is a decimal integer of 64 bits, in the range given."""
    digits = value[1:] if value.startswith("-") else value
    # int() also reads spaces, underscores and other scripts' digits; and 20 characters hold any
    # 64-bit integer, so a longer one need not be converted to be refused.
    if not digits.isascii() or not digits.isdigit() or len(value) > 20:
        raise Problem(
            "invalid_request", f"The parameter {name!r} is an integer, not {_shown(value)}."
        )
    number = int(value)
    if not least <= number <= most:
        raise Problem("invalid_request", f"The parameter {name!r} is from {least} to {most}.")
    return number


def number(name: str, value: str, *, below: float = math.inf) -> float:
    """A parameter that is a number as JSON writes them, less than `below` and more than its
    negative.
    """
    if _NUMBER.fullmatch(value) is None:
        raise Problem(
            "invalid_request", f"The parameter {name!r} is a number, not {_shown(value)}."
        )
    read = float(value)
    if not -below < read < below:
        raise Problem("invalid_request", f"The parameter {name!r} is beyond its type's range.")
    return read


def moment(name: str, value: str) -> int:
    """A parameter that is RFC 3339 or epoch milliseconds of 1970 to 9999, as the latter."""
    return _moment(name, value, parse_moment)


def timestamp(name: str, value: str) -> int:
    """The same of any year."""
    return _moment(name, value, parse_timestamp)


def _moment(name: str, value: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(value)
    except ValueError as error:
        # An offset that was not escaped: what was a plus has become a space.
        hint = "; in a query string + is written %2B" if " " in value else ""
        detail = f"The parameter {name!r}, {_shown(value)}, {error}{hint}."
    raise Problem("invalid_request", detail)


def _decoded(raw: bytes) -> str:
    raw = raw.replace(b"+", b" ")
    start = raw.find(b"%")
    while start != -1:
        if len(raw) < start + 3 or not _HEX.issuperset(raw[start + 1 : start + 3]):
            raise Problem(
                "malformed_query", "A percent sign is not followed by two hexadecimal digits."
            )
        start = raw.find(b"%", start + 3)
    try:
        return unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise Problem("malformed_query", "The query string is not UTF-8.") from None


def _shown(value: str) -> str:
    return repr(value if len(value) <= 64 else f"{value[:64]}…")
