//! Encoded batches, and what became of them.

use std::sync::Arc;

use fscore_core::write::{WriteBatch as CoreWriteBatch, WritePart};
use pyo3::prelude::*;

use crate::job::Job;

/// Encoded commands of a write, which can be sent any number of times.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct WriteBatch {
    inner: Arc<CoreWriteBatch>,
    rows: usize,
    kind: BatchKind,
}

/// What holds for every batch of a write.
#[derive(Debug, Clone, Copy)]
pub(super) struct BatchKind {
    pub(super) idempotent: bool,
    pub(super) counted: bool,
    pub(super) in_order: bool,
}

#[pymethods]
impl WriteBatch {
    /// How many rows it writes.
    #[getter]
    fn rows(&self) -> usize {
        self.rows
    }

    /// How many commands that takes.
    #[getter]
    fn commands(&self) -> usize {
        self.inner.len()
    }

    /// How many bytes they have.
    #[getter]
    fn bytes(&self) -> usize {
        self.inner.commands().len()
    }

    /// Whether it may be sent again at any time without undoing what came between.
    #[getter]
    fn idempotent(&self) -> bool {
        self.kind.idempotent
    }

    /// Whether the server tells how many rows changed something.
    #[getter]
    fn counted(&self) -> bool {
        self.kind.counted
    }

    /// Whether the batches before it have to be there first.
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

/// What became of a write: `(rows that changed something, rows refused, first refusals)`, each
/// refusal a row and the server's words. Rows written by plain commands are not among the first.
pub(crate) fn to_python(py: Python<'_>, part: &WritePart) -> PyResult<Py<PyAny>> {
    let outcome = part.outcome();
    let refused = (
        outcome.effective,
        outcome.rejected,
        outcome.rejections.clone(),
    );
    Ok(refused.into_pyobject(py)?.into_any().unbind())
}
