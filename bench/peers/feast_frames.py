"""Read from Feast's store into pandas, and time it; run by an interpreter that has Feast.

`python bench/peers/feast_frames.py FOLDER` answers a line of JSON with a line of JSON:

- `{"read": [ids], "width": n}`: the values of these entities, one list for each.
- `{"measure": [[ids], …], "width": n, "seconds": s}`: reads these batches in turn for about that
  long, and gives the mean, p50, p99 and client CPU of a call in microseconds.
"""

from __future__ import annotations

import itertools
import json
import statistics
import sys
import time
from typing import Any

from feast import FeatureStore

MICRO = 1e6


def main(folder: str) -> None:
    store = FeatureStore(repo_path=folder)
    for line in sys.stdin:
        print(json.dumps(answer(store, json.loads(line))), flush=True)


def answer(store: FeatureStore, question: dict[str, Any]) -> Any:
    width = question["width"]
    service = store.get_feature_service(f"plain{width}")

    def read(ids: list[int]) -> Any:
        rows = [{f"user{width}_id": one} for one in ids]
        return store.get_online_features(features=service, entity_rows=rows).to_df()

    if "read" in question:
        names = [f"feature_{i:03d}" for i in range(width)]
        return read(question["read"])[names].to_numpy().tolist()
    durations = []
    cpu, start = time.process_time(), time.perf_counter()
    for ids in itertools.cycle(question["measure"]):
        before = time.perf_counter()
        read(ids)
        after = time.perf_counter()
        durations.append(after - before)
        if after - start > question["seconds"]:
            break
    wall, cpu = time.perf_counter() - start, time.process_time() - cpu
    durations.sort()
    calls = len(durations)
    return {
        "calls": calls,
        "mean": statistics.fmean(durations) * MICRO,
        "p50": durations[calls // 2] * MICRO,
        "p99": durations[min(calls - 1, calls * 99 // 100)] * MICRO,
        "rate": calls / wall,
        "client_cpu": cpu / calls * MICRO,
    }


if __name__ == "__main__":
    main(sys.argv[1])
