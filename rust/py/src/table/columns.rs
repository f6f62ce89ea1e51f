//! Columns as `NumPy` arrays.

use fscore_core::convert::nearest_f32;
use fscore_core::table::{NO_TIME, Table};
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::Value;
use numpy::datetime::{Datetime, units::Milliseconds};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;

use super::matrix::push_vector;
use super::rows::object;

/// The integer that `NumPy` stores for `NaT`.
const NOT_A_TIME: i64 = i64::MIN;

/// One feature: an array of length rows, or of shape (rows, dimension) for a vector.
pub(super) fn column<'py>(
    py: Python<'py>,
    table: &Table,
    name: &str,
) -> PyResult<Bound<'py, PyAny>> {
    let index = index(table, name)?;
    let rows = table.rows();
    let cells = (0..rows).map(|row| table.cells()[row * table.columns() + index]);
    Ok(match table.data_type(index) {
        DataType::Scalar(Scalar::Int64) => {
            PyArray1::from_iter(py, cells.map(u64::cast_signed)).into_any()
        }
        DataType::Scalar(Scalar::Float64) => {
            PyArray1::from_iter(py, cells.map(f64::from_bits)).into_any()
        }
        DataType::Scalar(Scalar::Float32) => {
            PyArray1::from_iter(py, cells.map(|cell| nearest_f32(f64::from_bits(cell)))).into_any()
        }
        DataType::Scalar(Scalar::Bool) => {
            PyArray1::from_iter(py, cells.map(|cell| cell != 0)).into_any()
        }
        DataType::Scalar(Scalar::Timestamp(_)) => {
            let times = (0..rows).map(|row| match table.value(row, index) {
                Some(Value::Integer(ms)) => Datetime::<Milliseconds>::from(ms),
                _ => NOT_A_TIME.into(),
            });
            PyArray1::from_iter(py, times).into_any()
        }
        DataType::Vector(dimension) => {
            let mut elements = Vec::with_capacity(rows * dimension as usize);
            for row in 0..rows {
                push_vector(
                    &mut elements,
                    dimension,
                    table.value(row, index).as_ref(),
                    |value| value,
                );
            }
            PyArray1::from_vec(py, elements)
                .reshape((rows, dimension as usize))?
                .into_any()
        }
        DataType::Scalar(Scalar::String | Scalar::Bytes) | DataType::List(_) => {
            let objects = (0..rows)
                .map(|row| object(py, table, row, index).map(Bound::unbind))
                .collect::<PyResult<Vec<_>>>()?;
            PyArray1::from_vec(py, objects).into_any()
        }
    })
}

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

fn index(table: &Table, name: &str) -> PyResult<usize> {
    let features = table.features();
    features
        .iter()
        .position(|feature| feature.name == name)
        .ok_or_else(|| {
            let known: Vec<_> = features
                .iter()
                .map(|feature| feature.name.as_str())
                .collect();
            PyKeyError::new_err(format!(
                "no feature {name:?}; there are {}",
                known.join(", ")
            ))
        })
}
