"""`python -m fscore_server.cli` is `fscore`."""

from fscore_server.cli.program import main

main()
