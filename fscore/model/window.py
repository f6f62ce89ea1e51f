"""Window functions as data: their arguments, the type of their result, and their JSON.

`fscore.window` has the functions that people write, and says what each computes. The JSON form is
`{"op": str, "field": str | null, "window_ms": int, "n": int, "gap_ms": int}`. Numbers that a
function does not use are 0. A `window_ms` of 0 means all events that the view keeps. The ops are
those of `fscore.model.aggregates.WINDOWS`, whose names messages use.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from fscore.model.aggregates import WINDOWS, name_of
from fscore.model.data_type import DataType
from fscore.model.names import MAX_TTL_MS, duration_text, listed

MAX_LAST = 10_000
"""The most events that `last` and `last_times` may list."""

_NUMBERS = ("Int64", "Float32", "Float64")
_MEMBERS = ("op", "field", "window_ms", "n", "gap_ms")


@dataclass(frozen=True, slots=True)
class _Rule:
    """The arguments and results of a function.

    `types` are the spellings of the types that it may have, empty if they depend on the field.
    """

    types: tuple[str, ...] = ()
    fields: tuple[str, ...] | None = ()
    """Kinds of payload field that it reads: empty if it reads no field, None if any."""
    windowed: bool = True
    listing: bool = False
    gap: bool = False
    tiled: bool = False


_RULES = {
    "count": _Rule(("Int64", "Float64"), tiled=True),
    "sum": _Rule(fields=_NUMBERS, tiled=True),
    "avg": _Rule(("Float64",), fields=_NUMBERS, tiled=True),
    "min": _Rule(fields=(*_NUMBERS, "Timestamp"), tiled=True),
    "max": _Rule(fields=(*_NUMBERS, "Timestamp"), tiled=True),
    "distinct": _Rule(("Int64",), fields=None),
    "last": _Rule(fields=None, windowed=False, listing=True),
    "last_times": _Rule(("List[Timestamp]",), windowed=False, listing=True),
    "time_since_last": _Rule(("Int64",), windowed=False),
    "session_length": _Rule(("Int64",), windowed=False, gap=True),
}


@dataclass(frozen=True, slots=True)
class WindowFunction:
    """A function over the events of a series; `mistakes` say what is wrong with its arguments."""

    op: str
    field: str | None = None
    window_ms: int = 0
    n: int = 0
    gap_ms: int = 0
    mistakes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The function that people write for `op`."""
        return name_of(self.op, WINDOWS)

    @property
    def tiled(self) -> bool:
        """Whether it can be computed from tiles."""
        return self.op in _RULES and _RULES[self.op].tiled

    def __str__(self) -> str:
        """Return it as people write it, without the module: `sum("price", "7d")`."""
        arguments = [str(self.n)] if self.n else []
        arguments += [f'"{self.field}"'] if self.field is not None else []
        arguments += [f'"{duration_text(self.window_ms)}"'] if self.window_ms else []
        arguments += [f'gap="{duration_text(self.gap_ms)}"'] if self.gap_ms else []
        return f"{self.name}({', '.join(arguments)})"

    def to_json(self) -> dict[str, Any]:
        """Return the JSON data that the registry stores."""
        return {name: getattr(self, name) for name in _MEMBERS}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read the JSON data that the registry stores; `problems` returns what is wrong with it."""
        if not isinstance(data, dict) or set(data) != set(_MEMBERS):
            return cls("", mistakes=(f"a window has {', '.join(_MEMBERS)}, not {data!r}",))
        return cls(**data)

    def problems(self, data_type: DataType, payload: Mapping[str, DataType]) -> list[str]:
        """Return what is wrong with this function for a feature of `data_type`.

        `payload` maps the fields of the view's events to their types.
        """
        if self.mistakes:
            return list(self.mistakes)
        if not isinstance(self.op, str) or self.op not in _RULES:
            return [f"{self.op!r} is not a window function: use one of {', '.join(_RULES)}"]
        rule = _RULES[self.op]
        found = [*self._number_problems(rule)]
        of = None
        if rule.fields == ():
            if self.field is not None:
                found.append(f"window.{self.name}() has no field, not {self.field!r}")
        elif not isinstance(self.field, str) or self.field not in payload:
            return [*found, self._unknown_field(payload)]
        else:
            of = payload[self.field]
            if rule.fields is not None and of.kind not in rule.fields:
                found.append(
                    f"window.{self.name}() cannot read {self.field} ({of}): the field must be one "
                    f"of {', '.join(rule.fields)}"
                )
                return found
        types = _types(self.op, rule, of)
        if str(data_type) not in types:
            source = "" if of is None else f" of {self.field} ({of})"
            found.append(
                f"window.{self.name}(){source} is {' or '.join(types)}, not {data_type}: "
                "change the annotation"
            )
        return found

    def _number_problems(self, rule: _Rule) -> list[str]:
        found = []
        if not _in_range(self.window_ms, 0, MAX_TTL_MS if rule.windowed else 0):
            found.append(f"window.{self.name}() has no window of {self.window_ms!r} ms")
        if rule.listing and not _in_range(self.n, 1, MAX_LAST):
            found.append(f"window.{self.name}() lists 1 to {MAX_LAST:,} events, not {self.n!r}")
        elif not rule.listing and not _in_range(self.n, 0, 0):
            found.append(f"window.{self.name}() lists no events, and n must be 0, not {self.n!r}")
        if rule.gap and not _in_range(self.gap_ms, 1, MAX_TTL_MS):
            found.append(
                f'window.{self.name}() needs the pause that ends a session, like gap="30m", not '
                f"{self.gap_ms!r} ms"
            )
        elif not rule.gap and not _in_range(self.gap_ms, 0, 0):
            found.append(f"window.{self.name}() has no gap, and gap_ms must be 0")
        return found

    def _unknown_field(self, payload: Mapping[str, DataType]) -> str:
        near = difflib.get_close_matches(str(self.field), payload, n=1)
        hint = f"did you mean {near[0]}?" if near else f"its payload is {listed(payload)}"
        return (
            f"window.{self.name}() reads payload field {self.field!r}, which the view does not "
            f"have; {hint}"
        )


def _types(op: str, rule: _Rule, of: DataType | None) -> tuple[str, ...]:
    """Return the spellings of the types that a feature of this function may have."""
    if rule.types or of is None:
        return rule.types
    if op == "sum":
        return ("Int64", "Float64") if of.kind == "Int64" else ("Float64",)
    if op == "last":
        return (str(DataType("List", element=of.kind, unit=of.unit)),)
    return (str(of),)


def _in_range(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
