"""Every vector of `tests/vectors/resp`, parsed by the extension and compared with hiredis.

The same files are read by `rust/core/tests/resp_vectors.rs`.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import hiredis
import pytest

from fscore._fscore import ReplyParser
from fscore.errors import FscoreError, ProtocolError

VECTORS = Path(__file__).parents[1] / "vectors" / "resp"
# The parser for tools has no settings for these.
OTHER_LIMITS = {"line", "attributes", "aggregate"}


def _cases() -> Iterator[dict[str, Any]]:
    for path in sorted(VECTORS.glob("*.json")):
        for case in json.loads(path.read_text("utf-8"))["cases"]:
            if not OTHER_LIMITS & case.get("limits", {}).keys():
                yield case


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode("latin-1")
    return b"".join(
        piece.encode("latin-1") if isinstance(piece, str) else piece[0].encode("latin-1") * piece[1]
        for piece in value
    )


def _value(tree: Any) -> Any:
    """Return the expected result of a vector in a comparable form, with errors as texts."""
    if tree is None:
        return None
    ((kind, content),) = tree.items()
    match kind:
        case "blob":
            return _bytes(content)
        case "simple":
            return _bytes(content).decode("utf-8", "replace")
        case "error":
            return "error"
        case "integer" | "boolean":
            return content
        case "double":
            return "nan" if content == "nan" else float(content)
        case "big_number":
            return int(content)
        case "array" | "push":
            return [_value(item) for item in content]
        case "map":
            return [(_value(key), _value(value)) for key, value in content]
    raise AssertionError(kind)


def _comparable(value: Any) -> Any:
    if isinstance(value, FscoreError):
        return "error"
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    if isinstance(value, tuple):
        # A map with keys that a dict cannot have.
        return tuple(_comparable(item) for item in value)
    if isinstance(value, dict):
        return [(key, _comparable(item)) for key, item in value.items()]
    return value


CASES = list(_cases())
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])


def _check(case: dict[str, Any], pieces: Iterable[bytes]) -> None:
    limits = case.get("limits", {})
    parser = ReplyParser(
        max_depth=limits.get("depth", 32), max_length=limits.get("blob", 512 << 20)
    )
    replies: list[Any] = []

    def feed_all() -> None:
        for piece in pieces:
            parser.feed(piece)
            replies.extend(parser)

    if "error" in case:
        place = rf"\(byte {case['error']['offset']} of the stream\)"
        with pytest.raises(ProtocolError, match=place):
            feed_all()
    else:
        feed_all()
    found = [_comparable(reply) for reply in replies]
    expected = [_value(tree) for tree in case["replies"]]
    if "error" in case:
        # Replies before the error in the same piece may be lost with it.
        assert found == expected[: len(found)]
    else:
        assert found == expected


@cases
def test_whole(case: dict[str, Any]) -> None:
    _check(case, [_bytes(case["bytes"])])


@cases
def test_byte_by_byte(case: dict[str, Any]) -> None:
    data = _bytes(case["bytes"])
    _check(case, (data[index : index + 1] for index in range(len(data))))


@cases
def test_at_random_splits(case: dict[str, Any]) -> None:
    data = _bytes(case["bytes"])
    choices = random.Random(case["name"])
    for _ in range(5):
        cuts = sorted(choices.randint(0, len(data)) for _ in range(choices.randint(1, 10)))
        ends = [*cuts, len(data)]
        _check(case, [data[a:b] for a, b in zip([0, *cuts], ends, strict=True)])


@cases
def test_with_trailing_bytes(case: dict[str, Any]) -> None:
    if case.get("incomplete") or "error" in case:
        return
    _check(case, [_bytes(case["bytes"]) + b"$7\r\ntrail"])


@pytest.mark.parametrize(
    "case",
    # hiredis returns attributes as replies.
    [case for case in CASES if "RESP" in case["name"] and "ATTRIB" not in case["name"]],
    ids=lambda case: case["name"],
)
def test_captured_replies_are_what_hiredis_reads(case: dict[str, Any]) -> None:
    data = _bytes(case["bytes"])
    reader = hiredis.Reader(errors=None)
    reader.feed(data)
    parser = ReplyParser()
    parser.feed(data)
    for reply in parser:
        theirs = reader.gets()
        assert _like_hiredis(_comparable(reply)) == _like_hiredis(theirs)


def _like_hiredis(value: Any) -> Any:
    """Convert either parser's value to one form: hiredis has bytes for statuses and big numbers."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, dict):
        return [(_like_hiredis(key), _like_hiredis(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [_like_hiredis(item) for item in value]
    if isinstance(value, tuple):
        return tuple(_like_hiredis(item) for item in value)
    if isinstance(value, int) and abs(value) > 2**63:
        return str(value).encode()
    if isinstance(value, FscoreError | hiredis.ReplyError):
        return b"error"
    return value


def test_a_bound_on_the_tree() -> None:
    parser = ReplyParser(max_length=1000)
    parser.feed(b"*1000\r\n" + b"*0\r\n" * 1000)
    with pytest.raises(ProtocolError, match="more than 2000 bytes"):
        parser.next()
    parser.feed(b"+after\r\n")
    assert parser.next() == "after"


def test_more_bytes_are_needed() -> None:
    parser = ReplyParser()
    with pytest.raises(StopIteration):
        parser.next()
