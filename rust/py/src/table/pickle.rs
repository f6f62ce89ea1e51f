//! Tables through pickle.

use fscore_core::table::Table;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::FeatureTable;
use crate::errors;

/// What pickle stores of a table: the function that makes it again, and its argument.
pub(super) type Reduced<'py> = (Bound<'py, PyAny>, (Bound<'py, PyBytes>,));

pub(super) fn reduce<'py>(py: Python<'py>, table: &Table) -> PyResult<Reduced<'py>> {
    let module = py.import(intern!(py, "fscore._fscore"))?;
    let again = module.getattr(intern!(py, "unpickle_table"))?;
    Ok((again, (PyBytes::new(py, &table.to_bytes()),)))
}

/// The table that pickle stored as `data`.
#[pyfunction]
pub(crate) fn unpickle_table(py: Python<'_>, data: &[u8]) -> PyResult<FeatureTable> {
    match Table::from_bytes(data) {
        Ok(inner) => Ok(FeatureTable { inner }),
        Err(error) => {
            let message = format!("a FeatureTable cannot be unpickled: {error}");
            Err(errors::invalid_value(py, &message, None, None))
        }
    }
}
