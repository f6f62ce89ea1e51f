"""Child processes that end with their parent, however the parent ends."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

__all__ = ["spawn"]

# `preexec_fn` could deadlock in a process with threads, so this runs between fork and exec in a
# small interpreter of its own. The second check is for a parent that died before the child asked
# for the death signal.
_DIE_WITH_PARENT = """\
import os, sys
if sys.platform == "linux":
    import ctypes, signal
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != int(sys.argv[1]):
        sys.exit(1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def spawn(
    command: Sequence[str],
    *,
    output: IO[bytes],
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` in a session of its own; it gets SIGTERM when the calling thread ends.

    In the same session a Ctrl-C in the terminal would end it together with its parent, which still
    needs it to finish. `keep_open` are file descriptors that the child inherits. macOS has no such
    signal, so a parent that is killed there leaves the child behind.
    """
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _DIE_WITH_PARENT, str(os.getpid()), *command],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=cwd,
        env=environment,
        pass_fds=keep_open,
        start_new_session=True,
    )
