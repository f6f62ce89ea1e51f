//! The matrix of all features, the input of a model.

use std::ops::Range;

use fscore_core::convert::{nearest_f32, nearest_f64};
use fscore_core::table::Table;
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::{Value, vector_elements};
use numpy::ndarray::ArrayView2;
use numpy::{
    Element, PyArray1, PyArray2, PyArrayDescr, PyArrayMethods, PyReadwriteArray2,
    PyUntypedArrayMethods,
};
use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;

use super::FeatureTable;
use crate::errors;

/// The rows that are converted column by column at a time, so that they stay in the cache.
const BLOCK: usize = 64;

/// A row-major matrix of shape (rows, width), a new one or `out`; see `fscore._fscore.pyi`.
pub(super) fn to_numpy<'py>(
    py: Python<'py>,
    table: &Table,
    dtype: Option<&Bound<'py, PyAny>>,
    out: Option<Bound<'py, PyAny>>,
) -> PyResult<Bound<'py, PyAny>> {
    let width = width(table)?;
    let precision = dtype.map(Precision::of).transpose()?;
    match out {
        Some(out) => {
            into(table, width, precision, &out)?;
            Ok(out)
        }
        None => made(
            py,
            table,
            width,
            precision.unwrap_or(Precision::default(table)),
        ),
    }
}

/// The matrix as `numpy.asarray` and the like ask for it. It is a view of the cells if they are the
/// matrix and the caller does not want a copy.
pub(super) fn array<'py>(
    slf: &Bound<'py, FeatureTable>,
    dtype: Option<&Bound<'py, PyAny>>,
    copy: Option<bool>,
) -> PyResult<Bound<'py, PyAny>> {
    let table = &slf.get().inner;
    let width = width(table)?;
    let precision = match dtype {
        Some(dtype) => Precision::of(dtype)?,
        None => Precision::default(table),
    };
    if copy != Some(true) && precision == Precision::Double && is_the_cells(table) {
        return view(slf);
    }
    if copy == Some(false) {
        let message = "copy is False, and this matrix has to be made: only that of Float64 and \
                       Float32 features in float64 is in memory already; leave out copy";
        return Err(errors::invalid_argument(slf.py(), message, "copy"));
    }
    made(slf.py(), table, width, precision)
}

/// A new matrix of the type that follows from the features.
pub(super) fn copied<'py>(py: Python<'py>, table: &Table) -> PyResult<Bound<'py, PyAny>> {
    made(py, table, width(table)?, Precision::default(table))
}

/// Whether the matrix that `numpy.asarray` returns is a view of the cells.
pub(super) fn is_viewed(table: &Table) -> bool {
    Precision::default(table) == Precision::Double && is_the_cells(table)
}

/// The cells as a matrix that cannot be written to. It keeps the table alive.
pub(super) fn view<'py>(slf: &Bound<'py, FeatureTable>) -> PyResult<Bound<'py, PyAny>> {
    let table = &slf.get().inner;
    let shape = (table.rows(), table.columns());
    let matrix = ArrayView2::from_shape(shape, floats(table))
        .map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
    // SAFETY: the array keeps the table alive. Nothing changes a table, as its class is frozen, so
    // its cells stay at their place, and below the array is made read-only.
    let array = unsafe { PyArray2::borrow_from_array(&matrix, slf.clone().into_any()) };
    array.call_method1(intern!(slf.py(), "setflags"), (false,))?;
    Ok(array.into_any())
}

/// The type of a matrix's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    /// Float32.
    Single,
    /// Float64.
    Double,
}

impl Precision {
    fn of(dtype: &Bound<'_, PyAny>) -> PyResult<Self> {
        let name: String = PyArrayDescr::new(dtype.py(), dtype)?
            .getattr(intern!(dtype.py(), "name"))?
            .extract()?;
        match name.as_str() {
            "float32" => Ok(Self::Single),
            "float64" => Ok(Self::Double),
            other => Err(PyTypeError::new_err(format!(
                "a matrix is float32 or float64, not {other}; convert the array it returns"
            ))),
        }
    }

