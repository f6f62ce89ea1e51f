"""Measure Redis's CPU per snapshot of a user's profile and last five clicks.

`python -m bench.suites.snapshot`.

Ways to take one: a Lua script that calls HGETALL; one that calls HMGET or GET; and MULTI/EXEC as
fscore sends it for `consistency="snapshot"`. fscore's plain pipeline, which is not a snapshot, is
there to compare with. All read the clicks by the same command as fscore. The profile has 30
doubles, in a hash or packed. Answers are compared first; then the bytes are sent again (see
bench/measure/redis_cpu.py).
"""

from __future__ import annotations

import argparse
import random
import struct
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import fscore
from bench.measure import report, workload
from bench.measure.core import Core
from bench.measure.redis_cpu import Cost, Recorded, costs, middle
from bench.measure.resp import commands_of, encode
from bench.measure.servers import KINDS, Server, running
from bench.measure.timing import median_ratio
from bench.measure.workload import EVENT_TIME, Layout, Workload, fill
from fscore import (
    FeatureService,
    FeatureView,
    Float64,
    Int64,
    List,
    Payload,
    Registry,
    SeriesView,
    String,
    Timestamp,
    resolve,
    window,
)

STORED = 30
CLICKS = 20
LAST = 5
USERS = 320
# How many snapshots are sent together, in the runs that do not send each alone.
JOINED = 32
AS_OF = EVENT_TIME + 1000

LUA_ALL, LUA_SOME = "Lua, HGETALL", "Lua, HMGET or GET"
MULTI, PLAIN = "fscore, snapshot", "fscore, plain pipeline"
WAYS = (LUA_ALL, LUA_SOME, MULTI, PLAIN)

# KEYS: of the profile and the clicks. ARGV: how many fields, the fields, and the clicks' command.
SCRIPT_ALL = "return {redis.call('HGETALL', KEYS[1]), redis.call(unpack(ARGV))}"
SCRIPT_GET = "return {redis.call('GET', KEYS[1]), redis.call(unpack(ARGV))}"
SCRIPT_SOME = """\
local n = tonumber(ARGV[1])
local profile = redis.call('HMGET', KEYS[1], unpack(ARGV, 2, n + 1))
return {profile, redis.call(unpack(ARGV, n + 2))}"""

# A profile's values in order, and the clicks: members and times, newest first.
Answer = tuple[list[float], list[str], list[int]]


@dataclass(frozen=True)
class Options:
    kinds: tuple[str, ...] = KINDS
    rounds: int = 5
    seconds: float = 0.1


@dataclass(frozen=True)
class Subject:
    """A user population whose profile is in one layout."""

    layout: Layout

    @property
    def profile(self) -> Workload:
        return Workload(1, STORED, STORED, layout=self.layout)

    @property
    def series(self) -> str:
        return f"clicks_{self.layout}"

    def clicks_key(self, user: int) -> str:
        return f"{self.series}:{self.profile.entity}:{{{user}}}"


@dataclass(frozen=True)
class Measured:
    layout: Layout
    joined: bool
    rounds: dict[str, list[Cost]]

    def over_lua(self, other: Measured) -> float:
        """Return the ratio of fscore's snapshot to Lua with HGETALL, measured in `other`."""
        sides = (
            [cost.cpu for cost in some] for some in (self.rounds[MULTI], other.rounds[LUA_ALL])
        )
        return median_ratio(*sides)


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    found: list[dict[str, Any]] = []
    parts = [
        f"A profile of {STORED} doubles and the last {LAST} of {CLICKS} clicks; {options.rounds} "
        "interleaved rounds; medians, µs of the server's CPU a snapshot, by INFO."
    ]
    data: dict[str, Any] = {"options": asdict(options), "servers": {}}
    for kind in options.kinds:
        with running(kind) as server:
            subjects = [Subject(layout) for layout in get_args(Layout)]
            registry = _prepare(server, subjects)
            measured = [
                _measure(server, registry, subject, joined, options)
                for subject in subjects
                for joined in (False, True)
            ]
            title = f"{server.kind} {server.version}"
        found += _bars(title, measured)
        parts.append(f"### {title}\n\n{_table(measured)}")
        data["servers"][title] = [asdict(one) for one in measured]
    parts.append(f"### Bars\n\n{report.bars_table(found)}")
    data["bars"] = found
    return report.save("snapshot", "Atomic snapshots", data, "\n\n".join(parts)), found


def _prepare(server: Server, subjects: Sequence[Subject]) -> Registry:
    """Write profiles, clicks and definitions; clicks are written after docs/storage-format.md."""
    registry = Registry.from_definitions([one for s in subjects for one in _declared(s)])
    for subject in subjects:
        fill(server, STORED, subject.layout)
        commands = []
        for user in range(USERS):
            chooser = random.Random(user)
            members: list[str | int] = []
            for _ in range(CLICKS):
                time = EVENT_TIME - chooser.randrange(3_600_000)
                members += [time, f"product_{chooser.randrange(10_000):04d}#{time}"]
            commands.append(encode("ZADD", subject.clicks_key(user), *members))
        server.control.pipeline(commands)
    with fscore.connect(server.url()) as client:
        client.apply(registry)
    return registry


def _declared(subject: Subject) -> list[Any]:
    profile = subject.profile
    entity = fscore.Entity(profile.entity, join_keys={profile.join_key: Int64})

    class Profile(FeatureView, entity=entity, layout=subject.layout, name=profile.view):
        __annotations__ = dict.fromkeys(workload.feature_names(STORED), Float64)

    class Clicks(SeriesView, entity=entity, name=subject.series):
        product: String = Payload()
        last_clicks: List[String] = window.last(LAST, "product")
        last_click_times: List[Timestamp] = window.last_times(LAST)

    features = [*Profile[profile.asked], Clicks.last_clicks, Clicks.last_click_times]
    return [Profile, Clicks, FeatureService(f"snapshot_{subject.layout}", features=features)]


