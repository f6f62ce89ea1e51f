//! When the asyncio driver dials a server again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use pyo3::prelude::*;

use fscore_core::reconnect::ReconnectBackoff as Backoff;
use fscore_core::retry::backoff;

use crate::blocking::jitter;
use crate::connection::seconds;

/// How long to wait before one server is dialled again.
///
/// After a connection that was ready there is no pause. There is one after a dial that failed, or a
/// connection that ended as soon as it was made, counted from that time. Times are seconds of one
/// monotonic clock.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct ReconnectBackoff {
    inner: Mutex<Backoff>,
}

#[pymethods]
impl ReconnectBackoff {
    #[new]
    fn new() -> Self {
        ReconnectBackoff {
            inner: Mutex::new(Backoff::default()),
        }
    }

    /// How many seconds are still to wait before the next dial.
    fn pause(&self, now: f64) -> f64 {
        let not_before = self.lock().not_before();
        not_before.saturating_sub(seconds(now)).as_secs_f64()
    }

    /// No connection could be made, or its handshake failed.
    fn failed(&self, now: f64) {
        self.lock().failed(seconds(now), jitter());
    }

    /// The handshake of a connection is over.
    fn ready(&self) {
        self.lock().ready();
    }

    /// A connection ended that was ready since `ready_at`; `answered` says whether it had answered
    /// any request.
    fn lost(&self, ready_at: f64, answered: bool, now: f64) {
        self.lock()
            .lost(seconds(ready_at), answered, seconds(now), jitter());
    }
}

impl ReconnectBackoff {
    fn lock(&self) -> MutexGuard<'_, Backoff> {
        // Numbers, each set at once: a panic leaves nothing half-changed.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many seconds to wait before the `attempt`-th try of something that failed, counted from 1;
/// `jitter` is a random number in 0..1.
#[pyfunction]
pub(crate) fn reconnect_pause(attempt: u32, jitter: f64) -> f64 {
    backoff(attempt, jitter).as_secs_f64()
}
