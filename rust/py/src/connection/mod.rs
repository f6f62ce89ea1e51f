//! The asyncio driver's end of a connection: the state machine of the core, with Python's waiters.

mod settle;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

use fscore_core::connection::{
    Config, Connection as Protocol, Replies as _, State, SubmitError, Ticket,
};
use fscore_core::error::ErrorKind;
use fscore_core::read::ReadOptions;

use crate::config;
use crate::errors::{self, Fault};
use crate::http::HotConnection;
use crate::job::Job;
use crate::plan::{ReadPlan, Request};
use crate::write::WriteBatch;
use crate::{command, reply};
pub(crate) use settle::Retry;
use settle::{Inner, Waiter, Waiting, hand_over};

/// One connection to one server, without its socket.
///
/// An asyncio protocol owns the transport and calls this: `connected` and `closed` as the transport
/// says, `receive` with all data, `check_deadlines` when `next_deadline` has come. Afterwards it
/// sends what `take_output` returns, best once per turn of the loop, and settles the waiters it was
/// handed as `(waiter, result, error)`, one of the last two being `None`. Times are seconds of the
/// loop's clock.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct Connection {
    inner: Mutex<Inner>,
    process: u32,
}

/// The ticket of a request that was answered at once.
const NO_TICKET: u64 = u64::MAX;

#[pymethods]
impl Connection {
    #[new]
    #[pyo3(signature = (now, **settings))]
    fn new(now: f64, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let config: Config = config::connection(settings)?;
        Ok(Connection {
            inner: Mutex::new(Inner {
                protocol: Protocol::new(config, seconds(now)),
                pushes: Vec::new(),
                fault: None,
                most_in_flight: 0,
                submitted: false,
                watched_until: f64::INFINITY,
            }),
            process: std::process::id(),
        })
    }

    /// The transport is connected.
    fn connected(&self, now: f64) {
        self.lock().protocol.handle_connected(seconds(now));
    }

    /// Takes bytes of the transport; returns the waiters that they settle.
    fn receive(&self, py: Python<'_>, data: &[u8], now: f64) -> PyResult<Py<PyList>> {
        let settled = {
            let mut inner = self.lock();
            inner.most_in_flight = inner.protocol.in_flight();
            if let Err(error) = inner.protocol.handle_data(data, seconds(now)) {
                inner.fault = Some(Fault::new(ErrorKind::ProtocolError, error.to_string()));
            }
            inner.settled(seconds(now))
        };
        hand_over(py, settled)
    }

    /// Ends requests whose deadline has come; returns the waiters that this settles.
    fn check_deadlines(&self, py: Python<'_>, now: f64) -> PyResult<Py<PyList>> {
        let settled = {
            let mut inner = self.lock();
            inner.protocol.handle_deadlines(seconds(now));
            inner.settled(seconds(now))
        };
        hand_over(py, settled)
    }

    /// The transport ended, or is given up; returns the waiters that this settles. `reason` is for
    /// people.
    #[pyo3(signature = (now, reason = None))]
    fn closed(&self, py: Python<'_>, now: f64, reason: Option<String>) -> PyResult<Py<PyList>> {
        let settled = {
            let mut inner = self.lock();
            if let Some(reason) = reason
                && inner.fault.is_none()
            {
                inner.fault = Some(Fault::new(ErrorKind::Unavailable, reason));
            }
            inner.most_in_flight = inner.protocol.in_flight();
            inner.protocol.handle_closed(seconds(now));
            inner.settled(seconds(now))
        };
        hand_over(py, settled)
    }

    /// When to call `check_deadlines`, in seconds of the loop's clock.
    fn next_deadline(&self) -> Option<f64> {
        self.lock()
            .protocol
            .next_deadline()
            .map(|deadline| deadline.as_secs_f64())
    }

