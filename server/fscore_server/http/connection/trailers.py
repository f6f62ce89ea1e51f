"""The limit on a request's bytes outside its header and body: trailers and the framing of chunks.

The server does not use trailers. But the parser buffers a trailer field until it is complete, and
then reports it like a field of the header. So trailers are bounded like a header, and not kept.
"""

from __future__ import annotations


class Trailers:
    """Replaces the list of a header's fields once the header is complete; counts, keeps nothing.

    A field is counted when it is complete. A piece of data without a byte of the body belongs to
    one field or to the framing of a chunk, so all of it is counted.
    """

    __slots__ = ("_bytes", "_bytes_if_bodiless", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.restart()

    def restart(self) -> None:
        """Count from zero: a header is complete, or some of the body has arrived."""
        self._bytes = 0
        self._bytes_if_bodiless = 0

    def append(self, field: tuple[bytes, bytes]) -> None:
        """Count a complete field. Raises `ValueError` beyond the limit, which stops the parser."""
        name, value = field
        # 4 bytes are the colon, the space and the line end.
        self._bytes += len(name) + len(value) + 4
        if self.too_large:
            raise ValueError("trailers too large")

    def before(self, size: int) -> None:
        """Note that the parser gets a piece of `size` bytes next."""
        self._bytes_if_bodiless = self._bytes + size

    def after(self) -> None:
        """Count that piece, which the parser has read, unless it had some of the body."""
        self._bytes = max(self._bytes, self._bytes_if_bodiless)

    @property
    def too_large(self) -> bool:
        """Whether the trailers are over the limit."""
        return self._bytes > self._limit
