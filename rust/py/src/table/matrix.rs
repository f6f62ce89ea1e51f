//! The matrix of all features, the input of a model.

use fscore_core::convert::{nearest_f32, nearest_f64};
use fscore_core::table::Table;
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::{Value, vector_elements};
use numpy::{Element, PyArray1, PyArrayMethods};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// A row-major matrix of shape (rows, width); see `fscore._fscore.pyi`.
pub(super) fn to_numpy<'py>(
    py: Python<'py>,
    table: &Table,
    dtype: Option<&Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let features = table.features();
    let refused: Vec<_> = features
        .iter()
        .filter(|feature| width(feature.data_type).is_none())
        .map(|feature| format!("{} ({})", feature.name, feature.data_type))
        .collect();
    if !refused.is_empty() {
        return Err(PyTypeError::new_err(format!(
            "a matrix holds numbers, booleans, timestamps and vectors, not {}; leave these out \
             of the service, or use column(), to_arrow() or to_dicts()",
            refused.join(", ")
        )));
    }
    let narrow = match dtype {
        None => features.iter().all(|feature| {
            matches!(
                feature.data_type,
                DataType::Scalar(Scalar::Float32) | DataType::Vector(_)
            )
        }),
        Some(dtype) => is_float32(dtype)?,
    };
    if narrow {
        return matrix(py, table, nearest_f32, |value| value);
    }
    if features.iter().all(|feature| {
        matches!(
            feature.data_type,
            DataType::Scalar(Scalar::Float64 | Scalar::Float32)
        )
    }) {
        // The cells are the matrix, NaN included.
        let cells: &[f64] = bytemuck::cast_slice(table.cells());
        return Ok(PyArray1::from_slice(py, cells)
            .reshape((table.rows(), table.columns()))?
            .into_any());
    }
    matrix(py, table, |value| value, f64::from)
}

fn matrix<'py, T: Element + Copy>(
    py: Python<'py>,
    table: &Table,
    from_f64: impl Fn(f64) -> T,
    from_f32: impl Fn(f32) -> T,
) -> PyResult<Bound<'py, PyAny>> {
    let features = table.features();
    let total: usize = features
        .iter()
        .filter_map(|feature| width(feature.data_type))
        .sum();
    let mut out: Vec<T> = Vec::with_capacity(table.rows() * total);
    for row in 0..table.rows() {
        for (column, feature) in features.iter().enumerate() {
            let value = table.value(row, column);
            match (feature.data_type, value) {
                (DataType::Vector(dimension), value) => {
                    push_vector(&mut out, dimension, value.as_ref(), &from_f32);
                }
                (_, Some(Value::Integer(value))) => out.push(from_f64(nearest_f64(value))),
                (_, Some(Value::Float64(value))) => out.push(from_f64(value)),
                (_, Some(Value::Float32(value))) => out.push(from_f32(value)),
                (_, Some(Value::Bool(value))) => out.push(from_f64(f64::from(u8::from(value)))),
                _ => out.push(from_f64(f64::NAN)),
            }
        }
    }
    Ok(PyArray1::from_vec(py, out)
        .reshape((table.rows(), total))?
        .into_any())
}

/// Appends the elements of a vector, or as many NaN if there is none.
fn push_vector<T>(
    out: &mut Vec<T>,
    dimension: u32,
    value: Option<&Value<'_>>,
    convert: impl Fn(f32) -> T,
) {
    match value {
        Some(Value::Vector(bytes)) => out.extend(vector_elements(bytes).map(convert)),
        _ => out.extend((0..dimension).map(|_| convert(f32::NAN))),
    }
}

/// The columns of a matrix that a feature takes; `None` if a matrix cannot hold it.
fn width(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Scalar(Scalar::String | Scalar::Bytes) | DataType::List(_) => None,
        DataType::Scalar(_) => Some(1),
        DataType::Vector(dimension) => Some(dimension as usize),
    }
}

fn is_float32(dtype: &Bound<'_, PyAny>) -> PyResult<bool> {
    let name: String = numpy::PyArrayDescr::new(dtype.py(), dtype)?
        .getattr("name")?
        .extract()?;
    match name.as_str() {
        "float32" => Ok(true),
        "float64" => Ok(false),
        other => Err(PyTypeError::new_err(format!(
            "a matrix is float32 or float64, not {other}; convert the array it returns"
        ))),
    }
}
