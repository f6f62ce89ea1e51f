//! The times that an event may have, for the Python code that reads events.

use fscore_core::event_time::{self, EpochUnit};
use pyo3::prelude::*;

/// The first and the last time that an event may have now, in epoch milliseconds.
#[pyfunction]
pub(crate) fn event_time_limits(now_ms: i64) -> (i64, i64) {
    event_time::limits(now_ms).into_inner()
}

/// What is wrong with the time of an event; None if it is within the limits. The text goes on after
/// "which is".
///
/// `timestamp_format` says in which unit a number was read: "unix" in seconds, "`unix_ms`" in
/// milliseconds. It is None if the time did not come as a number.
#[pyfunction]
#[pyo3(signature = (time_ms, now_ms, timestamp_format = None))]
pub(crate) fn event_time_fault(
    time_ms: i64,
    now_ms: i64,
    timestamp_format: Option<&str>,
) -> Option<String> {
    let fault = event_time::check(time_ms, now_ms).err()?;
    Some(match timestamp_format {
        Some("unix") => fault.of_number(EpochUnit::Seconds),
        Some("unix_ms") => fault.of_number(EpochUnit::Milliseconds),
        _ => fault.to_string(),
    })
}
