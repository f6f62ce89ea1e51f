//! `DLPack`: the matrix for libraries of tensors.

use pyo3::exceptions::{PyBufferError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::{FeatureTable, matrix};
use crate::errors;

/// Memory of the processor: the device's type in `DLPack`, and its number.
pub(super) const DEVICE: (i32, i32) = (1, 0);

/// What a consumer asks for.
#[derive(Debug)]
pub(super) struct Asked<'a, 'py> {
    pub(super) stream: Option<&'a Bound<'py, PyAny>>,
    pub(super) max_version: Option<(u32, u32)>,
    pub(super) device: Option<(i32, i32)>,
    pub(super) copy: Option<bool>,
}

/// A capsule with the matrix that `numpy.asarray` returns. `NumPy` makes it.
///
/// The cells themselves go only to a consumer of version 1 or later, because earlier ones cannot be
/// told that memory is read-only. All others get a matrix of their own.
pub(super) fn capsule<'py>(
    slf: &Bound<'py, FeatureTable>,
    asked: &Asked<'_, 'py>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = slf.py();
    if asked.stream.is_some() {
        let message = "stream must be None: the matrix is in the memory of the processor";
        return Err(errors::invalid_argument(py, message, "stream"));
    }
    if asked.device.is_some_and(|device| device != DEVICE) {
        return Err(PyBufferError::new_err(format!(
            "the matrix is in the memory of the processor, device {DEVICE:?}; move the tensor \
             after the conversion"
        )));
    }
    let table = &slf.get().inner;
    let version = asked.max_version.filter(|(major, _)| *major > 0);
    let options = PyDict::new(py);
    if let Some(version) = version {
        options.set_item(intern!(py, "max_version"), version)?;
    }
    let export = |array: Bound<'py, PyAny>, options: Option<&Bound<'py, PyDict>>| {
        array.call_method(intern!(py, "__dlpack__"), (), options)
    };
    if version.is_some() && asked.copy != Some(true) && matrix::is_viewed(table) {
        match export(matrix::view(slf)?, Some(&options)) {
            // NumPy before 2.1 does not know the version.
            Err(error) if error.is_instance_of::<PyTypeError>(py) => {}
            exported => return exported,
        }
    }
    if asked.copy == Some(false) {
        return Err(PyBufferError::new_err(
            "copy is False, and a copy has to be made: only a matrix of Float64 and Float32 \
             features in float64 is in memory already, and only DLPack 1 can say that it is \
             read-only",
        ));
    }
    let made = matrix::copied(py, table)?;
    match export(made.clone(), Some(&options)) {
        Err(error) if version.is_some() && error.is_instance_of::<PyTypeError>(py) => {
            export(made, None)
        }
        exported => exported,
    }
}
