//! Join keys: Python sequences to typed columns, in one pass.

use fscore_core::keys::{ByteColumn, KeyColumn, KeyColumns as CoreKeyColumns, KeyType, KeysError};
use pyo3::exceptions::PyOverflowError;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyBytes, PyDict, PyInt, PyList, PyMapping, PySequence, PyString, PyTuple,
};

use crate::array;
use crate::errors;

/// Join keys parsed from a request's body or query; every read takes them as `keys`.
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
/// or parsed keys.
pub(crate) fn extract(
    wanted: &[(String, KeyType)],
    keys: &Bound<'_, PyAny>,
) -> PyResult<CoreKeyColumns> {
    if let Ok(parsed) = keys.cast::<KeyColumns>() {
        return Ok(parsed.get().inner.clone());
    }
    if let Ok(mapping) = keys.cast::<PyDict>() {
        let mut columns = Vec::with_capacity(mapping.len());
        for (name, values) in mapping {
            let Ok(name) = name.cast::<PyString>() else {
                return Err(errors::invalid_keys(
                    keys.py(),
                    "the names of join keys must be strings",
                    None,
                    None,
                ));
            };
            let name = name.to_str()?;
            let Some((_, key_type)) = wanted.iter().find(|(known, _)| known == name) else {
                let known: Vec<_> = wanted.iter().map(|(known, _)| known.as_str()).collect();
                let message = format!(
                    "{name:?} is not a join key here; the join keys are {}",
                    known.join(", ")
                );
                return Err(errors::invalid_keys(keys.py(), &message, Some(name), None));
            };
            columns.push((name.to_owned(), column(name, *key_type, &values)?));
        }
        return Ok(CoreKeyColumns { columns });
    }
    if let Ok(mapping) = keys.cast::<PyMapping>() {
        let copied = PyDict::new(keys.py());
        copied.update(mapping)?;
        return extract(wanted, copied.as_any());
    }
    let [(name, key_type)] = wanted else {
        let known: Vec<_> = wanted
            .iter()
            .map(|(known, _)| format!("{known:?}: […]"))
            .collect();
        let message = format!(
            "there are several join keys; give a dict {{{}}}",
            known.join(", ")
        );
        return Err(errors::invalid_keys(keys.py(), &message, None, None));
    };
    Ok(CoreKeyColumns {
        columns: vec![(name.clone(), column(name, *key_type, keys)?)],
    })
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
    let scalar = values.is_instance_of::<PyString>()
        || values.is_instance_of::<PyBytes>()
        || values.is_instance_of::<PyInt>();
    if !scalar {
        // NumPy, pandas, Polars and Arrow, in this order.
        for method in ["tolist", "to_list", "to_pylist"] {
            if values.hasattr(method)? {
                let list = values.call_method0(method)?;
                if let Ok(list) = list.cast_into::<PyList>() {
                    return from_objects(name, key_type, list.len(), list.iter());
                }
            }
        }
        if let Ok(sequence) = values.cast::<PySequence>() {
            let list = sequence.to_list()?;
            return from_objects(name, key_type, list.len(), list.iter());
        }
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