def _measure(
    server: Server, registry: Registry, subject: Subject, joined: bool, options: Options
) -> Measured:
    users = list(range(JOINED if joined else 1))
    spec = resolve(registry, f"snapshot_{subject.layout}", None, None).to_spec()
    recorded: dict[str, Recorded] = {}
    answers: dict[str, list[Answer]] = {}
    for way, snapshot in ((MULTI, True), (PLAIN, False)):
        core = Core(server, spec=spec)
        reads = [[user] for user in users]
        core.record(reads, snapshot=snapshot, as_of=AS_OF)
        recorded[way], tables = core.record(reads, snapshot=snapshot, as_of=AS_OF)
        answers[way] = [_from_table(table, subject) for table in tables]
        core.close()
    clicks = _clicks_commands(recorded[PLAIN], subject, users)
    for way in (LUA_ALL, LUA_SOME):
        if way == LUA_ALL and subject.layout == "packed":
            continue
        recorded[way], answers[way] = _lua(server, way, subject, users, clicks)
    expected = workload.values(STORED)[users].tolist()
    for way, found in answers.items():
        if found != answers[MULTI] or [row for row, _, _ in found] != expected:
            raise SystemExit(f"{way} answers differently: {found[0]}, {answers[MULTI][0]}")
    ordered = {way: recorded[way] for way in WAYS if way in recorded}
    rounds = costs(server, ordered, options.rounds, options.seconds)
    return Measured(subject.layout, joined, rounds)


def _from_table(table: Any, subject: Subject) -> Answer:
    (row,) = table.to_dicts()
    profile = [row[name] for name in subject.profile.asked]
    return profile, row["last_clicks"], row["last_click_times"]


def _clicks_commands(plain: Recorded, subject: Subject, users: list[int]) -> list[list[bytes]]:
    """Return the commands by which fscore reads the clicks, from the bytes that it sent."""
    keys = {subject.clicks_key(user).encode() for user in users}
    found = [command for command in commands_of(plain.payload) if keys & set(command[1:])]
    if len(found) != len(users):
        raise SystemExit(f"fscore reads the clicks of {len(users)} users by {len(found)} commands")
    return found


def _lua(
    server: Server, way: str, subject: Subject, users: list[int], clicks: list[list[bytes]]
) -> tuple[Recorded, list[Answer]]:
    names = subject.profile.asked
    script = SCRIPT_SOME
    before: list[str | int] = [len(names), *names]
    read: Callable[[Any], list[float]] = _numbers
    if subject.layout == "packed":
        script, before, read = SCRIPT_GET, [], _row
    elif way == LUA_ALL:
        script, before, read = SCRIPT_ALL, [], _fields
    digest = server.control.call("SCRIPT", "LOAD", script)
    commands = [
        encode(
            "EVALSHA", digest, 2, subject.profile.key(user), subject.clicks_key(user),
            *before, *command,
        )
        for user, command in zip(users, clicks, strict=True)
    ]  # fmt: skip
    replies = server.control.pipeline(commands)
    answers = []
    for profile, flat in replies:
        members = [member.decode().rpartition("#")[0] for member in flat[::2]]
        times = [int(float(score)) for score in flat[1::2]]
        answers.append((read(profile), members, times))
    return Recorded(b"".join(commands), sum(map(_size, replies)), len(commands)), answers


def _numbers(values: list[bytes]) -> list[float]:
    return list(map(float, values))


def _fields(flat: list[bytes]) -> list[float]:
    row = dict(zip(flat[::2], flat[1::2], strict=True))
    return [float(row[name.encode()]) for name in workload.feature_names(STORED)]


def _row(row: bytes) -> list[float]:
    return list(struct.unpack(f"<{STORED}d", row[-8 * STORED :]))


def _size(reply: Any) -> int:
    """Return the number of bytes that a reply of arrays, blobs and integers had."""
    if isinstance(reply, list):
        return len(b"*%d\r\n" % len(reply)) + sum(map(_size, reply))
    return len(b"$%d\r\n" % len(reply)) + len(reply) + 2


def _bars(title: str, measured: Sequence[Measured]) -> list[dict[str, Any]]:
    (lua,) = (one for one in measured if one.layout == "hash" and one.joined)
    return [
        report.bar(
            f"{title}: Redis CPU of fscore's snapshot, {one.layout}, over Lua and HGETALL",
            one.over_lua(lua) * 100, 50, "%", at_most=True,
        )
        for one in measured
        if one.joined
    ]  # fmt: skip


def _table(measured: Sequence[Measured]) -> str:
    rows = []
    for one in measured:
        row: list[object] = [f"{one.layout}, {'with others' if one.joined else 'alone'}"]
        row += [middle(one.rounds[way], "cpu") if way in one.rounds else None for way in WAYS]
        rows.append(row)
    return report.table(("profile, leaves", *WAYS), rows)


def parse(argv: Sequence[str] | None = None) -> Options:
    parser = argparse.ArgumentParser(prog="python -m bench.suites.snapshot", description=__doc__)
    parser.add_argument("--server", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds, help="CPU a sample")
    given = parser.parse_args(argv)
    kinds = KINDS if given.server == "both" else (given.server,)
    return Options(kinds, given.rounds, given.seconds)


if __name__ == "__main__":
    print(run(parse())[0])
