//! Traces, for the answering and the recording of requests in Python.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;

use fscore_core::http::{Roots, Trace as CoreTrace};

/// The position of a request in a distributed trace (W3C Trace Context).
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Clone, Copy)]
pub(crate) struct Trace {
    pub(super) inner: CoreTrace,
}

#[pymethods]
impl Trace {
    /// The trace's id, in 32 digits.
    #[getter]
    fn trace_id(&self) -> String {
        format!("{:032x}", self.inner.id)
    }

    /// The id of the caller's span; None if the request begins the trace.
    #[getter]
    fn parent_id(&self) -> Option<u64> {
        self.inner.parent.map(u64::from)
    }

    /// Whether the trace is recorded.
    #[getter]
    fn sampled(&self) -> bool {
        self.inner.sampled
    }

    fn __repr__(&self) -> String {
        format!("<Trace {}>", self.trace_id())
    }
}

/// Says which trace a request is part of.
///
/// Of the requests without a trace, the share `ratio` (0 to 1) begins one. Ids of new traces follow
/// from `seed`, 16 random bytes.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct Traces {
    roots: Option<Mutex<Roots>>,
}

#[pymethods]
impl Traces {
    #[new]
    fn new(ratio: f64, seed: [u8; 16]) -> Self {
        let roots = Roots::new(ratio, u128::from_be_bytes(seed));
        Self {
            roots: (ratio > 0.0).then(|| Mutex::new(roots)),
        }
    }

    /// Return the trace that a `traceparent` header names (W3C Trace Context).
    ///
    /// If the header is missing or malformed, it is the trace that the request begins, or None.
    #[pyo3(name = "of", signature = (traceparent, *, may_begin = true))]
    fn py_of(&self, traceparent: Option<&[u8]>, may_begin: bool) -> Option<Trace> {
        let inner = self.of(traceparent, may_begin)?;
        Some(Trace { inner })
    }
}

impl Traces {
    pub(super) fn of(&self, traceparent: Option<&[u8]>, may_begin: bool) -> Option<CoreTrace> {
        traceparent.and_then(CoreTrace::parse).or_else(|| {
            let roots = self.roots.as_ref().filter(|_| may_begin)?;
            roots.lock().unwrap_or_else(PoisonError::into_inner).begin()
        })
    }
}
