"""Parts for a server of features, beside the asyncio client.

`HotReads` answers plain reads before the web framework sees them; further there are parsers of
requests, API keys and trace contexts. fscore's own server uses these; they may change with any
minor version.
"""

from __future__ import annotations

from fscore._fscore import (
    API_KEY_PREFIX,
    MAX_REQUEST_ID,
    ApiKeys,
    Caller,
    HotConnection,
    HotReads,
    KeyColumns,
    ReadQuery,
    ReadRequest,
    RequestInputs,
    RouteCounters,
    Trace,
    Traces,
    api_key_hash,
    is_request_id,
    parse_as_of,
    parse_query,
    parse_read_request,
    parse_timeout_ms,
    parse_timestamp,
)
from fscore.client.options import Consistency
from fscore.connection.server import expires_hash_fields
from fscore.model.names import duration_ms

__all__ = [
    "API_KEY_PREFIX",
    "MAX_REQUEST_ID",
    "ApiKeys",
    "Caller",
    "Consistency",
    "HotConnection",
    "HotReads",
    "KeyColumns",
    "ReadQuery",
    "ReadRequest",
    "RequestInputs",
    "RouteCounters",
    "Trace",
    "Traces",
    "api_key_hash",
    "duration_ms",
    "expires_hash_fields",
    "is_request_id",
    "parse_as_of",
    "parse_query",
    "parse_read_request",
    "parse_timeout_ms",
    "parse_timestamp",
]
