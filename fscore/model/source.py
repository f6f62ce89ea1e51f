"""A source of events, as a view's definition names it.

Its JSON is `{"kind": "file", "name": str, "event_time": column, "timestamp_format": str | null,
"keys": {join key: column}}`.

- The kind is `file` for every source, whichever way its events arrive: what is stored keeps the
  spelling of the first release.
- A join key that `keys` does not name is in the column of its own name.
- `timestamp_format` says how to read the text of timestamps, in the event time and in every
  `Timestamp` feature of the view. Null is ISO 8601 (RFC 3339 included), `"unix"` epoch seconds,
  `"unix_ms"` epoch milliseconds, anything else a `strptime` pattern. A timestamp without a zone is
  UTC. Typed columns (Parquet timestamps) need no format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from fscore.model.names import name_problem


@dataclass(frozen=True)
class EventSource:
    """Define a source of events, from which the features of views follow.

    `fscore load` and `fscore push` feed it with files and pipes, `client.push` with events as they
    happen. Views that name the same source are filled from the same events.

    - `event_time` is the column with the time of each row.
    - `timestamp_format` says how to read the text of timestamps: None is ISO 8601, `"unix"` epoch
      seconds, `"unix_ms"` epoch milliseconds, anything else a `strptime` pattern. Without a zone a
      timestamp is UTC.
    - `keys` maps a join key to its column. Other join keys are in the columns of their own name.

    An invalid argument raises nothing here; `Registry` reports it with everything else that is
    wrong.

    >>> EventSource("clickstream", event_time="timestamp", keys={"user_id": "uid"}).keys
    {'user_id': 'uid'}
    """

    name: str
    event_time: str = field(kw_only=True)
    timestamp_format: str | None = field(default=None, kw_only=True)
    keys: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def columns_of(self, join_keys: Sequence[str]) -> dict[str, str]:
        """Return the column of each of these join keys."""
        return {name: self.keys.get(name, name) for name in join_keys}

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {
            "kind": "file",
            "name": self.name,
            "event_time": self.event_time,
            "timestamp_format": self.timestamp_format,
            "keys": dict(self.keys),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the JSON data that the registry stores. Raises ValueError if it is not valid."""
        fields = {"kind", "name", "event_time", "timestamp_format", "keys"}
        if not isinstance(data, dict) or set(data) != fields or data["kind"] != "file":
            raise ValueError(
                f'a source has {", ".join(sorted(fields))} and is of kind "file", not {data!r}'
            )
        return cls(
            data["name"],
            event_time=data["event_time"],
            timestamp_format=data["timestamp_format"],
            keys=data["keys"],
        )

    def problems(self) -> list[str]:
        """Return what is wrong with this source by itself, whichever views read it."""
        found = [problem] if (problem := name_problem("a source", self.name)) else []
        if not isinstance(self.event_time, str) or not self.event_time:
            found.append(f"event_time must name a column, not {self.event_time!r}")
        pattern = self.timestamp_format
        if pattern is not None and (
            not isinstance(pattern, str)
            or ("%" not in pattern and pattern not in ("unix", "unix_ms"))
        ):
            found.append(
                'timestamp_format must be a strptime pattern, "unix", "unix_ms" or None, '
                f"not {pattern!r}"
            )
        if not isinstance(self.keys, Mapping) or not all(
            isinstance(text, str) and text for pair in self.keys.items() for text in pair
        ):
            found.append(f"keys must be a dict of join key to column, not {self.keys!r}")
        return found
