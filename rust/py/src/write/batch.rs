//! Encoded batches, and what became of them.

use std::sync::Arc;

use fscore_core::write::{WriteBatch as CoreWriteBatch, WritePart};
use pyo3::prelude::*;

use crate::job::Job;

/// Encoded commands of a write, which can be sent any number of times.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct WriteBatch {
    pub(crate) inner: Arc<CoreWriteBatch>,
    pub(super) rows: usize,
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
}

impl WriteBatch {
    /// The job that sends it once.
    pub(crate) fn job(&self) -> Job {
        Job::write(WritePart::new(Arc::clone(&self.inner)))
    }
}

/// Bytes after which a batch takes no more rows, so that wide rows do not make one of gigabytes.
const LARGEST_BATCH: usize = 4 << 20;

/// Rows on their way into batches.
pub(super) struct Batches {
    whole: Vec<WriteBatch>,
    current: CoreWriteBatch,
    rows: usize,
    most: usize,
}

impl Batches {
    pub(super) fn new(most: usize) -> Self {
        Batches {
            whole: Vec::new(),
            current: CoreWriteBatch::default(),
            rows: 0,
            most,
        }
    }

    /// Where the next row goes.
    pub(super) fn row(&mut self) -> &mut CoreWriteBatch {
        if self.rows == self.most || self.current.commands().len() >= LARGEST_BATCH {
            self.close();
        }
        self.rows += 1;
        &mut self.current
    }

    fn close(&mut self) {
        let batch = std::mem::take(&mut self.current);
        self.whole.push(WriteBatch {
            inner: Arc::new(batch),
            rows: std::mem::take(&mut self.rows),
        });
    }

    pub(super) fn finish(mut self) -> Vec<WriteBatch> {
        if self.rows > 0 {
            self.close();
        }
        self.whole
    }
}

/// What became of a write: `(commands that changed something, commands refused, first refusals)`,
/// each refusal a row and the server's words.
pub(crate) fn to_python(py: Python<'_>, part: &WritePart) -> PyResult<Py<PyAny>> {
    let outcome = part.outcome();
    let refused = (
        outcome.effective,
        outcome.rejected,
        outcome.rejections.clone(),
    );
    Ok(refused.into_pyobject(py)?.into_any().unbind())
}
