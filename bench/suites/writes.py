"""Measure the cost of writing a row, by view and ordering: `python -m bench.suites.writes`.

Every contestant writes the same number of rows, as columns, with the blocking client. The bare
socket sends HSET commands that were encoded beforehand, 2,000 at a time. Rows of the hash and the
packed layout have five features. Each write brings newer rows than the one before, so that every
row changes what is stored; `older` are rows that change nothing. Rounds are interleaved within a
group. A server's cost for a key grows with the number of its keys, so each group has the server to
itself, and a bare socket of its own to compare with.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

import fscore
from bench.measure import report
from bench.measure.resp import Connection, encode
from bench.measure.servers import KINDS, Server, running
from fscore import Bool, Entity, FeatureView, FlagView, Float64, Int64, Payload, SeriesView, String
from fscore import window as over
from fscore.client.options import Ordering

FIRST_MS = 1_700_000_000_000
PIPELINE = 2_000

user = Entity("user", join_keys={"user_id": Int64})


class Profile(FeatureView, entity=user):
    age: Int64
    visits: Int64
    score: Float64
    ratio: Float64
    country: String


class Packed(FeatureView, entity=user, layout="packed"):
    packed_age: Int64
    packed_visits: Int64
    packed_score: Float64
    packed_ratio: Float64
    packed_country: String


class Timed(FeatureView, entity=Entity("timed", join_keys={"user_id": Int64})):
    timed_age: Int64 = fscore.Feature(ttl="5m")
    timed_visits: Int64
    timed_score: Float64
    timed_ratio: Float64
    timed_country: String


class Events(SeriesView, entity=user):
    price: Float64 = Payload()
    events: Int64 = over.count("1d")


class Trimmed(SeriesView, entity=user, retention="30d", max_events=1_000):
    price: Float64 = Payload()
    trimmed: Int64 = over.count("1d")


class Tiled(SeriesView, entity=user, retention="30d", tile="1h", tile_retention="90d"):
    price: Float64 = Payload()
    tiled: Float64 = over.sum("price", "90d")


class Consent(FlagView, entity=user):
    consent: Bool


VIEWS = (Profile, Packed, Timed, Events, Trimmed, Tiled, Consent)


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rounds: int = 7
    rows: int = 20_000


@dataclass(frozen=True)
class Cost:
    """Microseconds a row in one round: wall time, CPU of this process and of the server."""

    wall: float
    client: float
    server: float


Write = Callable[[], Any]
"""Writes all rows once."""


BARE, ARRIVAL, NEWEST = "HSET, bare socket", "hash, arrival", "hash, event time"
GROUPS = (
    (ARRIVAL, NEWEST, "hash, event time, older"),
    ("hash, arrival, a feature's TTL",),
    ("packed, arrival", "packed, event time"),
    ("series, an event of each", "flag"),
    ("series, trimmed, an event of each", "series, trimmed, 50 events of each"),
    ("series, tiles, an event of each", "series, tiles, 50 events of each"),
)


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    costs: dict[str, list[Cost]] = {}
    shares: dict[str, float] = {BARE: 1.0}
    with running(options.kind) as server:
        with fscore.connect(server.url(), write_timeout=60) as client:
            contestants = _contestants(server, client, options.rows)
            for group in GROUPS:
                server.control.call("FLUSHALL")
                client.apply(fscore.Registry.from_definitions(VIEWS))
                if ARRIVAL in group:
                    _check(server, contestants)
                some = {name: contestants[name] for name in (BARE, *group)}
                measured = _measure(server, some, options)
                shares |= {name: _share(measured[BARE], measured[name]) for name in group}
                costs = {**measured, **costs}
        title = f"Writes: {options.kind} {server.version}, {options.rows:,} rows a round"
    middle = {name: _median(costs[name]) for name in (BARE, *itertools.chain(*GROUPS))}
    lines = [
        (
            name,
            f"{1e6 / cost.wall:,.0f}",
            f"{cost.client:.2f}",
            f"{cost.server:.2f}",
            f"{shares[name]:.0%}",
        )
        for name, cost in middle.items()
    ]
    share = _share(costs[ARRIVAL], costs[NEWEST])
    bars = [report.bar("rows a second, event time : arrival", share, 0.6, "", at_most=False)]
    head = ("rows", "rows a second", "client CPU, µs", "server CPU, µs", "of the bare socket")
    data = {"costs": {name: asdict(cost) for name, cost in middle.items()}, "shares": shares}
    text = report.save(f"writes_{options.kind}", title, data, report.table(head, lines))
    return text, bars


def _share(base: list[Cost], costs: list[Cost]) -> float:
    """Return the rate of rows as a share of the base's rate, the median over rounds."""
    return statistics.median(a.wall / b.wall for a, b in zip(base, costs, strict=True))


