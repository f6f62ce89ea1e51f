//! Encoded batches, and their outcome.

use std::sync::Arc;

use fscore_core::write::{WriteBatch as CoreWriteBatch, WritePart};
use pyo3::prelude::*;

use crate::job::Job;

/// Encoded commands of a write. They can be sent any number of times.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct WriteBatch {
    inner: Arc<CoreWriteBatch>,
    rows: usize,
    kind: BatchKind,
}

/// The properties of every batch of a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchKind {
    pub(super) idempotent: bool,
    pub(super) counted: bool,
    pub(super) in_order: bool,
}

#[pymethods]
impl WriteBatch {
    /// The number of rows that it writes.
    #[getter]
    fn rows(&self) -> usize {
        self.rows
    }

    /// The number of its commands.
    #[getter]
    fn commands(&self) -> usize {
        self.inner.len()
    }

    /// The bytes of its commands.
    #[getter]
    fn bytes(&self) -> usize {
        self.inner.commands().len()
    }

    /// Whether it may be sent again at any time without undoing rows written since.
    #[getter]
    fn idempotent(&self) -> bool {
        self.kind.idempotent
    }

    /// Whether the server says how many rows changed something.
    #[getter]
    fn counted(&self) -> bool {
        self.kind.counted
    }

    /// Whether the batches before it must be written first.
    #[getter]
    fn in_order(&self) -> bool {
        self.kind.in_order
    }
}

impl WriteBatch {
    pub(super) fn new(commands: CoreWriteBatch, rows: usize, kind: BatchKind) -> Self {
        Self {
            inner: Arc::new(commands),
            rows,
            kind,
        }
    }

    /// The job that sends it once.
    pub(crate) fn job(&self) -> Job {
        Job::write(WritePart::new(Arc::clone(&self.inner)))
    }
}

/// The outcome of a write: `(rows that changed something, rows refused, first refusals)`. A refusal
/// is a row and the server's error. Rows that plain commands wrote are not counted in the first
/// number.
pub(crate) fn to_python(py: Python<'_>, part: &WritePart) -> PyResult<Py<PyAny>> {
    let outcome = part.outcome();
    let refused = (
        outcome.effective,
        outcome.rejected,
        outcome.rejections.clone(),
    );
    Ok(refused.into_pyobject(py)?.into_any().unbind())
}
