"""The names in a request: a service, features, or nothing but keys."""

from __future__ import annotations

from typing import NamedTuple


class Selection(NamedTuple):
    """The names in a request for a service, for features, or for all features of an entity.

    `names` are the join keys for which the request has values. A query string does not separate
    join keys from inputs of on-request features, so if `is_flat` is set, `names` has both.
    """

    service: str | None
    features: tuple[str, ...] | None
    names: tuple[str, ...]
    is_flat: bool = False
