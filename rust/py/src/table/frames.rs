//! Frames and tensors, which `fscore.interop.frames` makes, and what it makes them of.

use fscore_core::keys::KeyColumn;
use fscore_core::table::Table;
use numpy::PyArray1;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::FeatureTable;
use super::selection::Selection;

/// The frame that a function of the module returns.
pub(super) fn made<'py>(
    table: &Bound<'py, FeatureTable>,
    function: &Bound<'py, PyString>,
    keys: bool,
    statuses: bool,
) -> PyResult<Bound<'py, PyAny>> {
    module(table.py())?.call_method1(function, (table, keys, statuses))
}

/// The matrix as a tensor of torch.
pub(super) fn tensor<'py>(
    table: &Bound<'py, FeatureTable>,
    dtype: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    module(table.py())?.call_method1(intern!(table.py(), "to_torch"), (table, dtype))
}

fn module(py: Python<'_>) -> PyResult<Bound<'_, PyModule>> {
    py.import(intern!(py, "fscore.interop.frames"))
}

/// Name, kind and index of each column of a frame.
pub(super) fn columns(
    py: Python<'_>,
    table: &Table,
    selection: Selection,
) -> PyResult<Vec<(String, &'static str, usize)>> {
    let columns = selection.columns(py, table)?.into_iter();
    let parts = columns.map(|(name, column)| {
        let (kind, index) = column.parts();
        (name, kind, index)
    });
    Ok(parts.collect())
}

/// The values of a join key: int64, or objects of str.
pub(super) fn key<'py>(
    py: Python<'py>,
    table: &Table,
    index: usize,
) -> PyResult<Bound<'py, PyAny>> {
    match &table.keys().columns[index].1 {
        KeyColumn::Integer(ids) => Ok(PyArray1::from_slice(py, ids).into_any()),
        KeyColumn::Text(ids) => {
            let texts = ids
                .iter()
                .map(|id| Ok(PyString::from_bytes(py, id)?.into_any().unbind()))
                .collect::<PyResult<Vec<Py<PyAny>>>>()?;
            Ok(PyArray1::from_vec(py, texts).into_any())
        }
    }
}
