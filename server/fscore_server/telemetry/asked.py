"""What a request asks for, as logs, traces and metrics tell it."""

from __future__ import annotations

Asked = tuple[str | None, int]
"""The service, if one was named, and how many rows."""