def _median(rounds: list[Cost]) -> Cost:
    walls, clients, servers = (
        statistics.median(getattr(cost, name) for cost in rounds)
        for name in ("wall", "client", "server")
    )
    return Cost(walls, clients, servers)


def _contestants(server: Server, client: fscore.Client, count: int) -> dict[str, Write]:
    chance = np.random.default_rng(1)
    users = np.arange(count)
    values = {
        "age": chance.integers(0, 100, count),
        "visits": chance.integers(0, 1_000_000, count),
        "score": chance.random(count),
        "ratio": chance.random(count) * 100,
        "country": [f"country_{one}" for one in chance.integers(0, 200, count)],
    }
    price = np.round(chance.random(count) * 100, 2)
    few = users % (count // 50)
    ticks = itertools.count(1)

    def rows(
        view: str, ordering: Ordering = "arrival", *, prefix: str = "", back: int = 0
    ) -> Write:
        columns = {f"{prefix}{name}": column for name, column in values.items()}

        def write() -> Any:
            time_ms = FIRST_MS + next(ticks) - back
            whole = {"user_id": users, **columns}
            return client.write(view, whole, event_time=time_ms, ordering=ordering)

        return write

    def events(view: str, of: Any) -> Write:
        def write() -> Any:
            times = FIRST_MS + next(ticks) * 100_000 + np.arange(count)
            return client.write(view, {"user_id": of, "price": price, "event_time": times})

        return write

    return {
        "HSET, bare socket": _bare(server, values, count),
        "hash, arrival": rows("profile"),
        "hash, event time": rows("profile", "event_time"),
        "hash, event time, older": rows("profile", "event_time", back=1_000_000),
        "hash, arrival, a feature's TTL": rows("timed", prefix="timed_"),
        "packed, arrival": rows("packed", prefix="packed_"),
        "packed, event time": rows("packed", "event_time", prefix="packed_"),
        "series, an event of each": events("events", users),
        "series, trimmed, an event of each": events("trimmed", users),
        "series, tiles, an event of each": events("tiled", users),
        "series, trimmed, 50 events of each": events("trimmed", few),
        "series, tiles, 50 events of each": events("tiled", few),
        "flag": lambda: client.write(
            "consent", {"user_id": users, "consent": (users + next(ticks)) % 2 == 0}
        ),
    }


def _bare(server: Server, values: dict[str, Any], count: int) -> Write:
    sender = Connection.tcp("127.0.0.1", server.port)
    columns = {name: [_text(value) for value in column] for name, column in values.items()}

    every = []
    for row in range(count):
        pairs = [part for name, column in columns.items() for part in (name, column[row])]
        every.append(encode("HSET", f"user:{{{row}}}:v1", *pairs, "_ts:profile", str(FIRST_MS)))
    batches = [every[start : start + PIPELINE] for start in range(0, count, PIPELINE)]
    encoded = [(b"".join(batch), len(batch)) for batch in batches]

    def write() -> None:
        for commands, replies in encoded:
            sender.sock.sendall(commands)
            for _ in range(replies):
                sender.reply()

    return write


def _text(value: Any) -> str:
    return repr(float(value)) if isinstance(value, float) else str(value)


def _check(server: Server, contestants: dict[str, Write]) -> None:
    """Check that three ways to write a row leave the same hash."""
    stored = []
    for name in ("HSET, bare socket", "hash, arrival", "hash, event time"):
        server.control.call("UNLINK", "user:{7}:v1")
        contestants[name]()
        flat = server.control.call("HGETALL", "user:{7}:v1")
        fields = dict(zip(flat[::2], flat[1::2], strict=True))
        del fields[b"_ts:profile"]
        stored.append(fields)
    assert stored[0] == stored[1] == stored[2], stored


def _measure(
    server: Server, contestants: dict[str, Write], options: Options
) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in contestants}
    for turn in range(options.rounds + 1):
        for name, write in contestants.items():
            wall, cpu, served = time.perf_counter(), time.process_time(), server.cpu_seconds()
            write()
            taken = (
                time.perf_counter() - wall,
                time.process_time() - cpu,
                server.cpu_seconds() - served,
            )
            # The first round creates the keys, so it is not counted.
            if turn:
                costs[name].append(Cost(*(one / options.rows * 1e6 for one in taken)))
    return costs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--server", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--rows", type=int, default=Options.rows)
    given = parser.parse_args()
    options = Options(rounds=given.rounds, rows=given.rows)
    for kind in KINDS if given.server == "both" else (given.server,):
        text, bars = run(replace(options, kind=kind))
        print(text)
        print(report.bars_table(bars), end="\n\n")


if __name__ == "__main__":
    main()
