"""What has connections cannot be sent to another process."""

from __future__ import annotations

from typing import NoReturn

from fscore.errors import NotPicklable


class Unpicklable:
    """Base of what has connections: `pickle`, `copy` and process pools get an error that helps."""

    def __reduce__(self) -> NoReturn:
        """Raise NotPicklable, because connections belong to the process that made them."""
        kind = type(self)
        raise NotPicklable(
            f"a {kind.__module__}.{kind.__qualname__} has connections, so it cannot be pickled or "
            "copied: send the URL or the settings to the other process, and connect again there"
        )
