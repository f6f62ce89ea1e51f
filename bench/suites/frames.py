"""Read into, and write from, what data people hold: `python -m bench.suites.frames`.

Reads take the same doubles of the same entities as a NumPy matrix, an Arrow table, a pandas or a
Polars frame, and by DLPack. Writes store the same rows from each of those. redis-py does the same
with its pipelines, and Feast reads with `get_online_features(…).to_df()` in an environment of its
own. The answers are compared first. Rounds are interleaved.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import redis

import fscore
from bench.measure import build, definitions, report, timing
from bench.measure.servers import KINDS, Server, running
from bench.measure.timing import Sample, figures, median, median_ratio
from bench.measure.workload import Workload, fill, values
from bench.peers import Unavailable
from bench.peers.fscore_clients import TIMEOUT, qualified

SHAPES = ((10, 10), (500, 50))
PIPELINE = 2_000
COLUMNS = ("p50 µs", "p99 µs", "client CPU µs", "server CPU µs")
REDIS_PY, FEAST = "redis-py", "Feast"


@dataclass(frozen=True)
class Options:
    kind: str = "redis"
    rounds: int = 5
    seconds: float = 0.4
    rows: int = 20_000
    feast: bool = True


def run(options: Options) -> tuple[str, list[dict[str, Any]]]:
    """Measure reads and writes; return the text of the report and the bars."""
    parts: list[str] = []
    found: list[dict[str, Any]] = []
    data: dict[str, Any] = {"options": asdict(options)}
    with running(options.kind) as server, contextlib.ExitStack() as stack:
        widths = sorted({features for _, features in SHAPES})
        for width in widths:
            fill(server, width)
        definitions.apply(server, widths)
        feast = _feast(server, widths, options, stack, parts)
        for entities, features in SHAPES:
            workload = Workload(entities, features, features)
            rounds = _reads(server, workload, options, feast)
            data[workload.name] = {name: list(map(asdict, each)) for name, each in rounds.items()}
            parts.append(f"### Reads, {workload.name} doubles\n\n{_table(rounds)}")
            found += _read_bars(workload, rounds)
        written = _writes(server, options)
        parts.append(
            f"### Writes of {options.rows:,} rows with five features\n\n{_written(written)}"
        )
        data["writes"] = written
        found += _write_bars(written)
        title = f"Frames: {server.kind} {server.version}"
    text = "\n\n".join([*parts, report.bars_table(found)])
    return report.save("frames", title, {**data, "bars": found}, text), found


# Reads


class FeastFrames:
    """A process that reads from Feast's store and times itself; see bench/peers/feast_frames.py."""

    def __init__(self, python: Path, folder: str) -> None:
        script = Path(__file__).parents[1] / "peers" / "feast_frames.py"
        self._process = subprocess.Popen(
            [str(python), str(script), folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def ask(self, **question: Any) -> Any:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise Unavailable("Feast's process ended")
        return json.loads(answer)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait()


def _feast(
    server: Server,
    widths: list[int],
    options: Options,
    stack: contextlib.ExitStack,
    parts: list[str],
) -> FeastFrames | None:
    """Fill Feast's store on the same server, and start its process; None if Feast is not here."""
    if not options.feast:
        return None
    try:
        binaries = build.virtualenv("feast")
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="fscore-feast-"))
        rows = []
        for width in widths:
            path = f"{folder}/rows{width}.npy"
            np.save(path, values(width))
            rows.append(f"{width}={path}")
        script = Path(__file__).parents[1] / "peers" / "feast_store.py"
        command = [str(binaries / "python"), str(script), folder, f"127.0.0.1:{server.port}", *rows]
        filled = subprocess.run(command, capture_output=True, text=True)
        if filled.returncode:
            raise Unavailable(filled.stderr[-600:])
    except Unavailable as error:
        parts.append(f"Feast is left out: {error}")
        return None
    feast = FeastFrames(binaries / "python", folder)
    stack.callback(feast.close)
    return feast


