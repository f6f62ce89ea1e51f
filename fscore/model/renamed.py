"""Public names that were renamed. The old ones still work, and warn with the new one."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping
from typing import Any

RENAMED: Mapping[str, Mapping[str, str]] = {
    "fscore": {
        "FileSource": "EventSource",
        "total": "sum",
        "smallest": "min",
        "largest": "max",
    },
    "fscore.window": {"avg": "mean"},
}
"""For each module, its old names and what each is called now."""


def old_names(
    module: str, late: Mapping[str, Callable[[], Any]] | None = None
) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module: it gives what an old name means, and warns.

    The old and the new name are one object, so `isinstance` and annotations go on working. The
    DeprecationWarning is at the line that uses the old name. `late` has names that the module
    imports when they are first used, each with the function that imports it.
    """
    new_names = RENAMED[module]
    imports = late or {}

    def attribute(name: str) -> Any:
        if name in imports:
            found = imports[name]()
            setattr(sys.modules[module], name, found)
            return found
        if name not in new_names:
            raise AttributeError(
                f"module {module!r} has no attribute {name!r}", name=name, obj=sys.modules[module]
            )
        new = new_names[name]
        # `from package import name` asks the package twice: first the import system whether it has
        # the name, then the statement itself, which is the one to warn.
        if sys._getframe(1).f_code.co_filename != "<frozen importlib._bootstrap>":
            warnings.warn(
                f"{module}.{name} is deprecated: write {module}.{new}",
                DeprecationWarning,
                stacklevel=2,
            )
        return getattr(sys.modules[module], new)

    return attribute
