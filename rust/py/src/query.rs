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

/// The parameters of a query string, in order. None may be given twice.
#[pyfunction]
pub(crate) fn parse_query(py: Python<'_>, query: &[u8]) -> PyResult<Vec<(String, String)>> {
    let read = http::parameters(query).map_err(|problem| error(py, &problem))?;
    let owned = |text: Cow<'_, str>| text.into_owned();
    Ok(read
        .into_iter()
        .map(|(name, value)| (owned(name), owned(value)))
        .collect())
}

/// The epoch milliseconds that `text` says, as an integer or as RFC 3339; of any year.
#[pyfunction]
pub(crate) fn parse_timestamp(text: &str) -> PyResult<i64> {
    timestamp::parse(text).map_err(|error| PyValueError::new_err(error.to_string()))
}

/// The same from 1970 to the year 9999.
#[pyfunction]
pub(crate) fn parse_as_of(text: &str) -> PyResult<i64> {
    timestamp::parse(text)
        .and_then(timestamp::checked)
        .map_err(|error| PyValueError::new_err(error.to_string()))
}

/// A read request of one entity, from its query string.
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

    /// The features asked for, or None.
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

    /// Whether an incomplete answer is accepted, or None.
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

    /// Names of all other parameters, in order.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.inner.others.iter().map(|(name, _)| &**name).collect()
    }

    /// The values of the join keys of `plan`, read as their types.
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
