"""The command line: `fscore`."""

from fscore_server.cli.program import main

__all__ = ["main"]
