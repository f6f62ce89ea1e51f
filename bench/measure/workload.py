"""The read that every contestant does: n entities by m float features, from one row per entity.

A row is a hash, or a packed string with the same numbers; docs/storage-format.md specifies both.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle
from typing import Literal

import numpy as np

from bench.measure.resp import encode
from bench.measure.servers import Server
from fscore.model.fingerprint import fingerprint

Layout = Literal["hash", "packed"]

POPULATION = 2_000
BATCHES = 64
WRITE_PIPELINE = 200
EVENT_TIME = 1_767_225_600_000


@dataclass(frozen=True)
class Workload:
    """`entities` x `features` values a call, out of `stored` features in each row.

    `command` is the command by which peers read hashes.
    """

    entities: int
    features: int
    stored: int
    command: str = "HMGET"
    layout: Layout = "hash"

    @property
    def name(self) -> str:
        return f"{self.entities} x {self.features}"

    @property
    def values(self) -> int:
        return self.entities * self.features

    @property
    def entity(self) -> str:
        """One entity type per width and layout, so that one registry serves them all."""
        return entity_name(self.stored, self.layout)

    @property
    def join_key(self) -> str:
        """The join key is the same in both layouts, so that both give the same document."""
        return join_key_name(self.stored)

    @property
    def view(self) -> str:
        return view_name(self.stored, self.layout)

    @property
    def service(self) -> str:
        return service_name(self.stored, self.layout)

    @property
    def asked(self) -> list[str]:
        return feature_names(self.features)

    def key(self, identifier: int) -> str:
        """Return the key of an integer id in this layout, after docs/storage-format.md."""
        key = f"{self.entity}:{{{identifier}}}:v1"
        return key if self.layout == "hash" else f"{key}:{self.view}"

    def batches(self, count: int = BATCHES) -> list[list[int]]:
        """Return random ids from a fixed seed: every contestant reads them in the same order."""
        chooser = random.Random(self.entities * 1009 + self.features)
        return [chooser.sample(range(POPULATION), self.entities) for _ in range(count)]

    def distinct(self, count: int) -> list[list[int]]:
        """Return batches with no id in common, because fscore sends equal reads only once."""
        chooser = random.Random(self.entities * 1009 + self.features)
        ids = chooser.sample(range(POPULATION), self.entities * count)
        return [ids[start : start + self.entities] for start in range(0, len(ids), self.entities)]

    def expected(self, ids: list[int]) -> np.ndarray:
        """Return the answer that every contestant has to give."""
        return values(self.stored)[ids, : self.features]

    def endless(self) -> Iterator[list[int]]:
        return cycle(self.batches())


def entity_name(stored: int, layout: Layout = "hash") -> str:
    return f"user{stored}" if layout == "hash" else f"packed_user{stored}"


def join_key_name(stored: int) -> str:
    return f"user{stored}_id"


def view_name(stored: int, layout: Layout = "hash") -> str:
    return f"profile{stored}" if layout == "hash" else f"row{stored}"


def service_name(stored: int, layout: Layout = "hash") -> str:
    """Return the name of the view's service; `definitions.apply` says how many features it has."""
    return f"{layout}{stored}"


def feature_names(count: int) -> list[str]:
    return [f"feature_{i:03d}" for i in range(count)]


@cache
def values(stored: int) -> np.ndarray:
    """Return random doubles, the same for everyone; with all digits their text is slow to parse."""
    return np.random.default_rng(stored).random((POPULATION, stored)) * 100


def fill(server: Server, stored: int, layout: Layout = "hash") -> None:
    """Write the rows without fscore."""
    workload = Workload(1, stored, stored, layout=layout)
    write = _hash_commands if layout == "hash" else _packed_commands
    for start in range(0, POPULATION, WRITE_PIPELINE):
        chosen = range(start, min(start + WRITE_PIPELINE, POPULATION))
        server.control.pipeline(write(workload, chosen))


def _hash_commands(workload: Workload, identifiers: range) -> list[bytes]:
    rows = values(workload.stored).tolist()
    event_time = (f"_ts:{workload.view}", str(EVENT_TIME))
    commands = []
    for identifier in identifiers:
        pairs = zip(workload.asked, rows[identifier], strict=True)
        fields = [part for name, value in pairs for part in (name, repr(value))]
        commands.append(encode("HSET", workload.key(identifier), *fields, *event_time))
    return commands


def _packed_commands(workload: Workload, identifiers: range) -> list[bytes]:
    """Return SETs of rows: format, fingerprint, event time, null bits (none set), the doubles."""
    schema = fingerprint([(name, "Float64") for name in workload.asked])
    head = struct.pack("<BIq", 1, schema, EVENT_TIME) + bytes((workload.stored + 7) // 8)
    rows = values(workload.stored).astype("<f8")
    return [encode("SET", workload.key(i), head + rows[i].tobytes()) for i in identifiers]
