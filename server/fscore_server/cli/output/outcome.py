"""How a command ends: its exit code, and its one line for people if it failed.

| code | meaning |
|---|---|
| 0 | done; a load with some rejected rows counts as done |
| 1 | failed: Redis, a file, the definitions, a check of `fscore doctor` |
| 2 | wrong usage: an unknown command, option or value |
| 3 | refused: a change of definitions that would make stored data unusable (`plan`, `apply`), a |
|   | version that is in use (`version retire`), values that a migration would lose (`migrate`) |
| 130 | interrupted |
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence

import click

from fscore.errors import FscoreError, InvalidDefinition, UnsafeChange, VersionInUse

__all__ = ["FAILED", "INTERRUPTED", "UNSAFE", "CommandFailed", "ended"]

FAILED = 1
UNSAFE = 3
INTERRUPTED = 130

_DEBUG = "--debug"


class CommandFailed(Exception):
    """The command failed for a known reason; the message is for people."""


def ended(command: Callable[[list[str]], object], arguments: Sequence[str]) -> int:
    """Run a command and return its exit code; print an exception as a message.

    `--debug` anywhere among the arguments shows the traceback of an error.
    """
    debug = _DEBUG in arguments
    try:
        result = command([argument for argument in arguments if argument != _DEBUG])
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output went away, as `head` does. The interpreter flushes the output
        # when it exits, which would fail again, so the output goes to the null device.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except Exception as error:
        if debug:
            traceback.print_exc()
        else:
            _say(_message(error))
        return UNSAFE if isinstance(error, UnsafeChange | VersionInUse) else FAILED
    return result if isinstance(result, int) else 0


def _message(error: Exception) -> str:
    if isinstance(error, InvalidDefinition) and error.problems:
        listed = [problem for problem in error.problems if problem not in error.message]
        return "\n  ".join([error.message, *listed])
    if isinstance(error, CommandFailed | FscoreError) or _is_input_error(error):
        return str(error)
    if isinstance(error, OSError):
        named = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        return named or type(error).__name__
    what = f"unexpected {type(error).__name__}: {error}"
    return f"{what}; run the same command with --debug to see where"


def _is_input_error(error: Exception) -> bool:
    # Importing its package takes longer than most commands run. If it is not loaded, the error is
    # of another class.
    failures = sys.modules.get("fscore_server.ingest.rows.failures")
    return failures is not None and isinstance(error, failures.InputError)


def _say(message: str) -> None:
    click.echo(f"{click.style('error:', fg='red', bold=True)} {message}", err=True)