def _reads(
    server: Server, workload: Workload, options: Options, feast: FeastFrames | None
) -> dict[str, list[Sample]]:
    with fscore.connect(server.url()) as client, redis.Redis.from_url(server.url()) as plain:
        contestants = _readers(client, plain, workload)
        for name, call in contestants.items():
            for ids in workload.batches(8):
                _check(name, call(ids), workload, ids)
        if feast is not None:
            for ids in workload.batches(2):
                answer = feast.ask(read=ids, width=workload.features)
                _check(FEAST, np.array(answer), workload, ids)
        rounds: dict[str, list[Sample]] = {name: [] for name in contestants}
        for _ in range(options.rounds):
            for name, call in contestants.items():
                taken = timing.time_blocking(call, workload.endless(), options.seconds, server)
                rounds[name].append(taken)
            if feast is not None:
                taken = _time_feast(feast, workload, options.seconds, server)
                rounds.setdefault(f"{FEAST} to_df", []).append(taken)
        return rounds


def _readers(
    client: fscore.Client, plain: Any, workload: Workload
) -> dict[str, Callable[[list[int]], Any]]:
    prepared = client.prepare(features=qualified(workload))
    names = workload.asked

    def get(ids: list[int]) -> fscore.FeatureTable:
        return prepared.get(ids, timeout=TIMEOUT, partial=False)

    def raw(ids: list[int]) -> np.ndarray:
        pipeline = plain.pipeline(transaction=False)
        for identifier in ids:
            pipeline.hmget(workload.key(identifier), names)
        return np.array([list(map(float, row)) for row in pipeline.execute()])

    def to_arrow(ids: list[int]) -> pa.Table:
        return pa.Table.from_arrays([pa.array(column) for column in raw(ids).T], names)

    return {
        "fscore to_numpy": lambda ids: get(ids).to_numpy(),
        "fscore DLPack": lambda ids: np.from_dlpack(get(ids)),
        "fscore to_arrow": lambda ids: get(ids).to_arrow(),
        "fscore to_pandas": lambda ids: get(ids).to_pandas(),
        "fscore to_polars": lambda ids: get(ids).to_polars(),
        f"{REDIS_PY} to NumPy": raw,
        f"{REDIS_PY} to Arrow": to_arrow,
        f"{REDIS_PY} to pandas": lambda ids: pd.DataFrame(raw(ids), columns=names),
    }


def _time_feast(feast: FeastFrames, workload: Workload, seconds: float, server: Server) -> Sample:
    before = server.cpu_seconds()
    found = feast.ask(measure=workload.batches(), width=workload.features, seconds=seconds)
    server_cpu = (server.cpu_seconds() - before) / found.pop("calls") * timing.MICRO
    return Sample(**found, server_cpu=server_cpu)


def _check(name: str, answer: Any, workload: Workload, ids: list[int]) -> None:
    if isinstance(answer, pa.Table):
        answer = np.column_stack([column.to_numpy() for column in answer.columns])
    matrix = np.asarray(answer, dtype=np.float64)
    if not np.array_equal(matrix, workload.expected(ids)):
        raise SystemExit(f"{name} answers {workload.name} wrongly for ids {ids[:3]}…")


def _table(rounds: dict[str, list[Sample]]) -> str:
    fields = ("p50", "p99", "client_cpu", "server_cpu")
    rows = [
        (name, *(f"{median(samples, field):,.1f}" for field in fields))
        for name, samples in rounds.items()
    ]
    return report.table(("client", *COLUMNS), rows)


def _read_bars(workload: Workload, rounds: dict[str, list[Sample]]) -> list[dict[str, Any]]:
    cpu = {name: figures(samples, "client_cpu") for name, samples in rounds.items()}
    pairs = [
        ("fscore to_arrow", f"{REDIS_PY} to Arrow", 0.5),
        ("fscore to_pandas", f"{REDIS_PY} to pandas", 0.5),
        ("fscore DLPack", "fscore to_numpy", 1.1),
    ]
    if f"{FEAST} to_df" in cpu:
        pairs.append(("fscore to_pandas", f"{FEAST} to_df", 0.1))
    return [
        report.bar(
            f"{workload.name}: client CPU of {ours} over {peer}",
            median_ratio(cpu[ours], cpu[peer]), limit, "", at_most=True,
        )
        for ours, peer, limit in pairs
    ]  # fmt: skip


# Writes


NAMES = ("age", "visits", "score", "ratio", "country")


