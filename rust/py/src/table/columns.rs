//! Columns as `NumPy` arrays.

use fscore_core::table::{NO_TIME, Table};
use numpy::datetime::{Datetime, units::Milliseconds};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::prelude::*;

/// The integer that `NumPy` stores for `NaT`.
pub(super) const NOT_A_TIME: i64 = i64::MIN;

/// Event times: datetime64[ms] of shape (rows, features), `NaT` if there is none.
pub(super) fn event_times<'py>(
    py: Python<'py>,
    table: &Table,
) -> PyResult<Bound<'py, PyArray2<Datetime<Milliseconds>>>> {
    // NumPy's NaT is the same smallest integer.
    const { assert!(NO_TIME == NOT_A_TIME) };
    let times: Vec<Datetime<Milliseconds>> = (0..table.rows())
        .flat_map(|row| {
            (0..table.columns()).map(move |column| table.event_time(row, column).into())
        })
        .collect();
    PyArray1::from_vec(py, times).reshape((table.rows(), table.columns()))
}