    fn default(table: &Table) -> Self {
        let is_single = table.features().iter().all(|feature| {
            matches!(
                feature.data_type,
                DataType::Scalar(Scalar::Float32) | DataType::Vector(_)
            )
        });
        if is_single {
            Self::Single
        } else {
            Self::Double
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Single => "float32",
            Self::Double => "float64",
        }
    }
}

/// How many columns a matrix has; an error that names the features that it cannot hold.
fn width(table: &Table) -> PyResult<usize> {
    let features = table.features();
    let refused: Vec<_> = features
        .iter()
        .filter(|feature| width_of(feature.data_type).is_none())
        .map(|feature| format!("{} ({})", feature.name, feature.data_type))
        .collect();
    if !refused.is_empty() {
        return Err(PyTypeError::new_err(format!(
            "a matrix holds numbers, booleans, timestamps and vectors, not {}; leave these out \
             of the service, or use column(), to_arrow() or to_dicts()",
            refused.join(", ")
        )));
    }
    let widths = features
        .iter()
        .filter_map(|feature| width_of(feature.data_type));
    Ok(widths.sum())
}

/// The columns of a matrix that a feature takes; `None` if a matrix cannot hold it.
fn width_of(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Scalar(Scalar::String | Scalar::Bytes) | DataType::List(_) => None,
        DataType::Scalar(_) => Some(1),
        DataType::Vector(dimension) => Some(dimension as usize),
    }
}

/// Whether the cells are the float64 matrix: those of a missing value are NaN.
fn is_the_cells(table: &Table) -> bool {
    table.features().iter().all(|feature| {
        matches!(
            feature.data_type,
            DataType::Scalar(Scalar::Float64 | Scalar::Float32)
        )
    })
}

/// The cells, if they are the matrix.
fn floats(table: &Table) -> &[f64] {
    bytemuck::cast_slice(table.cells())
}

fn made<'py>(
    py: Python<'py>,
    table: &Table,
    width: usize,
    precision: Precision,
) -> PyResult<Bound<'py, PyAny>> {
    let shape = [table.rows(), width];
    match precision {
        Precision::Single => {
            let array = PyArray2::<f32>::zeros(py, shape, false);
            fill(table, width, array.try_readwrite()?.as_slice_mut()?);
            Ok(array.into_any())
        }
        Precision::Double if is_the_cells(table) => {
            let array = PyArray1::from_slice(py, floats(table)).reshape(shape)?;
            Ok(array.into_any())
        }
        Precision::Double => {
            let array = PyArray2::<f64>::zeros(py, shape, false);
            fill(table, width, array.try_readwrite()?.as_slice_mut()?);
            Ok(array.into_any())
        }
    }
}

/// Fills the caller's array.
fn into(
    table: &Table,
    width: usize,
    precision: Option<Precision>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (double, single) = (out.cast::<PyArray2<f64>>(), out.cast::<PyArray2<f32>>());
    let own = match (&double, &single) {
        (Ok(_), _) => Precision::Double,
        (_, Ok(_)) => Precision::Single,
        _ => {
            let kinds = "must be an array of two dimensions, of float32 or float64";
            return Err(wrong_out(out, kinds));
        }
    };
    if let Some(wanted) = precision.filter(|wanted| *wanted != own) {
        let kinds = format!("is {}, and dtype is {}", own.name(), wanted.name());
        return Err(wrong_out(out, &kinds));
    }
    if let Ok(array) = double {
        fill(table, width, writable(table, width, array)?.as_slice_mut()?);
    } else if let Ok(array) = single {
        fill(table, width, writable(table, width, array)?.as_slice_mut()?);
    }
    Ok(())
}

