//! Compiled read plans.

mod spec;

use std::sync::Arc;

use fscore_core::cluster::SlotMap;
use fscore_core::plan::{ReadPlan as CoreReadPlan, Strategy};
use fscore_core::read::{Read, ReadOptions};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::errors;
use crate::input;
use crate::job::Job;
use crate::keys::{self, KeyColumns};

pub(crate) use spec::{items, join_keys};

/// A feature service compiled once into commands and output columns.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct ReadPlan {
    pub(crate) inner: Arc<CoreReadPlan>,
    max_rows: usize,
}

/// How one request is read, beside its keys.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request {
    pub(crate) asked: ReadOptions,
    /// Whether an incomplete answer is accepted.
    pub(crate) partial: bool,
}

#[pymethods]
impl ReadPlan {
    #[new]
    #[pyo3(signature = (spec, key_prefix, max_rows = usize::MAX))]
    fn new(
        py: Python<'_>,
        spec: &Bound<'_, PyDict>,
        key_prefix: &str,
        max_rows: usize,
    ) -> PyResult<Self> {
        let spec = spec::read(spec, key_prefix)?;
        let plan = CoreReadPlan::new(&spec)
            .map_err(|error| errors::invalid_definition(py, &error.to_string()))?;
        Ok(Self {
            inner: Arc::new(plan),
            max_rows,
        })
    }

    /// Names of the output columns, in order.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(
            py,
            self.inner
                .features()
                .iter()
                .map(|feature| feature.name.as_str()),
        )
    }

    /// Types of the output columns, in order.
    #[getter]
    fn types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(
            py,
            self.inner
                .features()
                .iter()
                .map(|feature| feature.data_type.to_string()),
        )
    }

    /// Names and types of the join keys.
    #[getter]
    fn join_keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let join_keys = PyDict::new(py);
        for (name, key_type) in self.inner.join_keys() {
            join_keys.set_item(name, key_type.name())?;
        }
        Ok(join_keys)
    }

    /// The join keys in `keys`, of any form that a read takes.
    fn key_columns(&self, keys: &Bound<'_, PyAny>) -> PyResult<KeyColumns> {
        Ok(KeyColumns {
            inner: keys::extract(self.inner.join_keys(), keys)?,
        })
    }

    /// The command that reads the hash of each entity that has one.
    #[getter]
    fn strategies(&self) -> Vec<&'static str> {
        self.inner.strategies().map(Strategy::name).collect()
    }
}

impl ReadPlan {
    /// The job that reads `keys` from a standalone server. `inputs` are those of the request.
    pub(crate) fn read_job(
        &self,
        keys: &Bound<'_, PyAny>,
        inputs: Option<&Bound<'_, PyAny>>,
        request: Request,
    ) -> PyResult<Job> {
        let columns = keys::extract(self.inner.join_keys(), keys)?;
        if columns.rows() > self.max_rows {
            return Err(errors::too_many_rows(
                keys.py(),
                columns.rows(),
                self.max_rows,
            ));
        }
        let inputs = input::columns(keys.py(), self.inner.request(), inputs, columns.rows())?;
        let read = Read::new(
            &self.inner,
            columns,
            inputs,
            request.asked,
            &SlotMap::Standalone,
        );
        let (read, mut parts) = read.map_err(|error| keys::error(keys.py(), &error))?;
        // A standalone server is one node, and so one part.
        let (_, part) = parts.remove(0);
        Ok(Job::read(read, part, request.partial))
    }
}
