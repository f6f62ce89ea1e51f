"""The definitions and versions that a client follows, the same for both clients."""

from __future__ import annotations

from fscore.client.core import Core
from fscore.client.unpicklable import Unpicklable
from fscore.connection.endpoint import Endpoint
from fscore.registry.registry import Registry


class FollowingClient(Unpicklable):
    """The definitions and versions of a client, as last read from Redis."""

    core: Core

    @property
    def endpoint(self) -> Endpoint:
        """The server's address; its repr hides the password."""
        return self.core.endpoint

    @property
    def registry(self) -> Registry:
        """The definitions as last read from Redis."""
        return self.core.followed.registry

    @property
    def revision(self) -> int:
        """The revision of `registry`, counted from 1; 0 if nothing was applied yet."""
        return self.core.followed.stored.revision

    @property
    def current_versions(self) -> dict[str, int]:
        """The version that each feature service reads, by the service's name.

        It is as last read from Redis. A service whose stored pointer is not a valid version is left
        out.
        """
        return self.core.followed.current_versions()