/// The caller's array if the matrix fits into it.
fn writable<'py, T: Element>(
    table: &Table,
    width: usize,
    out: &Bound<'py, PyArray2<T>>,
) -> PyResult<PyReadwriteArray2<'py, T>> {
    let shape = (table.rows(), width);
    if out.shape() != [shape.0, shape.1] {
        let found = (out.shape()[0], out.shape()[1]);
        let shapes = format!("has the shape {found:?}, and the matrix has {shape:?}");
        return Err(wrong_out(out, &shapes));
    }
    if !out.is_c_contiguous() || !out.is_aligned() {
        let order = "must be contiguous, in the order of C; numpy.empty makes such an array";
        return Err(wrong_out(out, order));
    }
    out.try_readwrite()
        .map_err(|error| wrong_out(out, &format!("cannot be written to: {error}")))
}

fn wrong_out(out: &Bound<'_, PyAny>, reason: &str) -> PyErr {
    errors::invalid_argument(out.py(), &format!("out {reason}"), "out")
}

/// A type of elements of a matrix.
trait Float: Element + Copy {
    fn of(value: f64) -> Self;

    fn of_single(value: f32) -> Self;
}

impl Float for f64 {
    fn of(value: f64) -> Self {
        value
    }

    fn of_single(value: f32) -> Self {
        f64::from(value)
    }
}

impl Float for f32 {
    fn of(value: f64) -> Self {
        nearest_f32(value)
    }

    fn of_single(value: f32) -> Self {
        value
    }
}

fn fill<T: Float>(table: &Table, width: usize, out: &mut [T]) {
    if is_the_cells(table) {
        for (out, cell) in out.iter_mut().zip(floats(table)) {
            *out = T::of(*cell);
        }
        return;
    }
    for start in (0..table.rows()).step_by(BLOCK) {
        let rows = start..(start + BLOCK).min(table.rows());
        let mut at = 0;
        for (column, feature) in table.features().iter().enumerate() {
            let part = Part {
                table,
                column,
                rows: rows.clone(),
            };
            match feature.data_type {
                DataType::Vector(dimension) => {
                    let dimension = dimension as usize;
                    part.vectors(out, width, at..at + dimension);
                    at += dimension;
                    continue;
                }
                DataType::Scalar(Scalar::Float64 | Scalar::Float32) => {
                    part.floats(out, width, at);
                }
                DataType::Scalar(Scalar::Bool) => {
                    part.numbers(out, width, at, |cell| f64::from(u8::from(cell != 0)));
                }
                _ => part.numbers(out, width, at, |cell| nearest_f64(cell.cast_signed())),
            }
            at += 1;
        }
    }
}

/// Some rows of a column.
struct Part<'a> {
    table: &'a Table,
    column: usize,
    rows: Range<usize>,
}

impl Part<'_> {
    fn cell(&self, row: usize) -> u64 {
        self.table.cells()[row * self.table.columns() + self.column]
    }

    fn floats<T: Float>(self, out: &mut [T], width: usize, at: usize) {
        for row in self.rows.clone() {
            out[row * width + at] = T::of(f64::from_bits(self.cell(row)));
        }
    }

    fn numbers<T: Float>(self, out: &mut [T], width: usize, at: usize, of: impl Fn(u64) -> f64) {
        for row in self.rows.clone() {
            out[row * width + at] = if self.table.has_value(row, self.column) {
                T::of(of(self.cell(row)))
            } else {
                T::of(f64::NAN)
            };
        }
    }

    fn vectors<T: Float>(self, out: &mut [T], width: usize, at: Range<usize>) {
        for row in self.rows.clone() {
            let out = &mut out[row * width..][at.clone()];
            match self.table.value(row, self.column) {
                Some(Value::Vector(bytes)) => {
                    for (out, element) in out.iter_mut().zip(vector_elements(bytes)) {
                        *out = T::of_single(element);
                    }
                }
                _ => out.fill(T::of(f64::NAN)),
            }
        }
    }
}
