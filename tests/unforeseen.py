"""Errors that no code foresees, to test that loops go on after them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SAID = "out of the blue"


def failing_once(original: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that raises such an error at its first call, and then is the original."""
    failures = iter([ZeroDivisionError(SAID)])

    def function(*arguments: Any, **named: Any) -> Any:
        for failure in failures:
            raise failure
        return original(*arguments, **named)

    return function
