"""Set up Feast with its online store on the same Redis; run by an interpreter that has Feast.

`python bench/peers/feast_store.py FOLDER HOST:PORT WIDTH=ROWS.npy…` makes a feature repository in
the folder, applies it, and writes the rows: row i belongs to entity i. Each width gets a service
`plain<width>`, which reads a field for each feature, and `vector<width>` with `precompute_online`,
for which Feast keeps the whole vector of an entity as one value. `feast serve` then serves them.
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from feast import Entity, FeatureService, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64

SETTINGS = """\
project: bench
provider: local
registry: registry.db
entity_key_serialization_version: 3
online_store:
  type: redis
  connection_string: "{redis}"
"""


def main(folder: Path, redis: str, rows: dict[int, np.ndarray]) -> None:
    (folder / "feature_store.yaml").write_text(SETTINGS.format(redis=redis))
    store = FeatureStore(repo_path=str(folder))
    for width, matrix in rows.items():
        declare_and_write(store, folder, width, matrix)


def declare_and_write(store: FeatureStore, folder: Path, width: int, matrix: np.ndarray) -> None:
    join_key = f"user{width}_id"
    names = [f"feature_{i:03d}" for i in range(width)]
    frame = pd.DataFrame(matrix, columns=names)
    frame.insert(0, join_key, range(len(matrix)))
    frame["event_timestamp"] = datetime.now(UTC)
    path = folder / f"user{width}.parquet"
    frame.to_parquet(path)

    user = Entity(name=f"user{width}", join_keys=[join_key], value_type=ValueType.INT64)
    profile = FeatureView(
        name=f"profile{width}",
        entities=[user],
        schema=[Field(name=name, dtype=Float64) for name in names],
        source=FileSource(path=str(path), timestamp_field="event_timestamp"),
    )
    plain = FeatureService(name=f"plain{width}", features=[profile])
    vector = FeatureService(name=f"vector{width}", features=[profile], precompute_online=True)
    store.apply([user, profile, plain, vector])
    store.write_to_online_store(profile.name, df=frame)
    written = store.precompute_feature_service(vector.name)
    if written != len(matrix):
        raise SystemExit(f"Feast made {written} vectors of {len(matrix)} entities")


if __name__ == "__main__":
    given = (text.split("=", 1) for text in sys.argv[3:])
    main(Path(sys.argv[1]), sys.argv[2], {int(width): np.load(path) for width, path in given})
