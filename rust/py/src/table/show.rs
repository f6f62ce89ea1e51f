//! What `fscore.interop.display` shows of a table.

use fscore_core::table::Table;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::access;
use crate::value::to_object;

/// A cell: true and its value, or false and the name of its status.
type Shown<'py> = (bool, Bound<'py, PyAny>);

/// The keys and the cells of the first rows and columns.
pub(super) type Head<'py> = (Bound<'py, PyDict>, Vec<Vec<Shown<'py>>>);

/// The table as `form`, a function of `fscore.interop.display`, shows it.
pub(super) fn shown<'py>(table: &Bound<'py, PyAny>, form: &str) -> PyResult<Bound<'py, PyAny>> {
    let py = table.py();
    py.import(intern!(py, "fscore.interop.display"))?
        .call_method1(form, (table,))
}

pub(super) fn head<'py>(
    py: Python<'py>,
    table: &Table,
    rows: usize,
    columns: usize,
) -> PyResult<Head<'py>> {
    let rows = rows.min(table.rows());
    let columns = columns.min(table.columns());
    let shown = |row, column| {
        if let Some(value) = table.value(row, column) {
            return Ok((true, to_object(py, value)?));
        }
        let status = table.status(row, column).name();
        Ok((false, status.into_pyobject(py)?.into_any()))
    };
    let cells = (0..rows)
        .map(|row| (0..columns).map(|column| shown(row, column)).collect())
        .collect::<PyResult<_>>()?;
    Ok((access::keys(py, table.keys(), rows)?, cells))
}
