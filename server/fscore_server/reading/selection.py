"""What a request names: a service, features, or nothing but keys."""

from __future__ import annotations

from typing import NamedTuple


class Selection(NamedTuple):
    """What a request asks for: a service or features by name, or all of the keys' entity.

    `names` are what it brings: join keys, and where it `is_flat`, as a query string is, inputs of
    features that are computed on request among them.
    """

    service: str | None
    features: tuple[str, ...] | None
    names: tuple[str, ...]
    is_flat: bool = False
