"""What every contestant is asked: n entities by m float features, from one row per entity.

A row is a hash, or a packed string with the same numbers, as docs/storage-format.md has them.
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
    """`entities` x `features` values a call, out of `stored` features that each row has.

    `command` is what peers read hashes by.
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
        """The same in both layouts, so that answers from both are the same document."""
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
        """What the layout in docs/storage-format.md makes of an integer id."""
        key = f"{self.entity}:{{{identifier}}}:v1"
        return key if self.layout == "hash" else f"{key}:{self.view}"

    def batches(self, count: int = BATCHES) -> list[list[int]]:
        """Fixed by a seed: every contestant asks for the same ids in the same order."""
        chooser = random.Random(self.entities * 1009 + self.features)
        return [chooser.sample(range(POPULATION), self.entities) for _ in range(count)]

    def distinct(self, count: int) -> list[list[int]]:
        """Likewise, of which no two have an id in common: fscore sends equal reads once."""
        chooser = random.Random(self.entities * 1009 + self.features)
        ids = chooser.sample(range(POPULATION), self.entities * count)
        return [ids[start : start + self.entities] for start in range(0, len(ids), self.entities)]

    def expected(self, ids: list[int]) -> np.ndarray:
        """What every contestant has to answer."""
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
    """The service of the first so many features, as `definitions.apply` is told."""
    return f"{layout}{stored}"


def feature_names(count: int) -> list[str]:
    return [f"feature_{i:03d}" for i in range(count)]


@cache
def values(stored: int) -> np.ndarray:
    """Doubles with all their digits: the dearest text there is to parse, and the same for all."""
    return np.random.default_rng(stored).random((POPULATION, stored)) * 100


def fill(server: Server, stored: int, layout: Layout = "hash") -> None:
    """Writes the rows without fscore, as other programs write them too."""
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
    """Format, fingerprint, event time, no null, and then the doubles as they are."""
    schema = fingerprint([(name, "Float64") for name in workload.asked])
    head = struct.pack("<BIq", 1, schema, EVENT_TIME) + bytes((workload.stored + 7) // 8)
    rows = values(workload.stored).astype("<f8")
    return [encode("SET", workload.key(i), head + rows[i].tobytes()) for i in identifiers]
