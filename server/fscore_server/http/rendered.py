"""Answers that follow from the definitions alone."""

from __future__ import annotations

from collections.abc import Callable

from fscore.registry import Registry
from fscore.serving import Caller
from fscore_server.reading.access import is_scoped
from fscore_server.reading.cache import Cache


class Rendered:
    """An answer made from the registry alone and what of it the caller may read.

    It is kept for everybody who may read everything, once per registry. Those of scoped keys are
    not: there may be as many as there are keys.
    """

    def __init__(self, render: Callable[[Registry | None, Caller | None], bytes]) -> None:
        self._render = render
        self._kept: Cache[bytes] = Cache(1)

    def of(self, registry: Registry | None, caller: Caller | None) -> bytes:
        """The answer under these definitions."""
        if is_scoped(caller):
            return self._render(registry, caller)
        body = self._kept.get("", registry)
        if body is None:
            body = self._render(registry, None)
            self._kept.put("", registry, body)
        return body
