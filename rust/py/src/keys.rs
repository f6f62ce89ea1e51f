//! Join keys: Python sequences to typed columns, in one pass.

use fscore_core::keys::{ByteColumn, KeyColumn, KeyColumns as CoreKeyColumns, KeyType, KeysError};
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList, PyMapping, PyString, PyTuple};

use crate::array;
use crate::errors;
use crate::value::is_null;

/// Join keys that were read before; every read takes them as `keys`.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct KeyColumns {
    pub(crate) inner: CoreKeyColumns,
}

#[pymethods]
impl KeyColumns {
    /// Names of the join keys, in the order given.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.inner
            .columns
            .iter()
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn __len__(&self) -> usize {
        self.inner.rows()
    }
}

/// The keys in `keys`: a mapping of join key to column, a column alone if one join key is wanted,
/// parsed keys, or a table of any form that `fscore.interop.keys` reads.
pub(crate) fn extract(
    wanted: &[(String, KeyType)],
    keys: &Bound<'_, PyAny>,
) -> PyResult<CoreKeyColumns> {
    if let Ok(parsed) = keys.cast::<KeyColumns>() {
        return Ok(parsed.get().inner.clone());
    }
    if let Ok(mapping) = keys.cast::<PyDict>() {
        // Reading a column may run the caller's code, which may change the dict.
        let pairs: Vec<_> = mapping.iter().collect();
        let columns = pairs
            .iter()
            .map(|(name, values)| {
                let (name, key_type) = known(wanted, name)?;
                Ok((name.to_owned(), column(name, key_type, values)?))
            })
            .collect::<PyResult<_>>()?;
        return Ok(CoreKeyColumns { columns });
    }
    if let [(name, key_type)] = wanted
        && is_column(keys)
    {
        return Ok(CoreKeyColumns {
            columns: vec![(name.clone(), column(name, *key_type, keys)?)],
        });
    }
    let py = keys.py();
    let spelled: Vec<_> = wanted
        .iter()
        .map(|(name, key_type)| (name.as_str(), spelling(*key_type)))
        .collect();
    let table = py
        .import(intern!(py, "fscore.interop.keys"))?
        .call_method1(intern!(py, "key_columns"), (keys, spelled))?;
    extract(wanted, table.cast::<PyDict>()?)
}

/// The join key that a name of the caller's means, with its type.
fn known<'a>(
    wanted: &'a [(String, KeyType)],
    name: &Bound<'_, PyAny>,
) -> PyResult<(&'a str, KeyType)> {
    let py = name.py();
    let Ok(name) = name.cast::<PyString>() else {
        let message = "the names of join keys must be strings";
        return Err(errors::invalid_keys(py, message, None, None));
    };
    let name = name.to_str()?;
    if let Some((known, key_type)) = wanted.iter().find(|(known, _)| known == name) {
        return Ok((known, *key_type));
    }
    let known: Vec<_> = wanted.iter().map(|(known, _)| known.as_str()).collect();
    let known = known.join(", ");
    let message = format!("{name:?} is not a join key here; the join keys are {known}");
    Err(errors::invalid_keys(py, &message, Some(name), None))
}

/// Whether `keys` is certainly one column, and not a table.
fn is_column(keys: &Bound<'_, PyAny>) -> bool {
    let first = if let Ok(list) = keys.cast::<PyList>() {
        list.get_item(0)
    } else if let Ok(tuple) = keys.cast::<PyTuple>() {
        tuple.get_item(0)
    } else {
        return array::elements::<i64>(keys).is_some();
    };
    !first.is_ok_and(|first| first.is_instance_of::<PyDict>() || first.cast::<PyMapping>().is_ok())
}

fn spelling(key_type: KeyType) -> &'static str {
    match key_type {
        KeyType::Integer => "Int64",
        KeyType::Text => "String",
    }
}

/// `error` as an exception.
pub(crate) fn error(py: Python<'_>, error: &KeysError) -> PyErr {
    errors::invalid_keys(py, &error.to_string(), Some(&error.join_key), error.row)
}

fn column(name: &str, key_type: KeyType, values: &Bound<'_, PyAny>) -> PyResult<KeyColumn> {
    if key_type == KeyType::Integer
        && let Some(array) = array::elements::<i64>(values)
    {
        return Ok(KeyColumn::Integer(array.as_array().to_vec()));
    }
    if let Ok(list) = values.cast::<PyList>() {
        return from_objects(name, key_type, list.len(), list.iter());
    }
    if let Ok(tuple) = values.cast::<PyTuple>() {
        return from_objects(name, key_type, tuple.len(), tuple.iter());
    }
    let py = values.py();
    let read = py
        .import(intern!(py, "fscore.interop.keys"))?
        .call_method1(
            intern!(py, "key_column"),
            (name, spelling(key_type), values),
        )?;
    if key_type == KeyType::Integer
        && let Some(array) = array::elements::<i64>(&read)
    {
        return Ok(KeyColumn::Integer(array.as_array().to_vec()));
    }
    if let Ok(list) = read.cast::<PyList>() {
        return from_objects(name, key_type, list.len(), list.iter());
    }
    let message = format!(
        "the values of join key {name} must be a list or an array of {}; for one entity give a \
         list of one",
        key_type.name()
    );
    Err(errors::invalid_keys(
        values.py(),
        &message,
        Some(name),
        None,
    ))
}

fn from_objects<'py>(
    name: &str,
    key_type: KeyType,
    rows: usize,
    values: impl Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<KeyColumn> {
    match key_type {
        KeyType::Integer => {
            let mut ids = Vec::with_capacity(rows);
            for (row, value) in values.enumerate() {
                if value.is_instance_of::<PyBool>() {
                    return Err(wrong_type(name, key_type, row, &value));
                }
                // Everything that Python takes for an integer, NumPy's scalars included.
                ids.push(value.extract().map_err(|error: PyErr| {
                    if !error.is_instance_of::<PyOverflowError>(value.py()) {
                        return wrong_type(name, key_type, row, &value);
                    }
                    let message = format!("join key {name} (row {row}) is beyond 64 bits");
                    errors::invalid_keys(value.py(), &message, Some(name), Some(row))
                })?);
            }
            Ok(KeyColumn::Integer(ids))
        }
        KeyType::Text => {
            let mut ids = ByteColumn::with_capacity(rows, 12 * rows);
            for (row, value) in values.enumerate() {
                let text = value
                    .cast::<PyString>()
                    .ok()
                    .and_then(|text| text.to_str().ok());
                let text = text.ok_or_else(|| wrong_type(name, key_type, row, &value))?;
                ids.push(text.as_bytes());
            }
            Ok(KeyColumn::Text(ids))
        }
    }
}

fn wrong_type(name: &str, key_type: KeyType, row: usize, value: &Bound<'_, PyAny>) -> PyErr {
    if is_null(value) {
        let message = format!("join key {name} (row {row}) is null");
        return errors::invalid_keys(value.py(), &message, Some(name), Some(row));
    }
    let given = value
        .get_type()
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string());
    let message = format!(
        "join key {name} (row {row}) must be {}, not {given}; keys are not converted",
        key_type.name()
    );
    errors::invalid_keys(value.py(), &message, Some(name), Some(row))
}
