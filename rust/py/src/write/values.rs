//! Columns of a write: arrays of a feature's own type, or objects.

use fscore_core::types::{DataType, Scalar};
use fscore_core::value::Value;
use fscore_core::write::Given;
use numpy::PyReadonlyArray1;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::array;
use crate::value::with_given;

/// The values of a column.
pub(super) struct ColumnValues<'py> {
    data_type: DataType,
    array: Array<'py>,
}

enum Array<'py> {
    Int64(PyReadonlyArray1<'py, i64>),
    Float64(PyReadonlyArray1<'py, f64>),
    Float32(PyReadonlyArray1<'py, f32>),
    Bool(PyReadonlyArray1<'py, u8>),
    Objects(Bound<'py, PyList>),
}

impl Array<'_> {
    fn len(&self) -> usize {
        match self {
            Self::Int64(array) => array.as_array().len(),
            Self::Float64(array) => array.as_array().len(),
            Self::Float32(array) => array.as_array().len(),
            Self::Bool(array) => array.as_array().len(),
            Self::Objects(list) => list.len(),
        }
    }
}

impl<'py> ColumnValues<'py> {
    /// Arrays of the feature's type are read directly. All others are read as objects, whose types
    /// are checked one by one.
    pub(super) fn new(data_type: DataType, values: &Bound<'py, PyAny>) -> PyResult<Self> {
        let typed = match data_type {
            DataType::Scalar(Scalar::Int64 | Scalar::Timestamp(_)) => {
                array::elements(values).map(Array::Int64)
            }
            DataType::Scalar(Scalar::Float64) => array::elements(values).map(Array::Float64),
            DataType::Scalar(Scalar::Float32) => array::elements(values).map(Array::Float32),
            DataType::Scalar(Scalar::Bool) => array::booleans(values).map(Array::Bool),
            _ => None,
        };
        let array = match typed {
            Some(array) => array,
            None if values.is_instance_of::<PyList>() => {
                Array::Objects(values.clone().cast_into()?)
            }
            None => Array::Objects(PyList::new(
                values.py(),
                values.try_iter()?.collect::<PyResult<Vec<_>>>()?,
            )?),
        };
        Ok(Self { data_type, array })
    }

    pub(super) fn len(&self) -> usize {
        self.array.len()
    }

    /// Gives a row's value to `take`; false if it is null.
    pub(super) fn with_given(
        &self,
        row: usize,
        scratch: &mut Vec<u8>,
        take: impl FnOnce(Given<'_>) -> Result<(), String>,
    ) -> Result<bool, String> {
        let value = match &self.array {
            Array::Int64(array) => Value::Integer(array.as_array()[row]),
            Array::Float64(array) => Value::Float64(array.as_array()[row]),
            Array::Float32(array) => Value::Float32(array.as_array()[row]),
            Array::Bool(array) => Value::Bool(array.as_array()[row] != 0),
            Array::Objects(list) => {
                let object = list.get_item(row).map_err(|error| error.to_string())?;
                return with_given(&object, self.data_type, scratch, take);
            }
        };
        let (DataType::Scalar(scalar) | DataType::List(scalar)) = self.data_type else {
            return Err("does not take an array of numbers".to_owned());
        };
        take(Given::Scalar(value, scalar)).map(|()| true)
    }
}