    /// The bytes to send now, if there are any.
    fn take_output<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        let mut inner = self.lock();
        inner.submitted = false;
        let output = inner.protocol.poll_output()?;
        let bytes = PyBytes::new(py, &output);
        inner.protocol.recycle(output);
        Some(bytes)
    }

    /// Reads `keys` by `plan`. The waiter gets a `FeatureTable`.
    #[pyo3(signature = (plan, keys, version, as_of_ms, waiter, deadline, now, *, partial = true, snapshot = false, pointer = false, attempt = 1, request = None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing instead of several")]
    fn submit_read(
        &self,
        plan: &Bound<'_, ReadPlan>,
        keys: &Bound<'_, PyAny>,
        version: i64,
        as_of_ms: i64,
        waiter: Py<PyAny>,
        deadline: f64,
        now: f64,
        partial: bool,
        snapshot: bool,
        pointer: bool,
        attempt: u32,
        request: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<u64> {
        self.check_process()?;
        let asked = ReadOptions {
            version,
            as_of_ms,
            snapshot,
            pointer,
        };
        let job = plan
            .get()
            .read_job(keys, request, Request { asked, partial })?;
        let retry = Retry::new(attempt, true, deadline);
        self.submit(waiter, job, retry, now)
    }

    /// Sends the rows of `batch`. The waiter gets what `WriteBatch` says.
    #[pyo3(signature = (batch, waiter, deadline, now, *, idempotent = false, attempt = 1))]
    fn submit_write(
        &self,
        batch: &Bound<'_, WriteBatch>,
        waiter: Py<PyAny>,
        deadline: f64,
        now: f64,
        idempotent: bool,
        attempt: u32,
    ) -> PyResult<u64> {
        self.check_process()?;
        let retry = Retry::new(attempt, idempotent, deadline);
        self.submit(waiter, batch.get().job(), retry, now)
    }

    /// Sends one command of any kind. The waiter gets its reply as a Python value; an error reply
    /// is its error.
    #[pyo3(signature = (arguments, waiter, deadline, now, *, max_reply = config::MAX_REPLY, idempotent = false, attempt = 1))]
    #[expect(clippy::too_many_arguments, reason = "one crossing instead of several")]
    fn submit_command(
        &self,
        arguments: Vec<Bound<'_, PyAny>>,
        waiter: Py<PyAny>,
        deadline: f64,
        now: f64,
        max_reply: usize,
        idempotent: bool,
        attempt: u32,
    ) -> PyResult<u64> {
        self.check_process()?;
        let mut commands = Vec::new();
        command::encode(&mut commands, arguments)?;
        let retry = Retry::new(attempt, idempotent, deadline);
        self.submit(waiter, Job::command(commands, max_reply), retry, now)
    }

    /// Sends several commands as a pipeline. The waiter gets a list of replies, with error replies
    /// as exception objects.
    #[pyo3(signature = (commands, waiter, deadline, now, *, max_reply = config::MAX_REPLY, idempotent = false, attempt = 1))]
    #[expect(clippy::too_many_arguments, reason = "one crossing instead of several")]
    fn submit_pipeline(
        &self,
        commands: Vec<Vec<Bound<'_, PyAny>>>,
        waiter: Py<PyAny>,
        deadline: f64,
        now: f64,
        max_reply: usize,
        idempotent: bool,
        attempt: u32,
    ) -> PyResult<u64> {
        self.check_process()?;
        let mut encoded = Vec::new();
        let count = commands.len();
        for arguments in commands {
            command::encode(&mut encoded, arguments)?;
        }
        let job = Job::pipeline(encoded, count, max_reply);
        let retry = Retry::new(attempt, idempotent, deadline);
        self.submit(waiter, job, retry, now)
    }

    /// Gives a request up; its waiter is not settled. Returns whether it still waited.
    fn cancel(&self, ticket: u64) -> bool {
        let cancelled = self.lock().protocol.cancel(Ticket(ticket));
        cancelled.is_some()
    }

    /// Messages that the server pushed since the last call, each a list.
    fn take_pushes(&self, py: Python<'_>) -> PyResult<Vec<Py<PyAny>>> {
        let pushes = std::mem::take(&mut self.lock().pushes);
        pushes
            .into_iter()
            .map(|items| reply::list(py, items))
            .collect()
    }

    /// Whether commands flow.
    #[getter]
    fn ready(&self) -> bool {
        self.lock().protocol.state() == State::Ready
    }

    /// Whether the connection is over, and its transport has to be closed.
    #[getter]
    fn is_closed(&self) -> bool {
        self.lock().protocol.state() == State::Closed
    }

    /// Why the connection ended or did not become ready: an exception, or `None`.
    #[getter]
    fn error(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let fault = self.lock().fault.clone()?;
        Some(PyErr::from(fault).into_value(py).into_any())
    }

    /// Whether `take_output` has something.
    #[getter]
    fn has_output(&self) -> bool {
        self.lock().protocol.has_output()
    }

    /// Whether there is so much to send that it is better sent now than at the end of the loop's
    /// turn.
    #[getter]
    fn is_urgent(&self) -> bool {
        self.lock().is_urgent()
    }

    /// When the driver calls `check_deadlines` next; infinity if no call is due.
    #[getter]
    fn watched_until(&self) -> f64 {
        self.lock().watched_until
    }

    #[setter]
    fn set_watched_until(&self, time: f64) {
        self.lock().watched_until = time;
    }

    /// Requests that wait for their answer.
    #[getter]
    fn in_flight(&self) -> usize {
        self.lock().protocol.in_flight()
    }

    /// Whether the server has answered any request.
    #[getter]
    fn has_answered(&self) -> bool {
        self.lock().protocol.has_answered()
    }

    /// 2 or 3; 0 until known.
    #[getter]
    fn protocol(&self) -> u8 {
        self.lock().protocol.server().protocol
    }

    /// Who the server said it is: `server`, `version`, `mode`, `role`, `id`, `protocol`.
    #[getter]
    fn server<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let server = self.lock().protocol.server().clone();
        config::server_info(py, &server)
    }

    /// For how many seconds the server has owed an answer without sending a byte; 0 if it owes
    /// none.
    fn silent_for(&self, now: f64) -> f64 {
        let silent = self.lock().protocol.silent_for(seconds(now));
        silent.map_or(0.0, |silent| silent.as_secs_f64())
    }

    fn __repr__(&self) -> String {
        let inner = self.lock();
        format!(
            "<Connection {:?}, {} in flight>",
            inner.protocol.state(),
            inner.protocol.in_flight()
        )
    }
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that can panic leaves the state machine half-changed: encoders are undone.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_process(&self) -> PyResult<()> {
        if std::process::id() == self.process {
            return Ok(());
        }
        Err(Python::attach(errors::forked))
    }

    /// Submits a read if the connection is ready; `None` if it is not, or does not take it.
    /// Otherwise says whether the driver has to be told: because it is the first read of a turn of
    /// the loop, because there is much to send, or because its deadline comes before those that are
    /// watched.
    pub(crate) fn submit_hot(
        &self,
        waiter: Py<HotConnection>,
        job: Job,
        retry: Retry,
        deadline: f64,
        now: f64,
    ) -> Option<bool> {
        let waiter = Waiter::Hot(waiter);
        let waiting = Waiting { waiter, retry };
        let is_nothing = job.expected() == 0;
        let mut inner = self.lock();
        if is_nothing || inner.protocol.state() != State::Ready {
            return None;
        }
        let submitted =
            inner
                .protocol
                .submit(waiting, job, Job::encode, retry.deadline, seconds(now));
        submitted.ok()?;
        let first = !std::mem::replace(&mut inner.submitted, true);
        Some(first || inner.is_urgent() || deadline < inner.watched_until)
    }

    fn submit(&self, waiter: Py<PyAny>, job: Job, retry: Retry, now: f64) -> PyResult<u64> {
        if job.expected() == 0 {
            // No bytes will come that could settle it.
            return Python::attach(|py| {
                let answer = job.into_answer()?.into_python(py)?;
                waiter.call_method1(py, "set_result", (answer,))?;
                Ok(NO_TICKET)
            });
        }
        let waiter = Waiter::Python(waiter);
        let waiting = Waiting { waiter, retry };
        let mut inner = self.lock();
        let submitted =
            inner
                .protocol
                .submit(waiting, job, Job::encode, retry.deadline, seconds(now));
        match submitted {
            Ok(Ticket(ticket)) => {
                inner.submitted = true;
                Ok(ticket)
            }
            Err(error) => {
                let kind = match error {
                    SubmitError::Closed => ErrorKind::Unavailable,
                    SubmitError::Overloaded => ErrorKind::Overloaded,
                    SubmitError::DeadlineExceeded => ErrorKind::DeadlineExceeded,
                };
                let fault = Fault::new(kind, error.to_string());
                drop(inner);
                Err(fault.into())
            }
        }
    }
}

/// A time in seconds. Negative numbers and not-a-number become 0; infinity, and what is too far
/// away, becomes the end of time.
pub(crate) fn seconds(value: f64) -> Duration {
    if value.is_nan() || value <= 0.0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(value).unwrap_or(Duration::MAX)
}
