"""Encoding and decoding shared by the contestants that use no client library.

A careful programmer would write it like this for this one read in plain Python: everything that
does not depend on the ids is made once, and a batch is one `join`.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

from bench.measure.resp import encode
from bench.measure.servers import Server
from bench.measure.workload import Workload
from bench.peers import Matrix

Row = list[bytes]


class Commands:
    """One HMGET (or HGETALL) per id, with its row decoder."""

    def __init__(self, workload: Workload) -> None:
        self._fields = [name.encode() for name in workload.asked]
        everything = workload.command == "HGETALL"
        fields = [] if everything else self._fields
        head, tail = encode(workload.command, "KEY", *fields).split(b"$3\r\nKEY\r\n")
        prefix, suffix = workload.key(0).split("{0}")
        self._extra = len(prefix) + len(suffix) + 2
        self._template = head + b"$%d\r\n" + prefix.encode() + b"{%b}" + suffix.encode() + b"\r\n"
        self._template += tail.replace(b"%", b"%%")
        self.decode = self._all_fields if everything else self._asked_fields

    def encode(self, ids: list[int]) -> bytes:
        template, extra = self._template, self._extra
        raw = [b"%d" % identifier for identifier in ids]
        return b"".join([template % (len(text) + extra, text) for text in raw])

    @staticmethod
    def _asked_fields(rows: Sequence[Row]) -> Matrix:
        return [list(map(float, row)) for row in rows]

    def _all_fields(self, rows: Sequence[Row]) -> Matrix:
        fields = self._fields
        found = [dict(zip(row[::2], row[1::2], strict=True)) for row in rows]
        return [[float(values[name]) for name in fields] for values in found]


def connect(server: Server, transport: str) -> socket.socket:
    if transport == "unix":
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(server.path)
        return sock
    sock = socket.create_connection(("127.0.0.1", server.port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock
