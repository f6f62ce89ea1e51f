"""A view that is written, deleted and read all the time while it migrates, there and back."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import Any

from tests.client.driver import PATIENCE, Driver
from tests.client.numbered import FEATURES, REGISTRY, fill, row
from tests.event_times import PAST_MS

HOT = list(range(12))
STILL = list(range(100, 1_100))


class Log:
    """The operations on each entity. They are numbered, and every seventh removes the row."""

    def __init__(self) -> None:
        self.started = dict.fromkeys(HOT, 0)
        self.ended = dict.fromkeys(HOT, 0)

    @staticmethod
    def removes(number: int) -> bool:
        return number % 7 == 0

    def check(self, entity: int, ended: int, found: dict[str, Any]) -> None:
        """Check that a read found the row as it was at some time since the read began."""
        started = self.started[entity]
        number = found["number"]
        if number is None:
            assert found == dict.fromkeys(FEATURES)
            assert any(self.removes(each) for each in range(ended, started + 1)), (
                f"{entity} is missing, between operations {ended} and {started}"
            )
            return
        assert found == row(number)
        assert ended <= number <= started, f"{entity} is {number}, not {ended} to {started}"


class Crowd:
    """Runs writers and readers in threads until `stop` is set."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.errors: list[BaseException] = []
        self.rounds = 0
        self._threads: list[threading.Thread] = []

    def add(self, work: Any, *arguments: Any) -> None:
        def run() -> None:
            try:
                while not self.stop.is_set():
                    work(*arguments)
                    self.rounds += 1
            except BaseException as error:
                self.errors.append(error)
                self.stop.set()

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def end(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        if self.errors:
            raise self.errors[0]


def write(client: Any, log: Log, entities: list[int], ordering: str) -> None:
    for entity in entities:
        number = log.started[entity] = log.started[entity] + 1
        if log.removes(number):
            client.delete("row", [entity])
        else:
            written = [{"user_id": entity, **row(number)}]
            client.write("row", written, ordering=ordering, event_time=PAST_MS + number)
        log.ended[entity] = number


def read(prepared: Any, log: Log) -> None:
    ended = dict(log.ended)
    table = prepared.get([*HOT, *STILL])
    found = table.to_dicts()
    assert not {3, 4, 5} & set(table.statuses.ravel().tolist()), table.problems
    for entity, values in zip(HOT, found, strict=False):
        log.check(entity, ended[entity], values)
    for entity, values in zip(STILL, found[len(HOT) :], strict=True):
        assert values == row(entity)


def test_nobody_ever_reads_a_value_that_is_missing_or_old(
    driver: Driver, redis_url: str, witness: Any
) -> None:
    """Three clients, each of which learns of the migration only by its own looks."""
    options = {"registry_poll": 0.02, "timeout": 10.0, "write_timeout": 10.0}
    operator = driver.connect(redis_url, **options)
    operator.apply(REGISTRY)
    fill(operator, STILL)
    log, crowd = Log(), Crowd()
    writer = driver.connect(redis_url, **options)
    reader = driver.connect(redis_url, **options)
    write(writer, log, HOT, "arrival")
    crowd.add(write, writer, log, HOT[::2], "arrival")
    crowd.add(write, writer, log, HOT[1::2], "event_time")
    crowd.add(read, reader.prepare(features=FEATURES), log)
    try:
        for to in ("packed", "hash"):
            before = crowd.rounds
            migration: Future[Any] = driver.start(
                operator.migrate, "row", to, rate=1_500, settle=1.0
            )
            done = migration.result(PATIENCE)
            assert not crowd.stop.is_set()
            assert crowd.rounds > before + 20
            assert done.copied >= len(STILL) and done.removed >= len(STILL)
    finally:
        crowd.end()
    assert not witness.keys("user:*:row")


def test_an_idle_client_looks_before_it_reads(driver: Driver, redis_url: str) -> None:
    """The layout that it knows has no rows any more."""
    operator = driver.connect(redis_url)
    operator.apply(REGISTRY)
    fill(operator, [1])
    # So short that the next call always looks.
    idle = driver.connect(redis_url, registry_poll=1e-6)
    prepared = idle.prepare(features=FEATURES)
    operator.migrate("row", "packed", settle=0.0)
    assert prepared.get([1]).to_dicts() == [row(1)]
    idle.write("row", [{"user_id": 1, **row(2)}])
    assert operator.execute("KEYS", "user:*") == [b"user:{1}:v1:row"]
