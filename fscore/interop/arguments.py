"""Checks of the arguments of calls: truth values, numbers, text and choices."""

from __future__ import annotations

from numbers import Real
from typing import TypeGuard, TypeVar

import numpy as np

from fscore.errors import wrong_argument

__all__ = [
    "checked_callback",
    "checked_choice",
    "checked_flag",
    "checked_number",
    "checked_text",
    "is_number",
]

T = TypeVar("T")


def checked_choice(argument: str, given: str, choices: tuple[str, ...]) -> str:
    """Return an argument that must be one of some words; InvalidArgument if it is not."""
    # An array or a feature would be compared element by element, so only text is compared.
    if isinstance(given, str) and given in choices:
        return given
    raise wrong_argument(argument, given, f"one of {', '.join(choices)}")


def checked_flag(argument: str, given: bool) -> bool:
    """Return an argument that must be true or false; InvalidArgument if it is neither."""
    if isinstance(given, bool | np.bool_):
        return bool(given)
    raise wrong_argument(argument, given, "True or False")


def checked_callback(argument: str, given: T) -> T:
    """Return an argument that must be a function or None; InvalidArgument if it is neither."""
    if given is None or callable(given):
        return given
    raise wrong_argument(argument, given, "a function, or None")


def checked_text(argument: str, given: str) -> str:
    """Return an argument that must be text; InvalidArgument if it is not."""
    if isinstance(given, str):
        return given
    raise wrong_argument(argument, given, "text")


def checked_number(argument: str, given: float, *, or_zero: bool = False) -> float:
    """Return an argument that must be a number above 0, or 0 too; InvalidArgument if it is not."""
    if is_number(given) and (given > 0 or (or_zero and given == 0)):
        return given
    raise wrong_argument(argument, given, f"a number {'of 0 or more' if or_zero else 'above 0'}")


def is_number(value: object) -> TypeGuard[float]:
    """Return whether an argument is a number, NumPy's included, and not a truth value."""
    return isinstance(value, Real) and not isinstance(value, bool)
