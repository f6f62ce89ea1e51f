//! Rows as dicts and as JSON documents.

use std::sync::atomic::{AtomicUsize, Ordering};

use fscore_core::json;
use fscore_core::table::Table;
use fscore_core::types::Status;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};

use super::FeatureTable;
use super::access;
use super::selection::{Column, Selection};
use crate::value::to_object;

/// One dict for each row: feature to value, or to None if there is none. With `keys` the join keys
/// are in front, with `statuses` the names of the statuses at the end.
pub(super) fn to_dicts<'py>(
    py: Python<'py>,
    table: &Table,
    keys: bool,
    statuses: bool,
) -> PyResult<Bound<'py, PyList>> {
    let selection = Selection { keys, statuses };
    let columns = selection.columns(py, table)?;
    let features = RowNames::new(py, table);
    let interned = |wanted: fn(Column) -> bool| -> Vec<Bound<'py, PyString>> {
        let chosen = columns.iter().filter(|(_, column)| wanted(*column));
        chosen.map(|(name, _)| PyString::intern(py, name)).collect()
    };
    let key_names = interned(|column| matches!(column, Column::Key(_)));
    let status_names = interned(|column| matches!(column, Column::Status(_)));
    let words = Status::ALL.map(|status| PyString::intern(py, status.name()));
    let rows = PyList::empty(py);
    for row in 0..table.rows() {
        let dict = PyDict::new(py);
        for (name, (_, column)) in key_names.iter().zip(&table.keys().columns) {
            dict.set_item(name, access::key(py, column, row)?)?;
        }
        features.add(&dict, table, row)?;
        for (column, name) in status_names.iter().enumerate() {
            dict.set_item(name, &words[table.status(row, column) as usize])?;
        }
        rows.append(dict)?;
    }
    Ok(rows)
}

/// The names of the features, as the keys of every row's dict.
#[derive(Debug)]
pub(super) struct RowNames(Vec<Py<PyString>>);

impl RowNames {
    pub(super) fn new(py: Python<'_>, table: &Table) -> Self {
        let names = table.features().iter();
        let names = names.map(|feature| PyString::intern(py, &feature.name).unbind());
        Self(names.collect())
    }

    /// A row: feature to value, or to None if there is none.
    pub(super) fn dict<'py>(
        &self,
        py: Python<'py>,
        table: &Table,
        row: usize,
    ) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        self.add(&dict, table, row)?;
        Ok(dict)
    }

    fn add(&self, dict: &Bound<'_, PyDict>, table: &Table, row: usize) -> PyResult<()> {
        let py = dict.py();
        for (column, name) in self.0.iter().enumerate() {
            let value = match table.value(row, column) {
                Some(value) => to_object(py, value)?,
                None => py.None().into_bound(py),
            };
            dict.set_item(name.bind(py), value)?;
        }
        Ok(())
    }
}

/// The rows of a table, one dict at a time.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct Rows {
    table: Py<FeatureTable>,
    names: RowNames,
    next: AtomicUsize,
}

impl Rows {
    pub(super) fn new(py: Python<'_>, table: Py<FeatureTable>) -> Self {
        Self {
            names: RowNames::new(py, &table.get().inner),
            table,
            next: AtomicUsize::new(0),
        }
    }
}

#[pymethods]
impl Rows {
    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let table = &self.table.get().inner;
        let row = self.next.fetch_add(1, Ordering::Relaxed);
        if row >= table.rows() {
            // It stays at the end, however often it is asked.
            self.next.store(table.rows(), Ordering::Relaxed);
            return Ok(None);
        }
        self.names.dict(py, table, row).map(Some)
    }

    fn __length_hint__(&self) -> usize {
        let next = self.next.load(Ordering::Relaxed);
        self.table.get().inner.rows().saturating_sub(next)
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
