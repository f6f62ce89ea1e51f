//! Access to arrays of `NumPy`.

use numpy::{
    Element, PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArray, PyUntypedArrayMethods,
};
use pyo3::PyTypeInfo;
use pyo3::intern;
use pyo3::prelude::*;

/// The elements of `values`, if it is an array of this type without a mask. Elements that are not
/// at multiples of their size, as in a field of a structured array, are copied: a view would read
/// between them.
pub(crate) fn elements<'py, T: Element>(
    values: &Bound<'py, PyAny>,
) -> Option<PyReadonlyArray1<'py, T>> {
    let array = values.cast::<PyArray1<T>>().ok()?;
    if is_masked(values) {
        return None;
    }
    let apart = array.strides()[0].unsigned_abs();
    if apart.is_multiple_of(size_of::<T>()) && array.data().is_aligned() {
        return Some(array.readonly());
    }
    let copy = array.call_method0("copy").ok()?;
    Some(copy.cast_into::<PyArray1<T>>().ok()?.readonly())
}

/// The elements of an array of booleans as bytes. `NumPy` takes any byte but 0 for true, and Rust
/// may see only 0 and 1 in a `bool`.
pub(crate) fn booleans<'py>(values: &Bound<'py, PyAny>) -> Option<PyReadonlyArray1<'py, u8>> {
    values.cast::<PyArray1<bool>>().ok()?;
    let octets = values.call_method1(intern!(values.py(), "view"), ("uint8",));
    elements(&octets.ok()?)
}

/// Whether an array has a mask, under which its data means nothing.
fn is_masked(array: &Bound<'_, PyAny>) -> bool {
    // Nearly every array is of the very class, so subclasses alone are asked.
    !array.get_type().is(PyUntypedArray::type_object(array.py()))
        && array.hasattr(intern!(array.py(), "mask")).unwrap_or(true)
}
