"""Runs the command line as people do: as a process, with output and exit code."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "fscore_server.cli"]
# On a busy machine any command may take the two seconds after which it tells its progress.
_PROGRESS = re.compile(r"^.*\d (?:rows, \d+ rejected|% (?:written|done), .*)\n", re.MULTILINE)


@dataclass(frozen=True)
class Done:
    """The result of a command; `err` is without lines of progress."""

    code: int
    out: str
    err: str


class Fscore:
    """Runs `fscore` in a folder, with only these variables as settings, and a long deadline."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.folder = folder
        outside = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("FSCORE_", "DEMO_"))
        }
        # A busy machine may stop a process for longer than a second, the default deadline.
        self.environment = {**outside, "COLUMNS": "100", "FSCORE_TIMEOUT": "10", **variables}

    def __call__(self, *arguments: object, stdin: str = "", **variables: str) -> Done:
        """Run a command to its end with this standard input."""
        done = subprocess.run(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **variables},
            capture_output=True,
            input=stdin,
            text=True,
            timeout=120,
        )
        assert "Traceback" not in done.stderr
        return Done(done.returncode, done.stdout, _PROGRESS.sub("", done.stderr))

    def change_definitions(self, old: str, new: str) -> None:
        """Replace a text in defs.py, which must have it."""
        path = self.folder / "defs.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def start(self, *arguments: object, **variables: str) -> subprocess.Popen[str]:
        """Start a command and return its process."""
        popen_options: dict[str, Any] = dict.fromkeys(
            ("stdin", "stdout", "stderr"), subprocess.PIPE
        )
        return subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **variables},
            text=True,
            **popen_options,
        )

    def on_a_terminal(self, *arguments: object) -> bytes:
        """Run with a terminal as standard error; return what it prints there. It must succeed."""
        parent, child = pty.openpty()
        with subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=child,
        ) as process:
            os.close(child)
            shown = b""
            while True:
                try:
                    data = os.read(parent, 65536)
                except OSError:
                    # Linux raises this if the other end of the terminal is closed.
                    break
                if not data:
                    break
                shown += data
            os.close(parent)
        assert process.returncode == 0
        return shown
