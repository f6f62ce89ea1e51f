"""What every contestant is asked: n entities by m float features, from one hash per entity."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import cycle

import numpy as np

from bench.resp import encode
from bench.servers import Server

POPULATION = 2_000
BATCHES = 64
WRITE_PIPELINE = 200
EVENT_TIME = 1_767_225_600_000


@dataclass(frozen=True)
class Workload:
    """`entities` x `features` values a call, out of `stored` features that each hash has."""

    entities: int
    features: int
    stored: int
    command: str = "HMGET"

    @property
    def name(self) -> str:
        return f"{self.entities} x {self.features}"

    @property
    def values(self) -> int:
        return self.entities * self.features

    @property
    def entity(self) -> str:
        """One entity type per width, so that one registry serves every width."""
        return entity_name(self.stored)

    @property
    def view(self) -> str:
        return view_name(self.stored)

    @property
    def asked(self) -> list[str]:
        return feature_names(self.features)

    def key(self, identifier: int) -> str:
        """What the layout in docs/storage-format.md makes of an integer id."""
        return f"{self.entity}:{{{identifier}}}:v1"

    def batches(self) -> list[list[int]]:
        """Fixed by a seed: every contestant asks for the same ids in the same order."""
        chooser = random.Random(self.entities * 1009 + self.features)
        return [chooser.sample(range(POPULATION), self.entities) for _ in range(BATCHES)]

    def expected(self, ids: list[int]) -> np.ndarray:
        """What every contestant has to answer."""
        return values(self.stored)[ids, : self.features]

    def endless(self) -> Iterator[list[int]]:
        return cycle(self.batches())


def entity_name(stored: int) -> str:
    return f"user{stored}"


def view_name(stored: int) -> str:
    return f"profile{stored}"


def feature_names(count: int) -> list[str]:
    return [f"feature_{i:03d}" for i in range(count)]


@cache
def values(stored: int) -> np.ndarray:
    """Doubles with all their digits: the dearest text there is to parse, and the same for all."""
    return np.random.default_rng(stored).random((POPULATION, stored)) * 100


def fill(server: Server, stored: int) -> None:
    """Writes the hashes with plain HSETs, in the layout that other programs write too."""
    names = feature_names(stored)
    rows = values(stored).tolist()
    workload = Workload(1, stored, stored)
    for start in range(0, POPULATION, WRITE_PIPELINE):
        commands = []
        for identifier in range(start, min(start + WRITE_PIPELINE, POPULATION)):
            pairs = zip(names, rows[identifier], strict=True)
            fields = [part for name, value in pairs for part in (name, repr(value))]
            event_time = (f"_ts:{workload.view}", str(EVENT_TIME))
            commands.append(encode("HSET", workload.key(identifier), *fields, *event_time))
        server.control.pipeline(commands)
