"""What comes in a request beside its header and its body: trailers, and what frames chunks.

Nobody reads it. The parser reports a trailer field as if it were one of the header, and gathers it
until it is whole. So trailers are bounded like a header, and not kept.
"""

from __future__ import annotations


class Trailers:
    """Takes the place of a header's list of fields once that is complete; counts and keeps nothing.

    A field is counted when it is whole. A piece that has no byte of the body, so that it belongs to
    one field or to what frames a chunk, is counted as a whole.
    """

    __slots__ = ("_bytes", "_bytes_if_bodiless", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.restart()

    def restart(self) -> None:
        """A header is complete, or some of the body has come."""
        self._bytes = 0
        self._bytes_if_bodiless = 0

    def append(self, field: tuple[bytes, bytes]) -> None:
        """A field is whole. Raises ValueError at the limit, which ends the parser's work."""
        name, value = field
        # With its colon, space and line end.
        self._bytes += len(name) + len(value) + 4
        if self.too_large:
            raise ValueError("trailers too large")

    def before(self, size: int) -> None:
        """The parser gets a piece of this size next."""
        self._bytes_if_bodiless = self._bytes + size

    def after(self) -> None:
        """The parser has read the piece."""
        self._bytes = max(self._bytes, self._bytes_if_bodiless)

    @property
    def too_large(self) -> bool:
        """Whether they are over the limit."""
        return self._bytes > self._limit
