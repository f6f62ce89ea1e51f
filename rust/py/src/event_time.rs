//! The times that an event may have, for the Python code that reads events.

use fscore_core::event_time::{self, EpochUnit};
use pyo3::prelude::*;

/// Return the earliest and the latest valid time of an event, in epoch milliseconds.
#[pyfunction]
pub(crate) fn event_time_limits(now_ms: i64) -> (i64, i64) {
    event_time::limits(now_ms).into_inner()
}

/// Return what is wrong with the time of an event, or None if it is valid.
///
/// The text continues a message that ends with "which is". `timestamp_format` is the unit in which
/// a number was read, `"unix"` or `"unix_ms"`; it is None if the time was not a number.
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
