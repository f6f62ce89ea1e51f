//! Commands as Python gives them, encoded.

use pyo3::prelude::*;
use pyo3::types::{PyBool, PyByteArray, PyBytes, PyFloat, PyInt, PyString};

use fscore_core::resp::encode::{write_array_header, write_blob, write_integer};

use crate::errors;

/// Appends one command of `bytes`, `str`, `int` and `float` arguments.
pub(crate) fn encode(out: &mut Vec<u8>, arguments: Vec<Bound<'_, PyAny>>) -> PyResult<()> {
    if arguments.is_empty() {
        let message = "a command needs at least its name";
        return Err(Python::attach(|py| {
            errors::invalid_argument(py, message, "arguments")
        }));
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
        let text = text
            .to_str()
            .map_err(|_| wrong(argument, "is text that is not Unicode"))?;
        write_blob(out, text.as_bytes());
    } else if argument.is_instance_of::<PyBool>() {
        // Commands have no booleans, and 1 and True mean different things to people.
        return Err(wrong_type(argument));
    } else if argument.is_instance_of::<PyFloat>() {
        write_blob(out, format!("{:?}", argument.extract::<f64>()?).as_bytes());
    } else if let Ok(value) = argument.extract::<i64>() {
        write_integer(out, value);
    } else if argument.is_instance_of::<PyInt>() {
        // Python refuses to write thousands of digits.
        let digits = argument.str();
        let digits = digits.map_err(|_| wrong(argument, "is an integer of too many digits"))?;
        write_blob(out, digits.to_str()?.as_bytes());
    } else if let Ok(bytes) = argument.cast::<PyByteArray>() {
        write_blob(out, &bytes.to_vec());
    } else {
        return Err(wrong_type(argument));
    }
    Ok(())
}

fn wrong_type(argument: &Bound<'_, PyAny>) -> PyErr {
    let found = argument
        .get_type()
        .name()
        .map_or_else(|_| "something else".to_owned(), |name| name.to_string());
    wrong(
        argument,
        &format!("is bytes, str, int or float, not {found}"),
    )
}

fn wrong(argument: &Bound<'_, PyAny>, what: &str) -> PyErr {
    let message = format!("a command's argument {what}");
    errors::invalid_argument(argument.py(), &message, "arguments")
}
