"""The line of the user's file at which something is declared."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from types import FrameType

# The folder of the root package, independent of this module's place in it.
_PACKAGE = os.path.join(os.path.abspath(sys.modules[__name__.partition(".")[0]].__path__[0]), "")


@dataclass(frozen=True, slots=True)
class Origin:
    """The line of the user's file at which something was declared."""

    file: str
    line: int

    def __str__(self) -> str:
        """Return `file:line`, with the path as `shown_path` returns it."""
        return f"{shown_path(self.file)}:{self.line}"


def shown_path(file: str) -> str:
    """Return the path for a message: relative if the file is inside the working folder."""
    if file.startswith("<"):
        return file
    relative = os.path.relpath(file)
    return file if relative.startswith(os.pardir) else relative


def declaring_frame() -> FrameType:
    """Return the nearest frame outside fscore, which is the user's file."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    return frame


def declared_at() -> Origin:
    """Return the line of the user's code that is being executed."""
    frame = declaring_frame()
    return Origin(frame.f_code.co_filename, frame.f_lineno)
