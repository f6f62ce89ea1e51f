//! Settles the waiters of a connection with what became of their jobs.

use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyList;

use fscore_core::connection::{Connection as Protocol, Event, LostReason};
use fscore_core::error::ErrorKind;
use fscore_core::resp::Reply;
use fscore_core::retry::{Action, Budget, Failure, decide};

use super::seconds;
use crate::blocking::jitter;
use crate::errors::Fault;
use crate::http::HotConnection;
use crate::job::{self, Answer, Job};

pub(super) struct Inner {
    pub(super) protocol: Protocol<Waiting, Job>,
    pub(super) pushes: Vec<Vec<Reply>>,
    pub(super) fault: Option<Fault>,
    /// How many requests were in flight before the last bytes; the retry budget is a share of them.
    pub(super) most_in_flight: usize,
    /// Whether something was submitted since the output was last taken, so that the driver takes it
    /// before long.
    pub(super) submitted: bool,
    /// When the driver calls `check_deadlines` next.
    pub(super) watched_until: f64,
}

/// The waiter of a job.
pub(super) struct Waiting {
    pub(super) waiter: Waiter,
    /// The data for the retry decision if the job fails.
    pub(super) retry: Retry,
}

pub(super) enum Waiter {
    /// A future, or an object that is settled like one. The driver settles it.
    Python(Py<PyAny>),
    /// It is settled here.
    Hot(Py<HotConnection>),
}

#[derive(Clone, Copy)]
pub(crate) struct Retry {
    attempt: u32,
    idempotent: bool,
    pub(super) deadline: Duration,
}

impl Retry {
    pub(crate) fn new(attempt: u32, idempotent: bool, deadline: f64) -> Self {
        Self {
            attempt,
            idempotent,
            deadline: seconds(deadline),
        }
    }
}

/// This many commands are sent before the end of a turn of the loop. They are about 70 us of a
/// server's work, and still many for one system call.
const EARLY_COMMANDS: usize = 64;

/// A waiter and what it gets.
pub(super) type Settled = (Waiter, Result<Answer, Fault>);

impl Inner {
    pub(super) fn is_urgent(&self) -> bool {
        self.protocol.unsent() >= EARLY_COMMANDS && self.protocol.has_output()
    }

    /// Drains the events. Python objects are made of them only after the lock is released, because
    /// making one may run any code, this connection's included.
    pub(super) fn settled(&mut self, now: Duration) -> Vec<Settled> {
        let mut settled = Vec::new();
        let mut granted = 0;
        while let Some(event) = self.protocol.poll_event() {
            match event {
                Event::Done {
                    tag: Waiting { waiter, retry },
                    job,
                    ..
                } => {
                    let answer = match job.failure() {
                        None => job.into_answer(),
                        Some(failure) => match self.pause(failure, retry, now, &mut granted) {
                            Some(pause) => Err(job.fault().retried_after(pause)),
                            None => job.into_answer(),
                        },
                    };
                    settled.push((waiter, answer));
                }
                Event::TimedOut {
                    tag: Waiting { waiter, .. },
                    job,
                    sent,
                    ..
                } => {
                    settled.push((waiter, job.cut_short(job::timed_out(sent))));
                }
                Event::Lost {
                    tag: Waiting { waiter, retry },
                    job,
                    sent,
                    reason,
                    ..
                } => {
                    let fault = match &self.fault {
                        // It says more than "the connection ended".
                        Some(fault) => fault.clone().and(if sent { job::UNCERTAIN } else { "" }),
                        None => job::lost(reason, sent),
                    };
                    let failure = match reason {
                        LostReason::Closed => Failure::Lost { sent },
                        LostReason::Handshake(kind) => Failure::Handshake(kind),
                        LostReason::Protocol(_) => Failure::Protocol,
                    };
                    let answer = match self.pause(failure, retry, now, &mut granted) {
                        Some(pause) => Err(fault.retried_after(pause)),
                        None => job.cut_short(fault),
                    };
                    settled.push((waiter, answer));
                }
                Event::Push(items) => self.pushes.push(items),
                Event::HandshakeFailed(error) => {
                    // It says more than the error about the bytes, less than why the socket ended.
                    if error.kind == ErrorKind::ProtocolError {
                        self.fault = None;
                    }
                    self.fault
                        .get_or_insert(Fault::new(error.kind, error.message));
                }
                Event::Ready => {}
            }
        }
        settled
    }

    /// The pause after which a job that failed is sent again; `None` if it is not. `granted` counts
    /// how many of the jobs that failed together are sent again.
    fn pause(
        &self,
        failure: Failure,
        retry: Retry,
        now: Duration,
        granted: &mut usize,
    ) -> Option<Duration> {
        let Retry {
            attempt,
            idempotent,
            deadline,
        } = retry;
        let in_flight = self.protocol.in_flight().max(self.most_in_flight);
        let budget = Budget {
            in_flight,
            retrying: *granted,
        };
        match decide(
            failure,
            attempt,
            idempotent,
            now,
            deadline,
            budget,
            jitter(),
        ) {
            Action::RetryAfter(pause) | Action::ReconnectAndRetry(pause) => {
                *granted += 1;
                Some(pause)
            }
            Action::Fail(_) => None,
        }
    }
}

pub(super) fn hand_over(py: Python<'_>, settled: Vec<Settled>) -> PyResult<Py<PyList>> {
    let list = PyList::empty(py);
    for (waiter, result) in settled {
        let waiter = match waiter {
            Waiter::Python(waiter) => waiter,
            Waiter::Hot(connection) => {
                connection.get().settle(py, result);
                continue;
            }
        };
        // A value that cannot become a Python object is an error of this waiter alone.
        let result = result
            .map_err(PyErr::from)
            .and_then(|answer| answer.into_python(py));
        let entry = match result {
            Ok(value) => (waiter, value, py.None()),
            Err(error) => (waiter, py.None(), error.into_value(py).into_any()),
        };
        list.append(entry)?;
    }
    Ok(list.unbind())
}
