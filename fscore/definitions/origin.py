"""The line of the user's file at which something is declared."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import FrameType

# The folder of the root package, wherever in it this module is.
_PACKAGE = os.path.join(os.path.abspath(sys.modules[__name__.partition(".")[0]].__path__[0]), "")


@dataclass(frozen=True, slots=True)
class Origin:
    """The line of the user's file at which something was declared."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return `file:line`, the file relative to the working folder where it is inside it."""
        return f"{shown_path(self.file)}:{self.line}"


def shown_path(file: str) -> str:
    """Return the path as messages show it: relative to the working folder where it is inside it."""
    if file.startswith("<"):
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith(os.pardir) else relative


def declaring_frame() -> FrameType:
    """Return the nearest frame that is not fscore's own: the user's file."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def declared_at() -> Origin:
    """Return where the user's code stands now."""
    frame = declaring_frame()
    return Origin(frame.f_code.co_filename, frame.f_lineno)
