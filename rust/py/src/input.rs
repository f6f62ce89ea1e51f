//! Inputs of on-request features: Python columns and single values to typed cells.

use fscore_core::convert::{nearest_f32, nearest_f64};
use fscore_core::expression::InputColumn;
use fscore_core::json;
use fscore_core::types::{DataType, Scalar, TimeUnit};
use fscore_core::value::decode;
use numpy::{Element, PyUntypedArray};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple};

use crate::array;
use crate::errors;
use crate::json::{RequestInputs, problem_error};
use crate::query::ReadQuery;
use crate::value::{encode_object, is_null, with_scalar};

/// Makes the input `name` of `data_type`, for `rows` rows, from `values`, which may have any form
/// that `fscore.interop.columns` reads.
fn read(
    name: &str,
    data_type: DataType,
    values: &Bound<'_, PyAny>,
    rows: usize,
) -> PyResult<InputColumn> {
    let py = values.py();
    let is_plain = values.is_none()
        || values.is_instance_of::<PyList>()
        || values.is_instance_of::<PyString>()
        || values.is_instance_of::<PyFloat>()
        || values.is_instance_of::<PyInt>()
        || numbers(data_type, values).is_some();
    if is_plain {
        return extract(name, data_type, values, None, rows);
    }
    let (values, nulls): (Bound<'_, PyAny>, Option<Vec<bool>>) = py
        .import(intern!(py, "fscore.interop.columns"))?
        .call_method1(
            intern!(py, "request_input"),
            (name, values, data_type.to_string()),
        )?
        .extract()?;
    extract(name, data_type, &values, nulls.as_deref(), rows)
}

/// Makes the input `name` of `data_type`, for `rows` rows, from `values`.
///
/// A list, a tuple or an array is a column. A row of it is null if it is None, or if `nulls` is
/// true. Anything else is one value for all rows. If the type is a list or a vector itself, only a
/// list of these is a column.
pub(crate) fn extract(
    name: &str,
    data_type: DataType,
    values: &Bound<'_, PyAny>,
    nulls: Option<&[bool]>,
    rows: usize,
) -> PyResult<InputColumn> {
    let wrong = |row: Option<usize>, reason: &str| {
        let place = row.map_or_else(String::new, |row| format!(" (row {row})"));
        let message = format!("{name}{place} {reason}");
        errors::invalid_value(values.py(), &message, Some(name), row)
    };
    let null = |row: usize| nulls.is_some_and(|nulls| nulls.get(row) == Some(&true));
    let column = if let Some(cells) = numbers(data_type, values) {
        InputColumn::from_cells(data_type, cells, nulls)
    } else if let Some(objects) = objects(data_type, values)? {
        let mut column = InputColumn::with_capacity(data_type, rows);
        for (row, object) in objects.iter().enumerate() {
            if null(row) || object.is_none() {
                column.push_null();
            } else {
                push_or_null(&mut column, &object).map_err(|reason| wrong(Some(row), &reason))?;
            }
        }
        column
    } else {
        let mut column = InputColumn::with_capacity(data_type, 1);
        if values.is_none() {
            column.push_null();
        } else {
            push_or_null(&mut column, values).map_err(|reason| wrong(None, &reason))?;
        }
        column.for_all_rows()
    };
    match (column.rows(), nulls) {
        (Some(given), _) if given != rows => {
            Err(wrong(None, &format!("has {given} values for {rows} rows")))
        }
        (Some(given), Some(nulls)) if nulls.len() != given => Err(wrong(
            None,
            &format!("has {given} values, and flags of null for {}", nulls.len()),
        )),
        _ => Ok(column),
    }
}

/// A column for each of the inputs `wanted` of a request of `rows` rows. The request has them in a
/// mapping of input to value or column, or in a body or a query string that was parsed before.
pub(crate) fn columns(
    py: Python<'_>,
    wanted: &[(String, DataType)],
    given: Option<&Bound<'_, PyAny>>,
    rows: usize,
) -> PyResult<Vec<InputColumn>> {
    let invalid = |name: &str, message: &str| errors::invalid_value(py, message, Some(name), None);
    let given = match given {
        Some(given) => {
            if let Ok(parsed) = given.cast::<RequestInputs>() {
                let columns = parsed.get().inner.columns(wanted, rows);
                return columns.map_err(|problem| problem_error(py, &problem, rows));
            }
            if let Ok(query) = given.cast::<ReadQuery>() {
                return query.get().input_columns(py, wanted);
            }
            let copied = PyDict::new(py);
            if let Ok(mapping) = given.cast::<PyMapping>() {
                copied.update(mapping)?;
            } else {
                let names: Vec<_> = wanted.iter().map(|(name, _)| name.as_str()).collect();
                let table = py
                    .import(intern!(py, "fscore.interop.columns"))?
                    .call_method1(intern!(py, "request_table"), (given, names))?;
                copied.update(table.cast::<PyMapping>()?)?;
            }
            copied
        }
        None if wanted.is_empty() => return Ok(Vec::new()),
        None => PyDict::new(py),
    };
    for name in given.keys() {
        let name = name.str()?;
        let name = name.to_string_lossy();
        if !wanted.iter().any(|(known, _)| *known == name) {
            return Err(invalid(&name, &json::unknown(&name, wanted)));
        }
    }
    wanted
        .iter()
        .map(|(name, data_type)| match given.get_item(name)? {
            Some(values) => read(name, *data_type, &values, rows),
            None => Err(invalid(name, &json::missing(name, *data_type))),
        })
        .collect()
}

/// The cells of an array of a fitting type; `None` for other values, whose objects are read one by
/// one.
#[expect(
    clippy::cast_precision_loss,
    reason = "integers become the nearest Float32, rounded once"
)]
fn numbers(data_type: DataType, values: &Bound<'_, PyAny>) -> Option<Vec<u64>> {
    let DataType::Scalar(scalar) = data_type else {
        return None;
    };
    match scalar {
        Scalar::Int64 | Scalar::Timestamp(TimeUnit::Milliseconds) => {
            cells(values, i64::cast_unsigned)
        }
        Scalar::Timestamp(unit) => cells(values, |ms: i64| stored(ms, unit).cast_unsigned()),
        Scalar::Float64 => cells(values, f64::to_bits)
            .or_else(|| cells(values, |value: f32| f64::from(value).to_bits()))
            .or_else(|| cells(values, |value: i64| nearest_f64(value).to_bits())),
        Scalar::Float32 => cells(values, |value: f32| f64::from(value).to_bits())
            .or_else(|| cells(values, |value: i64| f64::from(value as f32).to_bits()))
            .or_else(|| {
                let narrowed = cells(values, |value: f64| f64::from(nearest_f32(value)).to_bits());
                // A value that became infinite is an error of its row, so the objects are read.
                narrowed
                    .filter(|cells| !cells.iter().any(|cell| f64::from_bits(*cell).is_infinite()))
            }),
        Scalar::Bool => {
            let octets = array::booleans(values)?;
            Some(
                octets
                    .as_array()
                    .iter()
                    .map(|&octet| u64::from(octet != 0))
                    .collect(),
            )
        }
        Scalar::String | Scalar::Bytes => None,
    }
}