def _writes(server: Server, options: Options) -> dict[str, list[tuple[float, float, float]]]:
    """Return for each contestant and round: wall, CPU of the client and of the server, µs a row."""
    chosen = np.random.default_rng(7)
    count = options.rows
    columns: dict[str, Any] = {
        "frame_user_id": np.arange(count),
        "age": chosen.integers(0, 99, count),
        "visits": chosen.integers(0, 10**6, count),
        "score": chosen.random(count),
        "ratio": chosen.random(count),
        "country": chosen.choice(["US", "DE", "NZ", "BR"], count).astype(object),
    }
    frame = pd.DataFrame(columns)
    arrow = pa.Table.from_pandas(frame)
    polars = pl.DataFrame(arrow)
    dicts = frame.to_dict("records")
    with fscore.connect(server.url(), write_timeout=60) as client:
        client.apply(fscore.Registry.from_definitions([FrameRow]), allow_unsafe=True)
        plain = redis.Redis.from_url(server.url())

        def from_frame() -> None:
            for start in range(0, count, PIPELINE):
                pipeline = plain.pipeline(transaction=False)
                for row in frame.iloc[start : start + PIPELINE].itertuples(index=False):
                    fields: Any = {name: getattr(row, name) for name in NAMES}
                    pipeline.hset(f"frame_user:{{{row.frame_user_id}}}:v1", mapping=fields)
                pipeline.execute()

        contestants: dict[str, Callable[[], Any]] = {
            "fscore, NumPy": lambda: client.write("frame_row", columns),
            "fscore, pandas": lambda: client.write("frame_row", frame),
            "fscore, Arrow": lambda: client.write("frame_row", arrow),
            "fscore, Polars": lambda: client.write("frame_row", polars),
            "fscore, dicts": lambda: client.write("frame_row", dicts),
            f"{REDIS_PY}, pandas": from_frame,
        }
        _check_writes(plain, contestants, count)
        rounds: dict[str, list[tuple[float, float, float]]] = {name: [] for name in contestants}
        for _ in range(options.rounds):
            for name, call in contestants.items():
                server_cpu, cpu, wall = (
                    server.cpu_seconds(), time.process_time(), time.perf_counter()
                )  # fmt: skip
                call()
                taken = (
                    time.perf_counter() - wall,
                    time.process_time() - cpu,
                    server.cpu_seconds() - server_cpu,
                )
                rounds[name].append(tuple(part / count * timing.MICRO for part in taken))  # type: ignore[arg-type]
        plain.close()
    return rounds


class FrameRow(
    fscore.FeatureView,
    entity=fscore.Entity("frame_user", join_keys={"frame_user_id": fscore.Int64}),
):
    age: fscore.Int64
    visits: fscore.Int64
    score: fscore.Float64
    ratio: fscore.Float64
    country: fscore.String


def _check_writes(plain: Any, contestants: dict[str, Callable[[], Any]], count: int) -> None:
    """Exit if a contestant stores other rows than the first one."""
    expected = None
    for name, call in contestants.items():
        call()
        stored = [plain.hmget(f"frame_user:{{{one}}}:v1", NAMES) for one in (0, 7, count - 1)]
        expected = expected or stored
        if stored != expected:
            raise SystemExit(f"{name} stores {stored[0]}, not {expected[0]}")
        for start in range(0, count, PIPELINE):
            some = range(start, min(start + PIPELINE, count))
            plain.delete(*(f"frame_user:{{{one}}}:v1" for one in some))


def _written(rounds: dict[str, list[tuple[float, float, float]]]) -> str:
    rows = []
    for name, taken in rounds.items():
        wall, client, server = (statistics.median(part) for part in zip(*taken, strict=True))
        rows.append((name, f"{1e6 / wall:,.0f}", f"{client:.2f}", f"{server:.2f}"))
    return report.table(("client", "rows/s", "client CPU µs/row", "server CPU µs/row"), rows)


def _write_bars(rounds: dict[str, list[tuple[float, float, float]]]) -> list[dict[str, Any]]:
    cpu = {name: [client for _, client, _ in taken] for name, taken in rounds.items()}
    return [
        report.bar(
            f"writes: client CPU of {ours} over {peer}",
            median_ratio(cpu[ours], cpu[peer]), limit, "", at_most=True,
        )
        for ours, peer, limit in (
            ("fscore, pandas", f"{REDIS_PY}, pandas", 0.2),
            ("fscore, pandas", "fscore, NumPy", 1.5),
            ("fscore, Arrow", "fscore, NumPy", 1.5),
        )
    ]  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", choices=KINDS, default="redis")
    parser.add_argument("--rounds", type=int, default=Options.rounds)
    parser.add_argument("--seconds", type=float, default=Options.seconds)
    parser.add_argument("--no-feast", action="store_true", help="leave Feast out")
    given = parser.parse_args()
    options = Options(given.server, given.rounds, given.seconds, feast=not given.no_feast)
    print(run(options)[0])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
