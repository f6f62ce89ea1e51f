"""The CPU that a Redis server spends on commands, by its own count.

The bytes that a client would send are recorded once and sent again and again, so that neither the
client's speed nor its wake-ups count.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from bench.measure.resp import Connection
from bench.measure.servers import Server


@dataclass(frozen=True)
class Recorded:
    """`payload` asks for `reads` reads; `size` is the number of bytes of their answers."""

    payload: bytes
    size: int
    reads: int


@dataclass(frozen=True)
class Cost:
    """Microseconds of Redis's CPU per read: in total, and inside of the commands."""

    cpu: float
    commands: float


def costs(
    server: Server, recorded: Mapping[str, Recorded], rounds: int, seconds: float
) -> dict[str, list[Cost]]:
    """Measure in interleaved rounds, about `seconds` of CPU for each recorded payload."""
    sender = Connection.tcp("127.0.0.1", server.port)
    repeats = {name: _repeats(server, sender, one, seconds) for name, one in recorded.items()}
    found: dict[str, list[Cost]] = {name: [] for name in recorded}
    for _ in range(rounds):
        for name, one in recorded.items():
            before = command_seconds(server)
            cpu = spend(server, sender, one.payload, one.size, repeats[name])
            inside = command_seconds(server) - before
            reads = repeats[name] * one.reads
            found[name].append(Cost(cpu / reads * 1e6, inside / reads * 1e6))
    sender.close()
    return found


def spend(server: Server, sender: Connection, payload: bytes, size: int, repeats: int) -> float:
    """Send `payload` this often and read the answers; return the server's CPU seconds for it."""
    buffer = bytearray(1 << 18)
    before = server.cpu_seconds()
    for _ in range(repeats):
        sender.sock.sendall(payload)
        left = size
        while left:
            left -= sender.sock.recv_into(buffer, min(left, len(buffer)))
    return server.cpu_seconds() - before


def command_seconds(server: Server) -> float:
    """Return the seconds that the server has spent inside of commands, by its statistics.

    The server counts a command that a script or a transaction calls twice: by itself and as a
    part of EVALSHA or EXEC. So EVALSHA and EXEC are left out. INFO is left out too, because the
    measuring itself sends it.
    """
    spent = 0.0
    for name, text in server.info("commandstats").items():
        if name not in ("cmdstat_info", "cmdstat_exec", "cmdstat_evalsha"):
            spent += float(text.split("usec=", 1)[1].split(",", 1)[0])
    return spent / 1e6


def middle(costs: list[Cost], figure: str) -> float:
    return statistics.median(getattr(cost, figure) for cost in costs)


def _repeats(server: Server, sender: Connection, one: Recorded, seconds: float) -> int:
    warm = max(spend(server, sender, one.payload, one.size, 5) / 5, 1e-6)
    return max(3, min(20_000, round(seconds / warm)))
