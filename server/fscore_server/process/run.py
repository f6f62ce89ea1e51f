"""`run(settings)`: the whole server, as one worker or as several under a supervisor."""

from __future__ import annotations

from fscore_server.auth.authentication import check_file
from fscore_server.process.supervisor import supervise
from fscore_server.process.worker import Worker, banner, bind, run_worker
from fscore_server.settings import ServerSettings
from fscore_server.telemetry import logs
from fscore_server.telemetry.tracing import check_installed


def run(settings: ServerSettings) -> int:
    """Serve until a signal ends it, and return the exit code.

    Raises `ConfigError` if the server cannot listen on the address, the API keys cannot be used, or
    a needed package is not installed.
    """
    check_installed(settings)
    logs.configure(settings.log_level, settings.log_format)
    if settings.api_keys_file is not None:
        check_file(settings.api_keys_file)
    if settings.workers > 1:
        return supervise(settings)
    listener = bind(settings.host, settings.port, shared=False)
    announce = banner(settings, listener)
    return run_worker(settings, Worker(), listener, ready=announce)
