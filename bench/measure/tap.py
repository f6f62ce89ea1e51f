"""A relay that records what a client and the server exchange, for the floor to replay."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise


@dataclass
class Exchange:
    """A client's side of a recording: `handshake`, and per read its bytes and the reply's size."""

    handshake: bytes = b""
    calls: dict[tuple[int, ...], tuple[bytes, int]] = field(default_factory=dict)


@dataclass
class _Talk:
    sent: bytearray = field(default_factory=bytearray)
    received: int = 0

    def mark(self) -> tuple[int, int]:
        return len(self.sent), self.received


class Tap:
    """Listens at `path`, relays every connection to `target` and records it."""

    def __init__(self, path: str, target: str) -> None:
        self.path = path
        self._target = target
        self._talks: list[_Talk] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._stop, self._stopped = os.pipe()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        os.close(self._stopped)
        self._thread.join()
        self._listener.close()
        os.close(self._stop)

    def record(self, batches: list[list[int]], call: Callable[[list[int]], object]) -> Exchange:
        """Make each call and record its exchange; the call must return only with its whole answer.

        Two unrecorded calls come first, for anything that happens only once.
        """
        for ids in batches[:2]:
            call(ids)
        marks = [[talk.mark() for talk in self._talks]]
        for ids in batches:
            call(ids)
            marks.append([talk.mark() for talk in self._talks])
        first, last = marks[0], marks[-1]
        busy = [i for i, mark in enumerate(last) if mark not in first[i : i + 1]]
        if len(busy) != 1 or len(first) != len(last):
            raise RuntimeError(f"the reads used {len(busy)} connections; the floor replays one")
        (one,) = busy
        sent = self._talks[one].sent
        exchange = Exchange(bytes(sent[: first[one][0]]))
        for ids, (before, after) in zip(batches, pairwise(marks), strict=True):
            (start, had), (end, has) = before[one], after[one]
            exchange.calls[tuple(ids)] = (bytes(sent[start:end]), has - had)
        return exchange

    def _accept(self) -> None:
        peers: dict[socket.socket, tuple[socket.socket, _Talk, bool]] = {}
        while True:
            watched = [self._stop, self._listener.fileno(), *map(socket.socket.fileno, peers)]
            ready, _, _ = select.select(watched, [], [])
            if self._stop in ready:
                break
            if self._listener.fileno() in ready:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._target)
                talk = _Talk()
                self._talks.append(talk)
                peers[client], peers[server] = (server, talk, True), (client, talk, False)
            for source in [s for s in peers if s.fileno() in ready]:
                self._relay(source, peers)
        for source in peers:
            source.close()

    @staticmethod
    def _relay(
        source: socket.socket, peers: dict[socket.socket, tuple[socket.socket, _Talk, bool]]
    ) -> None:
        if source not in peers:
            return
        other, talk, outward = peers[source]
        data = source.recv(1 << 16)
        if not data:
            for end in (source, other):
                peers.pop(end, None)
                end.close()
            return
        # Recorded before it is passed on, so the record is complete when the client's call returns.
        if outward:
            talk.sent += data
        else:
            talk.received += len(data)
        other.sendall(data)


@contextlib.contextmanager
def tapped(target: str) -> Iterator[Tap]:
    with tempfile.TemporaryDirectory(prefix="fscore-tap-") as folder:
        tap = Tap(f"{folder}/tap.sock", target)
        try:
            yield tap
        finally:
            tap.close()
