//! Commands as Python gives them, encoded.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyString};

use fscore_core::resp::encode::{write_array_header, write_blob, write_integer};

use crate::errors::wrong_type;

/// Appends one command of `bytes`, `str`, `int` and `float` arguments.
pub(crate) fn encode(out: &mut Vec<u8>, arguments: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
    if arguments.is_empty() {
        return Err(PyValueError::new_err("a command needs at least its name"));
    }
    write_array_header(out, arguments.len());
    for argument in arguments {
        write_argument(out, &argument)?;
    }
    Ok(())
}

fn write_argument(out: &mut Vec<u8>, argument: &Bound<'_, PyAny>) -> PyResult<()> {
    if let Ok(bytes) = argument.cast::<PyBytes>() {
        write_blob(out, bytes.as_bytes());
    } else if let Ok(text) = argument.cast::<PyString>() {
        write_blob(out, text.to_str()?.as_bytes());
    } else if argument.is_instance_of::<PyBool>() {
        // Commands have no booleans, and 1 and True mean different things to people.
        return Err(wrong_type(
            "a command's argument is bytes, str, int or float",
            argument,
        ));
    } else if argument.is_instance_of::<PyFloat>() {
        write_blob(out, format!("{:?}", argument.extract::<f64>()?).as_bytes());
    } else if let Ok(value) = argument.extract::<i64>() {
        write_integer(out, value);
    } else if argument.is_instance_of::<PyInt>() {
        write_blob(out, argument.str()?.to_str()?.as_bytes());
    } else if let Ok(bytes) = argument.cast::<PyByteArray>() {
        write_blob(out, &bytes.to_vec());
    } else {
        return Err(wrong_type(
            "a command's argument is bytes, str, int or float",
            argument,
        ));
    }
    Ok(())
}