fn cells<T: Element + Copy>(values: &Bound<'_, PyAny>, of: impl Fn(T) -> u64) -> Option<Vec<u64>> {
    let array = array::elements::<T>(values)?;
    let array = array.as_array();
    Some(array.iter().map(|value| of(*value)).collect())
}

/// The elements of `values`, if they are a column.
fn objects<'py>(
    data_type: DataType,
    values: &Bound<'py, PyAny>,
) -> PyResult<Option<Bound<'py, PyList>>> {
    let list = if let Ok(list) = values.cast::<PyList>() {
        list.clone()
    } else if let Ok(tuple) = values.cast::<PyTuple>() {
        tuple.to_list()
    } else if values.is_instance_of::<PyUntypedArray>() {
        values.call_method0("tolist")?.cast_into()?
    } else {
        return Ok(None);
    };
    if matches!(data_type, DataType::Scalar(_)) {
        return Ok(Some(list));
    }
    // A list of plain values is one value.
    let row = |object: Bound<'_, PyAny>| {
        object.is_instance_of::<PyList>()
            || object.is_instance_of::<PyTuple>()
            || object.is_instance_of::<PyUntypedArray>()
            || is_null(&object)
    };
    Ok(list.iter().any(row).then_some(list))
}

/// Appends a value. The error says why it is not of the column's type, if it is not null either.
fn push_or_null(column: &mut InputColumn, object: &Bound<'_, PyAny>) -> Result<(), String> {
    match push(column, object) {
        Err(_) if is_null(object) => {
            column.push_null();
            Ok(())
        }
        pushed => pushed,
    }
}

fn push(column: &mut InputColumn, object: &Bound<'_, PyAny>) -> Result<(), String> {
    let mut pushed = Ok(());
    if let DataType::Scalar(scalar) = column.data_type() {
        with_scalar(scalar, object, |value| pushed = column.push_scalar(value))?;
    } else {
        let mut text = Vec::new();
        encode_object(&mut text, column.data_type(), object)?;
        pushed = column.push(|data_type, arena| decode(data_type, &text, arena));
    }
    pushed.map_err(|invalid| invalid.0.to_owned())
}

/// A timestamp, rounded down as if it had been stored in that unit.
fn stored(ms: i64, unit: TimeUnit) -> i64 {
    ms - ms.rem_euclid(unit.milliseconds())
}
