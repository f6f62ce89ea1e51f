"""The group of all commands. Their modules import slow packages only when a command runs."""

from __future__ import annotations

import sys
import warnings
from typing import NoReturn

import click

from fscore_server import __version__
from fscore_server.cli.apply import apply_command, plan_command
from fscore_server.cli.demo import demo_command
from fscore_server.cli.doctor import doctor_command
from fscore_server.cli.get import get_command
from fscore_server.cli.init import init_command
from fscore_server.cli.key import key_command
from fscore_server.cli.load import load_command
from fscore_server.cli.migrate import migrate_command
from fscore_server.cli.output.outcome import ended
from fscore_server.cli.push import push_command
from fscore_server.cli.serve import serve_command
from fscore_server.cli.version import version_command
from fscore_server.cli.version_info import version_info_command

__all__ = ["main", "program"]


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without --redis-url and FSCORE_REDIS_URL a command uses the embedded Valkey of ./data"
    " (FSCORE_DATA_DIR), and starts it if it is not running. Exit codes: 0 done, 1 failed, 2 wrong"
    " usage, 3 refused as unsafe, 130 interrupted.",
)
@click.version_option(__version__, message="fscore %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def program(debug: bool) -> None:
    """fscore: a realtime feature store on Redis and Valkey."""
    # `ended` has already removed --debug from the arguments; it is declared here for the help.
    del debug


for _command in (
    init_command,
    apply_command,
    plan_command,
    load_command,
    push_command,
    get_command,
    serve_command,
    demo_command,
    doctor_command,
    key_command,
    migrate_command,
    version_command,
    version_info_command,
):
    program.add_command(_command)


def main() -> NoReturn:
    """Run the command line of this process."""
    if not sys.warnoptions:
        # Python hides them in imported files, which definitions are.
        warnings.filterwarnings("default", r"fscore\.", DeprecationWarning)

    def run(arguments: list[str]) -> object:
        return program.main(arguments, prog_name="fscore", standalone_mode=False)

    sys.exit(ended(run, sys.argv[1:]))
