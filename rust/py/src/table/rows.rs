//! Rows as dicts and as JSON documents.

use fscore_core::json;
use fscore_core::table::Table;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use crate::value::to_object;

/// One dict for each row: feature to value, or to None if there is none.
pub(super) fn to_dicts<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyList>> {
    let names: Vec<_> = table
        .features()
        .iter()
        .map(|feature| PyString::intern(py, &feature.name))
        .collect();
    let rows = PyList::empty(py);
    for row in 0..table.rows() {
        let dict = PyDict::new(py);
        for (column, name) in names.iter().enumerate() {
            dict.set_item(name, object(py, table, row, column)?)?;
        }
        rows.append(dict)?;
    }
    Ok(rows)
}

/// The value, or None if there is none.
pub(super) fn object<'py>(
    py: Python<'py>,
    table: &Table,
    row: usize,
    column: usize,
) -> PyResult<Bound<'py, PyAny>> {
    match table.value(row, column) {
        Some(value) => to_object(py, value),
        None => Ok(py.None().into_bound(py)),
    }
}

/// The JSON document of many entities, as `POST /v1/features` answers.
pub(super) fn to_json<'py>(
    py: Python<'py>,
    table: &Table,
    timestamps: bool,
    as_of: Option<i64>,
) -> Bound<'py, PyBytes> {
    let mut out = Vec::new();
    json::render_many(table, timestamps, &mut out);
    if let Some(as_of_ms) = as_of {
        json::add_as_of(&mut out, as_of_ms);
    }
    PyBytes::new(py, &out)
}

/// The JSON document of one entity, the first row, as `GET /v1/features` answers.
pub(super) fn to_json_one<'py>(
    py: Python<'py>,
    table: &Table,
    as_of: Option<i64>,
) -> PyResult<Bound<'py, PyBytes>> {
    if table.rows() == 0 {
        return Err(PyValueError::new_err("the table has no rows"));
    }
    let mut out = Vec::with_capacity(64 + 24 * table.columns());
    json::render_one(table, &mut out);
    if let Some(as_of_ms) = as_of {
        json::add_as_of(&mut out, as_of_ms);
    }
    Ok(PyBytes::new(py, &out))
}
