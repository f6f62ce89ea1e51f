//! Answers plain reads over HTTP before ASGI: from the request's bytes to the answer's, without a
//! task, a future or a Python object per value.

mod api_keys;
mod connection;
mod counters;
mod listeners;
mod reads;
mod trace;
mod wire;

pub(crate) use api_keys::{ApiKeys, Caller, api_key_hash};
pub(crate) use connection::HotConnection;
pub(crate) use counters::RouteCounters;
pub(crate) use reads::HotReads;
pub(crate) use trace::{Trace, Traces};

use pyo3::prelude::*;

/// Return whether a request id from a caller can be returned and logged unchanged.
///
/// It must be printable ASCII without spaces, of at most `MAX_REQUEST_ID` bytes. So it cannot break
/// a header, a log line or a shell word.
#[pyfunction]
pub(crate) fn is_request_id(value: &[u8]) -> bool {
    fscore_core::http::is_request_id(value)
}

/// Parse whole milliseconds from 1, of at most nine digits; None if it is anything else.
#[pyfunction]
pub(crate) fn parse_timeout_ms(value: &[u8]) -> Option<u32> {
    fscore_core::http::timeout_ms(value)
}
