"""`/openapi.json` and `/docs`: the description for tools, and a page that shows it to people.

The page is one file that loads nothing from elsewhere, so it works without access to the internet.
Its content security policy lets it run its own script and send requests to its own server, nothing
else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files

import orjson
from starlette.types import Receive, Scope, Send

from fscore.registry import Registry
from fscore.serving import Caller
from fscore_server.http.exchange import JSON, exchange_of
from fscore_server.http.openapi import document as openapi
from fscore_server.http.rendered import Rendered
from fscore_server.reading import access
from fscore_server.reading.connection import State

HTML = b"text/html; charset=utf-8"


class OpenApiDocument:
    """The OpenAPI description under the current definitions, rendered once per registry."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._rendered = Rendered(self._render)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = exchange_of(scope)
        body = self._rendered.of(self._state.registry, exchange.caller)
        await exchange.reply(send, 200, JSON, body)

    def _render(self, registry: Registry | None, caller: Caller | None) -> bytes:
        if registry is not None:
            registry = access.readable(registry, caller)
        return orjson.dumps(openapi.document(self._state.settings, registry))


class DocsPage:
    """The page, read once."""

    def __init__(self) -> None:
        self._page = files("fscore_server.http.openapi").joinpath("docs.html").read_bytes()
        policy = (
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
            f" connect-src 'self'; img-src data:; script-src {_hash(self._page, b'script')};"
            f" style-src {_hash(self._page, b'style')}"
        )
        self._headers = (
            (b"content-security-policy", policy.encode("ascii")),
            (b"x-content-type-options", b"nosniff"),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await exchange_of(scope).reply(send, 200, HTML, self._page, self._headers)


def _hash(page: bytes, element: bytes) -> str:
    """Return the source expression of the page's one element of this kind: its text's hash."""
    (text,) = re.findall(b"<%s>(.*?)</%s>" % (element, element), page, re.DOTALL)
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
