//! Columns of a write: arrays of a feature's own type, or objects.

use fscore_core::types::{DataType, Scalar};
use fscore_core::value::{Value, encode};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::Feature;
use crate::value::encode_object;

pub(super) struct Column<'a, 'py> {
    pub(super) feature: &'a Feature,
    pub(super) values: Values<'py>,
}

pub(super) enum Values<'py> {
    Int64(PyReadonlyArray1<'py, i64>),
    Float64(PyReadonlyArray1<'py, f64>),
    Float32(PyReadonlyArray1<'py, f32>),
    Bool(PyReadonlyArray1<'py, bool>),
    Objects(Bound<'py, PyList>),
}

impl Values<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Int64(array) => array.as_array().len(),
            Self::Float64(array) => array.as_array().len(),
            Self::Float32(array) => array.as_array().len(),
            Self::Bool(array) => array.as_array().len(),
            Self::Objects(list) => list.len(),
        }
    }
}

impl<'a, 'py> Column<'a, 'py> {
    /// Arrays are read as they are where their type is the feature's; all else goes by objects,
    /// whose types are checked one by one.
    pub(super) fn new(feature: &'a Feature, values: &Bound<'py, PyAny>) -> PyResult<Self> {
        let typed = match feature.data_type {
            DataType::Scalar(Scalar::Int64 | Scalar::Timestamp(_)) => values
                .cast::<PyArray1<i64>>()
                .ok()
                .map(|array| Values::Int64(array.readonly())),
            DataType::Scalar(Scalar::Float64) => values
                .cast::<PyArray1<f64>>()
                .ok()
                .map(|array| Values::Float64(array.readonly())),
            DataType::Scalar(Scalar::Float32) => values
                .cast::<PyArray1<f32>>()
                .ok()
                .map(|array| Values::Float32(array.readonly())),
            DataType::Scalar(Scalar::Bool) => values
                .cast::<PyArray1<bool>>()
                .ok()
                .map(|array| Values::Bool(array.readonly())),
            _ => None,
        };
        let values = match typed {
            Some(values) => values,
            None if values.is_instance_of::<PyList>() => {
                Values::Objects(values.clone().cast_into()?)
            }
            None => Values::Objects(PyList::new(
                values.py(),
                values.try_iter()?.collect::<PyResult<Vec<_>>>()?,
            )?),
        };
        Ok(Self { feature, values })
    }

    /// Appends the text of a row's value; false where it is None.
    pub(super) fn encode(&self, out: &mut Vec<u8>, row: usize) -> Result<bool, String> {
        let scalar = match self.feature.data_type {
            DataType::Scalar(scalar) | DataType::List(scalar) => scalar,
            DataType::Vector(_) => Scalar::Float32,
        };
        let value = match &self.values {
            Values::Int64(array) => Value::Integer(array.as_array()[row]),
            Values::Float64(array) => Value::Float64(array.as_array()[row]),
            Values::Float32(array) => Value::Float32(array.as_array()[row]),
            Values::Bool(array) => Value::Bool(array.as_array()[row]),
            Values::Objects(list) => {
                let object = list.get_item(row).map_err(|error| error.to_string())?;
                if object.is_none() {
                    return Ok(false);
                }
                return encode_object(out, self.feature.data_type, &object).map(|()| true);
            }
        };
        encode(out, value, scalar);
        Ok(true)
    }
}
