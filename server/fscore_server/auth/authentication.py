"""Authentication of requests by the API keys in a file, which is followed while the server runs.

Every worker process polls the file's content itself. Events of the file system would not do: many
network file systems send none, and none come for the target of a symbolic link, which is how
Kubernetes mounts a secret.
"""

from __future__ import annotations

import asyncio
import contextlib
import stat
import time
from collections.abc import Callable
from pathlib import Path

from fscore.errors import ConfigError
from fscore.serving import ApiKeys, Caller
from fscore_server.auth import key_file as api_keys
from fscore_server.problems import Header, Problem
from fscore_server.telemetry.logs import LOGGER
from fscore_server.telemetry.metrics import Metrics

PROBES = "/health/"
"""The beginning of the paths of probes.

The server answers probes without an API key and beyond the limit on connections: an orchestrator
must not restart a worker because it is full.
"""

_LOOK_EVERY = 0.5

_CHALLENGE: Header = (b"www-authenticate", b"Bearer")
_HOW = "send Authorization: Bearer fsk_…, or X-API-Key: fsk_…"
_REFUSALS = {
    "missing": f"This server answers only requests with an API key: {_HOW}.",
    "several": f"There is more than one API key in the request: {_HOW}, once.",
    "malformed": f"The request's credentials are not a valid API key: {_HOW}.",
    "unknown": "The API key is not known.",
    "expired": "The API key has expired.",
}


class Authentication:
    """Keeps the API keys of the file's last valid content, and authenticates requests by them.

    `changed` is called with the keys whenever they change. The first call has none, so that nobody
    gets in before the file is read.
    """

    def __init__(self, path: Path, metrics: Metrics, changed: Callable[[ApiKeys], None]) -> None:
        self._path = path
        self._metrics = metrics
        self._changed = changed
        self._content: bytes | None = None
        self._fault: str | None = None
        self._loaded = False
        self._follower: asyncio.Task[None] | None = None
        self._keys = ApiKeys([])
        changed(self._keys)

    def caller(self, path: str, headers: list[Header]) -> Caller | None:
        """Return who sends a request to this path with these headers; None if anybody may."""
        # Orchestrators' probes have no key, and the answers have no secrets.
        if path.startswith(PROBES):
            return None
        return self._keys.authenticate(headers, time.time_ns() // 1_000_000)

    def reasons_not_ready(self) -> list[dict[str, str]]:
        """Return why the worker is not ready: it has no keys until it has read a valid file."""
        if self._loaded:
            return []
        return [{"code": "api_keys_invalid", "detail": "the file of API keys cannot be used"}]

    async def start(self) -> None:
        """Read the file, and follow it from now on."""
        self._take(self._look())
        self._follower = asyncio.create_task(self._follow(), name="fscore-follow-api-keys")

    async def stop(self) -> None:
        """Stop following the file."""
        if self._follower is not None:
            self._follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._follower

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_EVERY)
            try:
                # The file may be on a network file system that hangs, so a thread reads it.
                self._take(await asyncio.to_thread(self._look))
            except Exception as error:
                # Nobody awaits this task, so an error that ended it would go unnoticed.
                self._content = None
                self._note(error)

    def _look(self) -> bytes | ConfigError:
        try:
            return api_keys.read(self._path)
        except ConfigError as error:
            return error

    def _take(self, found: bytes | ConfigError) -> None:
        if isinstance(found, ConfigError):
            self._content = None
            self._note(found)
            return
        if found == self._content:
            return
        self._content = found
        try:
            entries = api_keys.parse(found, self._path)
        except ConfigError as error:
            self._note(error)
            return
        self._keys = api_keys.compiled(entries)
        self._changed(self._keys)
        self._fault = None
        self._loaded = True
        self._metrics.api_keys_valid(True)
        LOGGER.info("API keys were read", extra={"fields": {"keys": len(entries)}})

    def _note(self, error: Exception) -> None:
        self._metrics.api_keys_valid(False)
        # Other errors may quote the file.
        fault = str(error) if isinstance(error, ConfigError) else type(error).__name__
        if fault != self._fault:
            kept = "the last good keys stay" if self._loaded else "nobody can read"
            LOGGER.error(
                f"the file of API keys cannot be used; {kept}",
                extra={"fields": {"cause": fault}},
            )
        self._fault = fault


def check_file(path: Path) -> None:
    """Raise `ConfigError` if no server can start with this file; warn if everybody can read it."""
    api_keys.parse(api_keys.read(path), path)
    if path.stat().st_mode & stat.S_IROTH:
        LOGGER.warning(
            "everybody on this machine can read the file of API keys",
            extra={"fields": {"path": str(path), "advice": f"chmod 600 {path}"}},
        )


def refused(caller: Caller) -> Problem | None:
    """Return the problem with which to refuse a caller; None if the caller is authenticated."""
    if caller.refusal is None:
        return None
    return Problem("unauthenticated", _REFUSALS[caller.refusal], headers=[_CHALLENGE])
