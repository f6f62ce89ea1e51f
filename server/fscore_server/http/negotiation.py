"""Content negotiation: the media type of an answer, and the check of a body's media type."""

from __future__ import annotations

from collections.abc import Sequence

from fscore_server.http.limits import header
from fscore_server.problems import Header, Problem


def response_type(headers: list[Header], offered: Sequence[bytes]) -> bytes:
    """Return the offered type that `Accept` prefers; the first one if it has no preference.

    Raises `not_acceptable` if it excludes them all.
    """
    accept = header(headers, b"accept")
    if accept is None or accept == b"*/*" or accept == offered[0]:
        return offered[0]
    accept = b",".join(value for name, value in headers if name == b"accept")
    ranges = [_media_range(part) for part in accept.split(b",") if part.strip()]
    if not ranges:
        return offered[0]
    best = max(offered, key=lambda media_type: _quality(media_type, ranges))
    if _quality(best, ranges) == 0:
        raise Problem(
            "not_acceptable",
            f"This route answers in {b' or '.join(offered).decode()} only.",
        )
    return best


def require_json(headers: list[Header]) -> None:
    """Raise `unsupported_media_type` unless the body is, or may be, plain JSON."""
    coding = header(headers, b"content-encoding")
    if coding is not None and coding.strip().lower() != b"identity":
        raise Problem(
            "unsupported_media_type",
            "Compressed bodies are not read; send the JSON as it is.",
            headers=[(b"accept-encoding", b"identity")],
        )
    content_type = header(headers, b"content-type")
    if content_type is None or content_type == b"application/json":
        return
    media_type, _, parameters = content_type.partition(b";")
    charset = parameters.strip().lower().replace(b'"', b"")
    if media_type.strip().lower() != b"application/json" or charset not in (b"", b"charset=utf-8"):
        raise Problem(
            "unsupported_media_type",
            "The body is JSON in UTF-8: send Content-Type: application/json.",
            headers=[(b"accept-post", b"application/json")],
        )


def _media_range(part: bytes) -> tuple[bytes, float]:
    media_type, *parameters = (piece.strip().lower() for piece in part.split(b";"))
    for parameter in parameters:
        name, _, value = parameter.partition(b"=")
        if name.strip() == b"q":
            return media_type, _weight(value.strip())
    return media_type, 1.0


def _weight(value: bytes) -> float:
    # float() also reads "nan", "1e3" and "1_0", which are not valid weights.
    if not value or value.strip(b"0123456789.") or value.count(b".") > 1 or value == b".":
        return 0.0
    return min(1.0, float(value))


def _quality(media_type: bytes, ranges: list[tuple[bytes, float]]) -> float:
    """Return the weight of the most specific range that contains the type; 0 if none does."""
    family = media_type.partition(b"/")[0] + b"/*"
    for wanted in (media_type, family, b"*/*"):
        weights = [weight for name, weight in ranges if name == wanted]
        if weights:
            return max(weights)
    return 0.0
