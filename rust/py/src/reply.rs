//! Generic replies as Python values, and a parser of replies for tests and tools.

use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyStopIteration;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use fscore_core::error::ErrorKind;
use fscore_core::resp::{Limits, Reply, ReplyBuilder, Scanner};

use crate::errors::Fault;

/// The Python value of a reply: `bytes` for bulk strings, `str` for status lines, and `dict` for
/// maps (a list of pairs if a key is an aggregate). An error within an aggregate is an exception as
/// a value.
pub(crate) fn to_python(py: Python<'_>, reply: Reply) -> PyResult<Py<PyAny>> {
    Ok(match reply {
        Reply::Null => py.None(),
        Reply::Blob(bytes) => PyBytes::new(py, &bytes).into_any().unbind(),
        Reply::Simple(text) => PyString::new(py, &String::from_utf8_lossy(&text))
            .into_any()
            .unbind(),
        Reply::Error(text) => PyErr::from(Fault::server(&text)).into_value(py).into_any(),
        Reply::Integer(value) => value.into_pyobject(py)?.into_any().unbind(),
        Reply::Double(value) => value.into_pyobject(py)?.into_any().unbind(),
        Reply::Boolean(value) => value.into_pyobject(py)?.to_owned().into_any().unbind(),
        Reply::BigNumber(digits) => {
            let digits = String::from_utf8_lossy(&digits).into_owned();
            py.get_type::<pyo3::types::PyInt>()
                .call1((digits,))?
                .unbind()
        }
        Reply::Array(items) | Reply::Push(items) => list(py, items)?,
        Reply::Map(pairs) if pairs.iter().any(|(key, _)| key.is_aggregate()) => {
            // Lists and dicts cannot be keys in Python.
            let pairs: Vec<(Py<PyAny>, Py<PyAny>)> = pairs
                .into_iter()
                .map(|(key, value)| Ok((to_python(py, key)?, to_python(py, value)?)))
                .collect::<PyResult<_>>()?;
            PyList::new(py, pairs)?.into_any().unbind()
        }
        Reply::Map(pairs) => {
            let dict = PyDict::new(py);
            for (key, value) in pairs {
                dict.set_item(to_python(py, key)?, to_python(py, value)?)?;
            }
            dict.into_any().unbind()
        }
    })
}

/// The elements of an aggregate.
pub(crate) fn list(py: Python<'_>, items: Vec<Reply>) -> PyResult<Py<PyAny>> {
    let values: Vec<Py<PyAny>> = items
        .into_iter()
        .map(|item| to_python(py, item))
        .collect::<PyResult<_>>()?;
    Ok(PyList::new(py, values)?.into_any().unbind())
}

/// Reads a stream of replies, in pieces of any length, into Python values. It is for tests and
/// tools: clients decode replies into columns instead.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct ReplyParser {
    inner: Mutex<Parser>,
}

struct Parser {
    scanner: Scanner,
    builder: ReplyBuilder,
    buffer: Vec<u8>,
    /// The bytes of `buffer` that are scanned already.
    used: usize,
}

#[pymethods]
impl ReplyParser {
    /// `max_depth` and `max_length` bound the replies that are accepted.
    #[new]
    #[pyo3(signature = (*, max_depth = 32, max_length = 512 << 20))]
    fn new(max_depth: usize, max_length: usize) -> Self {
        let limits = Limits {
            depth: max_depth,
            blob: max_length,
            ..Limits::default()
        };
        ReplyParser {
            inner: Mutex::new(Parser {
                scanner: Scanner::new(limits),
                builder: ReplyBuilder::new(max_length.saturating_mul(2)),
                buffer: Vec::new(),
                used: 0,
            }),
        }
    }

    /// Takes bytes of the stream.
    fn feed(&self, data: &[u8]) {
        let mut parser = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let used = std::mem::take(&mut parser.used);
        parser.buffer.drain(..used);
        parser.buffer.extend_from_slice(data);
    }

    /// The next whole reply; raises `StopIteration` if more bytes are needed, and `ProtocolError`
    /// if they are not RESP.
    fn next(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let reply = {
            let mut parser = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            parser.next()?
        };
        match reply {
            Some(reply) => to_python(py, reply),
            None => Err(PyStopIteration::new_err("more bytes are needed")),
        }
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.next(py)
    }
}

impl Parser {
    fn next(&mut self) -> Result<Option<Reply>, Fault> {
        let fault = |message: String| Fault::new(ErrorKind::ProtocolError, message);
        loop {
            let buffer = &self.buffer[self.used..];
            let scanned = self
                .scanner
                .next(buffer)
                .map_err(|error| fault(error.to_string()))?;
            let Some(scanned) = scanned else {
                return Ok(None);
            };
            self.used += scanned.consumed;
            self.builder.token(scanned.token);
            if scanned.last {
                return self
                    .builder
                    .finish()
                    .map(Some)
                    .map_err(|error| fault(error.to_string()));
            }
        }
    }
}
