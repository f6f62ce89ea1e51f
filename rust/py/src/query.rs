//! The query string of a read request, and timestamps as it writes them.

use std::borrow::Cow;

use fscore_core::expression::InputColumn;
use fscore_core::types::DataType;
use fscore_core::{http, timestamp};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::errors;
use crate::keys::KeyColumns;
use crate::plan::ReadPlan;

/// Parse a query string into names and values of its parameters, in order.
///
/// Raises `MalformedRequest` if it cannot be decoded, `InvalidRequest` if a parameter is given
/// twice.
#[pyfunction]
pub(crate) fn parse_query(py: Python<'_>, query: &[u8]) -> PyResult<Vec<(String, String)>> {
    let read = http::parameters(query).map_err(|problem| error(py, &problem))?;
    let owned = |text: Cow<'_, str>| text.into_owned();
    Ok(read
        .into_iter()
        .map(|(name, value)| (owned(name), owned(value)))
        .collect())
}

/// Parse a time like `parse_as_of`, but of any year.
#[pyfunction]
pub(crate) fn parse_timestamp(text: &str) -> PyResult<i64> {
    timestamp::parse(text).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// Parse epoch milliseconds: an integer, or a time in RFC 3339 with an offset from UTC.
///
/// The time must be from 1970 to the year 9999. Raises `ValueError`; its message, such as "is
/// before 1970", continues a sentence that begins with the parameter's name.
#[pyfunction]
pub(crate) fn parse_as_of(text: &str) -> PyResult<i64> {
    timestamp::parse(text)
        .and_then(timestamp::checked)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A read request of one entity, parsed from a query string (the part after the question mark).
///
/// Parameters that are neither options nor join keys are inputs; reads take the query as `request`.
/// Raises `MalformedRequest` if the query cannot be decoded (a broken percent escape, not UTF-8),
/// and `InvalidRequest` if a parameter is given twice or an option has a wrong value.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct ReadQuery {
    inner: http::ReadQuery<'static>,
}

#[pymethods]
impl ReadQuery {
    /// Reads the part of a target after its question mark.
    #[new]
    fn new(py: Python<'_>, query: &[u8]) -> PyResult<Self> {
        let read = http::ReadQuery::parse(query).map_err(|problem| error(py, &problem))?;
        Ok(Self {
            inner: read.into_owned(),
        })
    }

    /// The feature service, or None.
    #[getter]
    fn service(&self) -> Option<&str> {
        self.inner.service.as_deref()
    }

    /// The names of the requested features, or None for all of the service.
    #[getter]
    fn features(&self) -> Option<Vec<&str>> {
        let names = self.inner.features.as_deref()?;
        Some(names.split(',').collect())
    }

    /// The pinned version, or None.
    #[getter]
    fn version(&self) -> Option<i64> {
        self.inner.version
    }

    /// Whether the caller accepts an answer with gaps; None if it does not say.
    #[getter]
    fn partial(&self) -> Option<bool> {
        self.inner.partial
    }

    /// `eventual`, `primary`, `snapshot` or None.
    #[getter]
    fn consistency(&self) -> Option<&str> {
        self.inner.consistency.as_deref()
    }

    /// The time at which windows end and rows expire, in epoch milliseconds, or None.
    #[getter]
    fn as_of(&self) -> Option<i64> {
        self.inner.as_of_ms
    }

    /// Names of all other parameters, in order: join keys and inputs.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.inner.others.iter().map(|(name, _)| &**name).collect()
    }

    /// Return the values of the plan's join keys, of their types; raises `InvalidRequest`.
    fn key_columns(&self, py: Python<'_>, plan: &ReadPlan) -> PyResult<KeyColumns> {
        let read = self.inner.key_columns(plan.inner.join_keys());
        Ok(KeyColumns {
            inner: read.map_err(|problem| error(py, &problem))?,
        })
    }
}

impl ReadQuery {
    /// The values of these inputs, read as their types.
    pub(crate) fn input_columns(
        &self,
        py: Python<'_>,
        wanted: &[(String, DataType)],
    ) -> PyResult<Vec<InputColumn>> {
        let read = self.inner.input_columns(wanted);
        read.map_err(|problem| error(py, &problem))
    }
}

fn error(py: Python<'_>, problem: &http::QueryProblem) -> PyErr {
    let class = if problem.malformed {
        "MalformedRequest"
    } else {
        "InvalidRequest"
    };
    errors::new(py, class, &problem.detail, |_| Ok(()))
}
