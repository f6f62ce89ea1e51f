"""Answers that depend on the definitions alone."""

from __future__ import annotations

from collections.abc import Callable

from fscore.registry import Registry
from fscore.serving import Caller
from fscore_server.reading.access import is_scoped
from fscore_server.reading.cache import Cache


class Rendered:
    """An answer that depends only on the registry and on what the caller may read of it.

    The answer for callers who may read everything is kept, once per registry. Answers for scoped
    keys are not kept, because there may be as many as there are keys.
    """

    def __init__(self, render: Callable[[Registry | None, Caller | None], bytes]) -> None:
        self._render = render
        self._kept: Cache[bytes] = Cache(1)

    def of(self, registry: Registry | None, caller: Caller | None) -> bytes:
        """Return the answer for this registry and caller."""
        if is_scoped(caller):
            return self._render(registry, caller)
        body = self._kept.get("", registry)
        if body is None:
            body = self._render(registry, None)
            self._kept.put("", registry, body)
        return body
