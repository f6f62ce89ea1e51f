"""Corrections for httptools' request parser."""

from __future__ import annotations

import httptools

from fscore_server.problems import Header

_UPGRADE = frozenset({b"upgrade", b"http2-settings"})


def read_on(parser: httptools.HttpRequestParser) -> None:
    """Let a parser read on after a request with `Connection: close`.

    The parser takes such a field in a trailer for one of the header, and would then read no more.
    """
    parser.set_dangerous_leniencies(lenient_keep_alive=True)


def without_upgrade(method: bytes, url: bytes, headers: list[Header]) -> bytes:
    """Return the header of a request that offers another protocol, without the offer.

    Java's client, among others, offers HTTP/2 with every first request. A server may ignore the
    offer, but the parser stops after such a header, even if a body follows.
    """
    lines = [b"%s %s HTTP/1.1" % (method, url)]
    for name, value in headers:
        if name == b"connection":
            options = [option.strip() for option in value.lower().split(b",")]
            value = b", ".join(option for option in options if option not in _UPGRADE)
        if name not in _UPGRADE:
            lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", b""])
