"""The types and functions that all checks of definitions share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fscore.model.names import name_problem

Path = tuple[str, ...]
"""The place of a definition, such as `("views", "user_activity", "age")`."""
Problem = tuple[Path, str]


def check_name(path: Path, what: str, name: object) -> Iterator[Problem]:
    """Yield what is wrong with a name."""
    problem = name_problem(what, name)
    if problem is not None:
        yield path, problem


def check_texts(
    path: Path, item: Any, aspects: Sequence[str] = ("description", "owner")
) -> Iterator[Problem]:
    """Yield what is wrong with the tags and with these texts, which are for people only."""
    for aspect in aspects:
        text = getattr(item, aspect)
        if not isinstance(text, str):
            yield path, f"{aspect} must be text, not {text!r}"
    tags = item.tags
    if not isinstance(tags, Mapping) or not all(
        isinstance(text, str) for pair in tags.items() for text in pair
    ):
        yield path, f"tags must be a dict of text to text, not {tags!r}"


def is_integer(value: object, least: int, most: int) -> bool:
    """Return whether a value is an integer in this range; a boolean is not an integer."""
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most
