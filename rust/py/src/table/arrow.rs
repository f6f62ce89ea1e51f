//! Buffers of Arrow columns.

use fscore_core::convert::nearest_f32;
use fscore_core::table::Table;
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::ArenaSpan;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Arrow buffers of a feature of fixed width: eight bytes a row, and a byte a row that is 1 if
/// there is a value. Booleans have one byte a row, Float32s four.
pub(super) fn fixed<'py>(
    py: Python<'py>,
    table: &Table,
    index: usize,
) -> (Bound<'py, PyBytes>, Bound<'py, PyBytes>) {
    let mut values = Vec::with_capacity(8 * table.rows());
    let mut valid = Vec::with_capacity(table.rows());
    for row in 0..table.rows() {
        let value = table.value(row, index);
        valid.push(u8::from(value.is_some()));
        let cell = table.cells()[row * table.columns() + index];
        match table.data_type(index) {
            DataType::Scalar(Scalar::Bool) => values.push(u8::from(cell != 0)),
            DataType::Scalar(Scalar::Float32) => {
                values.extend_from_slice(&(nearest_f32(f64::from_bits(cell))).to_le_bytes());
            }
            _ => values.extend_from_slice(&cell.to_le_bytes()),
        }
    }
    (PyBytes::new(py, &values), PyBytes::new(py, &valid))
}

/// Arrow buffers of a `String`, `Bytes` or vector feature: int32 offsets, the bytes, and a
/// byte a row that is 1 if there is a value.
pub(super) fn variable<'py>(
    py: Python<'py>,
    table: &Table,
    index: usize,
) -> PyResult<(
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
    Bound<'py, PyBytes>,
)> {
    let fixed = match table.data_type(index) {
        DataType::Vector(dimension) => 4 * dimension as usize,
        _ => 0,
    };
    let mut offsets = vec![0_u8; 4];
    let mut bytes = Vec::new();
    let mut valid = Vec::with_capacity(table.rows());
    for row in 0..table.rows() {
        let there = table.value(row, index).is_some();
        valid.push(u8::from(there));
        if there {
            let cell = table.cells()[row * table.columns() + index];
            bytes.extend_from_slice(ArenaSpan::of(cell).slice(table.arena()));
        } else {
            bytes.resize(bytes.len() + fixed, 0);
        }
        let end = i32::try_from(bytes.len()).map_err(|_| {
            PyValueError::new_err("a column has more than 2 GiB of text; read fewer rows")
        })?;
        offsets.extend_from_slice(&end.to_le_bytes());
    }
    Ok((
        PyBytes::new(py, &offsets),
        PyBytes::new(py, &bytes),
        PyBytes::new(py, &valid),
    ))
}
