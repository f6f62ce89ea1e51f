use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long a thread waits at most before it looks whether Ctrl-C was pressed: the signal may have
/// reached another thread, and then interrupts no system call of this one.
pub(super) const SLICE: Duration = Duration::from_millis(250);

/// Monotonic time since the pool was made.
#[derive(Debug)]
pub(super) struct Clock {
    origin: Instant,
}

impl Clock {
    pub(super) fn new() -> Self {
        Clock {
            origin: Instant::now(),
        }
    }

    #[inline]
    pub(super) fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// Runs Python's signal handlers, as any blocking call has to; for threads that are detached.
pub(super) fn check_signals() -> PyResult<()> {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "its lifetimes do not fit"
    )]
    Python::attach(|py| py.check_signals())
}

/// Sleeps, unless a signal handler raises.
pub(super) fn sleep(clock: &Clock, pause: Duration) -> PyResult<()> {
    let end = clock.now().saturating_add(pause);
    loop {
        let left = end.saturating_sub(clock.now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(SLICE));
        check_signals()?;
    }
}

/// A random number in 0..1. Spreading retries needs no better source than the hasher's keys.
pub(crate) fn jitter() -> f64 {
    (RandomState::new().hash_one(Instant::now()) >> 11) as f64 / (1_u64 << 53) as f64
}
