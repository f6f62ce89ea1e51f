//! Access to arrays of `NumPy`.

use numpy::{Element, PyArray1, PyArrayMethods, PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;

/// The elements of `values`, if it is an array of this type. Elements that are not at multiples of
/// their size, as in a field of a structured array, are copied: a view would read between them.
pub(crate) fn elements<'py, T: Element>(
    values: &Bound<'py, PyAny>,
) -> Option<PyReadonlyArray1<'py, T>> {
    let array = values.cast::<PyArray1<T>>().ok()?;
    let apart = array.strides()[0].unsigned_abs();
    if apart.is_multiple_of(size_of::<T>()) && array.data().is_aligned() {
        return Some(array.readonly());
    }
    let copy = array.call_method0("copy").ok()?;
    Some(copy.cast_into::<PyArray1<T>>().ok()?.readonly())
}
