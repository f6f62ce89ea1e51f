"""The parser of requests, and what it needs to be told."""

from __future__ import annotations

import httptools

from fscore_server.problems import Header

_UPGRADE = frozenset({b"upgrade", b"http2-settings"})


def read_on(parser: httptools.HttpRequestParser) -> None:
    """Has a parser read behind a request that says `Connection: close`.

    It takes that field of a trailer for one of the header and would read nothing from then on.
    """
    parser.set_dangerous_leniencies(lenient_keep_alive=True)


def without_upgrade(method: bytes, url: bytes, headers: list[Header]) -> bytes:
    """The header of a request that offers another protocol, as if it did not.

    A server may answer it so, but a parser stops behind such a header, body or not. Java's client,
    among others, offers HTTP/2 with every first request.
    """
    lines = [b"%s %s HTTP/1.1" % (method, url)]
    for name, value in headers:
        if name == b"connection":
            options = [option.strip() for option in value.lower().split(b",")]
            value = b", ".join(option for option in options if option not in _UPGRADE)
        if name not in _UPGRADE:
            lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", b""])
