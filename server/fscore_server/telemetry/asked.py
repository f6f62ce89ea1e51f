"""What a request asks for, as it is recorded in traces."""

from __future__ import annotations

Asked = tuple[str | None, int]
"""The service, or None if none was named, and the number of rows."""
