//! The blocking driver: sockets in Rust, used from any number of threads.
//!
//! The interpreter is detached from the first byte out to the last column decoded, so that other
//! threads run meanwhile. Beyond its system calls, a call costs little but the decoding.

mod clock;
mod endpoint;
mod link;
mod pool;
mod run;
mod stream;
mod tls;

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use fscore_core::connection::Config;
use fscore_core::read::ReadOptions;

use crate::errors;
use crate::job::{Answer, Job};
use crate::plan::{ReadPlan, Request};
use crate::write::WriteBatch;
use crate::{command, config};
pub(crate) use clock::jitter;
use endpoint::Endpoint;
use pool::Pool;
use run::run;

/// Connections to one server, lent to one call each.
///
/// Every call takes a `timeout` in seconds, which covers waiting for a connection, connecting,
/// retries and the exchange itself; `None` waits for ever.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct BlockingPool {
    pool: Arc<Pool>,
    process: u32,
}

#[pymethods]
impl BlockingPool {
    #[new]
    #[pyo3(signature = (**settings))]
    fn new(settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let mut config = Config::default();
        let mut endpoint = Endpoint::default();
        let mut max_connections: usize = 32;
        for (name, value) in settings.into_iter().flatten() {
            let name: String = name.extract()?;
            if name == "max_connections" {
                max_connections = value.extract()?;
            } else if !endpoint.apply(&name, &value)? && !config::apply(&mut config, &name, &value)?
            {
                return Err(config::unknown(&name));
            }
        }
        if max_connections == 0 {
            return Err(PyValueError::new_err("max_connections must be at least 1"));
        }
        endpoint.prepare()?;
        Ok(BlockingPool {
            pool: Arc::new(Pool::new(endpoint, config, max_connections)),
            process: std::process::id(),
        })
    }

    /// Makes sure that there is a connection; returns who the server said it is.
    #[pyo3(signature = (timeout = None))]
    fn connect<'py>(&self, py: Python<'py>, timeout: Option<f64>) -> PyResult<Bound<'py, PyDict>> {
        let deadline = self.begin(timeout)?;
        py.detach(|| self.pool.ensure(deadline))?;
        config::server_info(py, &self.pool.server())
    }

    /// Sends one command of any kind; returns its reply as a Python value, raises its error.
    #[pyo3(signature = (arguments, timeout = None, *, idempotent = false, max_reply = config::MAX_REPLY))]
    fn command(
        &self,
        py: Python<'_>,
        arguments: Vec<Bound<'_, PyAny>>,
        timeout: Option<f64>,
        idempotent: bool,
        max_reply: usize,
    ) -> PyResult<Py<PyAny>> {
        let deadline = self.begin(timeout)?;
        let mut commands = Vec::new();
        command::encode(&mut commands, arguments)?;
        self.call(py, Job::command(commands, max_reply), deadline, idempotent)
    }

    /// Sends several commands as a pipeline; returns their replies, with error replies as exception
    /// objects.
    #[pyo3(signature = (commands, timeout = None, *, idempotent = false, max_reply = config::MAX_REPLY))]
    fn pipeline(
        &self,
        py: Python<'_>,
        commands: Vec<Vec<Bound<'_, PyAny>>>,
        timeout: Option<f64>,
        idempotent: bool,
        max_reply: usize,
    ) -> PyResult<Py<PyAny>> {
        let deadline = self.begin(timeout)?;
        let mut encoded = Vec::new();
        let count = commands.len();
        for arguments in commands {
            command::encode(&mut encoded, arguments)?;
        }
        let job = Job::pipeline(encoded, count, max_reply);
        self.call(py, job, deadline, idempotent)
    }

    /// Reads `keys` by `plan`; returns a `FeatureTable`.
    #[pyo3(signature = (plan, keys, version, as_of_ms, timeout = None, *, partial = true, snapshot = false, pointer = false, request = None))]
    #[expect(clippy::too_many_arguments, reason = "one crossing instead of several")]
    fn read(
        &self,
        py: Python<'_>,
        plan: &Bound<'_, ReadPlan>,
        keys: &Bound<'_, PyAny>,
        version: i64,
        as_of_ms: i64,
        timeout: Option<f64>,
        partial: bool,
        snapshot: bool,
        pointer: bool,
        request: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Py<PyAny>> {
        let deadline = self.begin(timeout)?;
        let asked = ReadOptions {
            version,
            as_of_ms,
            snapshot,
            pointer,
        };
        let job = plan
            .get()
            .read_job(keys, request, Request { asked, partial })?;
        self.call(py, job, deadline, true)
    }

    /// Sends the rows of `batch`; returns how many commands changed something, how many were
    /// refused and the first refusals.
    #[pyo3(signature = (batch, timeout = None, *, idempotent = false))]
    fn write(
        &self,
        py: Python<'_>,
        batch: &Bound<'_, WriteBatch>,
        timeout: Option<f64>,
        idempotent: bool,
    ) -> PyResult<Py<PyAny>> {
        let deadline = self.begin(timeout)?;
        self.call(py, batch.get().job(), deadline, idempotent)
    }

    /// Who the server said it is, empty before the first connection.
    #[getter]
    fn server<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        if self.is_forked() {
            return Err(errors::forked(py));
        }
        config::server_info(py, &self.pool.server())
    }

    /// Connections that are open, lent ones included.
    #[getter]
    fn open(&self) -> usize {
        if self.is_forked() {
            0
        } else {
            self.pool.open()
        }
    }

    /// Closes the connections; those that are lent close when their call ends.
    fn close(&self) {
        // A thread that the child does not have may have held the lock at the fork, and the
        // connections are the parent's.
        if !self.is_forked() {
            self.pool.close();
        }
    }

    fn __repr__(&self) -> String {
        format!(
            "<BlockingPool {}, {} open>",
            self.pool.endpoint,
            self.open()
        )
    }
}

impl BlockingPool {
    fn call(
        &self,
        py: Python<'_>,
        job: Job,
        deadline: Duration,
        idempotent: bool,
    ) -> PyResult<Py<PyAny>> {
        let answer: Answer = py.detach(|| run(&self.pool, job, deadline, idempotent))?;
        answer.into_python(py)
    }

    fn is_forked(&self) -> bool {
        std::process::id() != self.process
    }

    /// Checks the process and turns a timeout into a deadline of the pool's clock.
    fn begin(&self, timeout: Option<f64>) -> PyResult<Duration> {
        if self.is_forked() {
            return Err(Python::attach(errors::forked));
        }
        let Some(seconds) = timeout else {
            return Ok(Duration::MAX);
        };
        if seconds.is_nan() {
            return Err(PyValueError::new_err(
                "nan is not a valid timeout in seconds",
            ));
        }
        // The time that is left of a caller's own deadline may be negative.
        let seconds = seconds.max(0.0);
        let timeout = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
        Ok(self.pool.clock.now().saturating_add(timeout))
    }
}
