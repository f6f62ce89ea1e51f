//! Single values: Python objects to stored text, and cells to Python objects.

use fscore_core::convert::nearest_f32;
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::{Value, encode, encode_element, vector_elements};
use fscore_core::write::Given;
use numpy::PyUntypedArray;
use pyo3::exceptions::PyOverflowError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{
    PyBool, PyByteArray, PyBytes, PyDate, PyDateTime, PyDelta, PyFloat, PyInt, PyList, PyString,
    PyTuple, PyTzInfoAccess,
};

use crate::array;

/// Appends the stored text of `object`. The error says why it is not of the type.
pub(crate) fn encode_object(
    out: &mut Vec<u8>,
    data_type: DataType,
    object: &Bound<'_, PyAny>,
) -> Result<(), String> {
    given(object, data_type, &mut Vec::new(), |given| {
        given.text(out);
        Ok(())
    })
}

/// Gives `object` to `take` as a value of the type; false if it is null. The error says why it is
/// not one. `scratch` is memory for values that are assembled first.
pub(crate) fn with_given(
    object: &Bound<'_, PyAny>,
    data_type: DataType,
    scratch: &mut Vec<u8>,
    take: impl FnOnce(Given<'_>) -> Result<(), String>,
) -> Result<bool, String> {
    if object.is_none() {
        return Ok(false);
    }
    match given(object, data_type, scratch, take) {
        Ok(()) => Ok(true),
        Err(_) if is_null(object) => Ok(false),
        Err(reason) => Err(reason),
    }
}

/// Whether `object` is null: None, `NaT`, pandas' `NA` or `NumPy`'s masked constant. It takes long,
/// so only objects that are not of the type are asked.
pub(crate) fn is_null(object: &Bound<'_, PyAny>) -> bool {
    object.is_none()
        || match type_name(object).as_str() {
            "NaTType" | "NAType" | "MaskedConstant" => true,
            // `NaT` is the only one that differs from itself.
            "datetime64" | "timedelta64" => object.ne(object).unwrap_or(false),
            _ => false,
        }
}

fn given(
    object: &Bound<'_, PyAny>,
    data_type: DataType,
    scratch: &mut Vec<u8>,
    take: impl FnOnce(Given<'_>) -> Result<(), String>,
) -> Result<(), String> {
    scratch.clear();
    match data_type {
        DataType::Scalar(scalar) => {
            let mut taken = Ok(());
            with_scalar(scalar, object, |value| {
                taken = take(Given::Scalar(value, scalar));
            })?;
            taken
        }
        DataType::List(scalar) => {
            scratch.push(b'[');
            let mut first = true;
            for_each(object, data_type, |element| {
                if !std::mem::take(&mut first) {
                    scratch.push(b',');
                }
                with_scalar(scalar, element, |value| {
                    encode_element(scratch, value, scalar);
                })
            })?;
            scratch.push(b']');
            take(Given::Stored(scratch))
        }
        DataType::Vector(dimension) => {
            vector(scratch, dimension, object)?;
            take(Given::Stored(scratch))
        }
    }
}

fn vector(out: &mut Vec<u8>, dimension: u32, object: &Bound<'_, PyAny>) -> Result<(), String> {
    let start = out.len();
    if let Some(array) = array::elements::<f32>(object) {
        for element in array.as_array() {
            out.extend_from_slice(&element.to_le_bytes());
        }
    } else {
        for_each(object, DataType::Vector(dimension), |element| {
            with_scalar(Scalar::Float32, element, |value| {
                if let Value::Float32(value) = value {
                    out.extend_from_slice(&value.to_le_bytes());
                }
            })
        })?;
    }
    let length = (out.len() - start) / 4;
    if length == dimension as usize {
        Ok(())
    } else {
        Err(format!(
            "has {length} elements, and {} needs {dimension}",
            DataType::Vector(dimension)
        ))
    }
}

fn for_each(
    object: &Bound<'_, PyAny>,
    data_type: DataType,
    mut each: impl FnMut(&Bound<'_, PyAny>) -> Result<(), String>,
) -> Result<(), String> {
    let listed;
    let object = match elements(object).map_err(|error| error.to_string())? {
        Some(list) => {
            listed = list;
            &listed
        }
        None => object,
    };
    if let Ok(list) = object.cast::<PyList>() {
        list.iter().try_for_each(|element| each(&element))
    } else if let Ok(tuple) = object.cast::<PyTuple>() {
        tuple.iter().try_for_each(|element| each(&element))
    } else {
        Err(not_of(object, &data_type.to_string()))
    }
}

/// The elements of an array or of a column of another library as a list; `None` for other objects.
fn elements<'py>(object: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = object.py();
    if object.is_instance_of::<PyList>() || object.is_instance_of::<PyTuple>() {
        return Ok(None);
    }
    if object.is_instance_of::<PyUntypedArray>() {
        let kind = object.getattr(intern!(py, "dtype"))?;
        let kind: String = kind.getattr(intern!(py, "kind"))?.extract()?;
        if kind == "M" || kind == "m" {
            // Their `tolist` may give integers in the array's own unit.
            let times = object.try_iter()?.collect::<PyResult<Vec<_>>>()?;
            return Ok(Some(PyList::new(py, times)?.into_any()));
        }
    }
    // NumPy and pandas, Polars, Arrow.
    for method in ["tolist", "to_list", "to_pylist"] {
        if object.hasattr(method)? {
            return object.call_method0(method).map(Some);
        }
    }
    Ok(None)
}

pub(crate) fn with_scalar(
    scalar: Scalar,
    object: &Bound<'_, PyAny>,
    take: impl FnOnce(Value<'_>),
) -> Result<(), String> {
    let wrong = || not_of(object, &scalar.to_string());
    match scalar {
        Scalar::Int64 => take(Value::Integer(integer(object, scalar)?)),
        Scalar::Timestamp(_) => take(Value::Integer(timestamp(object, scalar)?)),
        Scalar::Float64 => take(Value::Float64(float(object).ok_or_else(wrong)?)),
        Scalar::Float32 => {
            let wide = float(object).ok_or_else(wrong)?;
            let narrow = nearest_f32(wide);
            if narrow.is_infinite() && wide.is_finite() {
                return Err(format!("is {wide}, which is beyond Float32"));
            }
            take(Value::Float32(narrow));
        }
        Scalar::Bool => {
            let value = match object.cast::<PyBool>() {
                Ok(value) => value.is_true(),
                // NumPy's boolean is not a `bool`.
                Err(_) if matches!(type_name(object).as_str(), "bool" | "bool_") => {
                    object.is_truthy().map_err(|_| wrong())?
                }
                Err(_) => return Err(wrong()),
            };
            take(Value::Bool(value));
        }
        Scalar::String => {
            let text = object.cast::<PyString>().map_err(|_| wrong())?;
            take(Value::String(
                text.to_str()
                    .map_err(|_| "has a lone surrogate, which is not UTF-8")?,
            ));
        }
        Scalar::Bytes => {
            if let Ok(bytes) = object.cast::<PyBytes>() {
                take(Value::Bytes(bytes.as_bytes()));
            } else if let Ok(bytes) = object.cast::<PyByteArray>() {
                take(Value::Bytes(&bytes.to_vec()));
            } else {
                return Err(wrong());
            }
        }
    }
    Ok(())
}

fn integer(object: &Bound<'_, PyAny>, scalar: Scalar) -> Result<i64, String> {
    let wrong = || not_of(object, &scalar.to_string());
    if object.is_instance_of::<PyBool>() || object.is_instance_of::<PyFloat>() {
        return Err(wrong());
    }
    if let Ok(value) = object.cast::<PyInt>() {
        return value.extract().map_err(|_| "is beyond 64 bits".to_owned());
    }
    if scalar == Scalar::Int64 && is_duration(object) {
        return milliseconds(object);
    }
    let whole;
    let object = if type_name(object) == "Decimal" {
        // A whole decimal is an integer, however many zeros it has behind its point.
        whole = object
            .call_method0("as_integer_ratio")
            .and_then(|ratio| ratio.extract::<(Bound<'_, PyAny>, Bound<'_, PyAny>)>())
            .and_then(|(whole, parts)| Ok(parts.eq(1)?.then_some(whole)))
            .unwrap_or_default()
            .ok_or_else(|| format!("is {object}, which is not a whole number"))?;
        &whole
    } else {
        object
    };
    object.extract::<i64>().map_err(|error| {
        if error.is_instance_of::<PyOverflowError>(object.py()) {
            "is beyond 64 bits".to_owned()
        } else {
            wrong()
        }
    })
}

/// A time in epoch milliseconds: a `datetime` with a zone, a date, a `datetime64` or an integer.
pub(crate) fn timestamp(object: &Bound<'_, PyAny>, scalar: Scalar) -> Result<i64, String> {
    if let Ok(time) = object.cast::<PyDateTime>() {
        return epoch_ms(time);
    }
    if object.is_instance_of::<PyDate>() {
        const EPOCH: i64 = 719_163;
        let ordinal = object
            .call_method0("toordinal")
            .and_then(|day| day.extract::<i64>());
        let day = ordinal.map_err(|error| error.to_string())? - EPOCH;
        return Ok(day * 86_400_000);
    }
    if type_name(object) == "datetime64" {
        return numpy_milliseconds(object).ok_or_else(|| not_of(object, &scalar.to_string()));
    }
    integer(object, scalar)
}

fn is_duration(object: &Bound<'_, PyAny>) -> bool {
    object.is_instance_of::<PyDelta>() || type_name(object) == "timedelta64"
}

/// The whole milliseconds of a `timedelta` of Python or `NumPy`.
fn milliseconds(object: &Bound<'_, PyAny>) -> Result<i64, String> {
    let found = if object.is_instance_of::<PyDelta>() {
        let parts = ["days", "seconds", "microseconds"].map(|part| {
            object
                .getattr(part)
                .and_then(|value| value.extract::<i64>())
                .ok()
        });
        match parts {
            [Some(days), Some(seconds), Some(micros)] if micros % 1_000 == 0 => {
                Some((days * 86_400 + seconds) * 1_000 + micros / 1_000)
            }
            _ => None,
        }
    } else {
        numpy_milliseconds(object)
    };
    found.ok_or_else(|| format!("is {object}, which is not a whole number of milliseconds"))
}

/// A `datetime64` in epoch milliseconds, rounded down, or a `timedelta64` in milliseconds; `None`
/// if it is `NaT`, or a duration with a part of a millisecond.
fn numpy_milliseconds(object: &Bound<'_, PyAny>) -> Option<i64> {
    let (unit, exact) = match type_name(object).as_str() {
        "datetime64" => ("datetime64[ms]", false),
        _ => ("timedelta64[ms]", true),
    };
    let whole = object.call_method1("astype", (unit,)).ok()?;
    if object.ne(object).ok()? || exact && whole.ne(object).ok()? {
        return None;
    }
    whole
        .call_method1("astype", ("int64",))
        .ok()?
        .extract()
        .ok()
}

fn float(object: &Bound<'_, PyAny>) -> Option<f64> {
    if let Ok(value) = object.cast::<PyFloat>() {
        return Some(value.value());
    }
    if object.is_instance_of::<PyBool>() || object.is_instance_of::<PyString>() {
        return None;
    }
    let is_number = object.is_instance_of::<PyInt>() || is_numpy_number(object);
    if is_number || type_name(object) == "Decimal" {
        object.extract().ok()
    } else {
        None
    }
}

fn is_numpy_number(object: &Bound<'_, PyAny>) -> bool {
    let kind = object
        .getattr("dtype")
        .and_then(|dtype| dtype.getattr("kind"));
    kind.and_then(|kind| kind.extract::<String>())
        .is_ok_and(|kind| matches!(kind.as_str(), "f" | "i" | "u"))
        && type_name(object) != "MaskedConstant"
}

/// Milliseconds since the epoch of an aware `datetime`, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    reason = "microseconds until the year 9999 fit into 58 bits"
)]
fn epoch_ms(time: &Bound<'_, PyDateTime>) -> Result<i64, String> {
    if time.get_tzinfo().is_none() {
        return Err(format!(
            "is {time} without a time zone; give it one, such as datetime.UTC"
        ));
    }
    let seconds: f64 = time
        .call_method0("timestamp")
        .and_then(|seconds| seconds.extract())
        .map_err(|error| error.to_string())?;
    Ok(((seconds * 1e6).round() as i64).div_euclid(1_000))
}

fn type_name(object: &Bound<'_, PyAny>) -> String {
    object
        .get_type()
        .name()
        .map_or_else(|_| "?".to_owned(), |name| name.to_string())
}

fn not_of(object: &Bound<'_, PyAny>, wanted: &str) -> String {
    format!("must be {wanted}, not {}", type_name(object))
}

/// The Python object of `value`: int, float, bool, str, bytes or a list. Timestamps are epoch
/// milliseconds.
pub(crate) fn to_object<'py>(py: Python<'py>, value: Value<'_>) -> PyResult<Bound<'py, PyAny>> {
    Ok(match value {
        Value::Integer(value) => value.into_pyobject(py)?.into_any(),
        Value::Float64(value) => PyFloat::new(py, value).into_any(),
        // The shortest decimal of this Float32, as people write it: 0.1, not 0.10000000149.
        Value::Float32(value) => PyFloat::new(py, shortest(value)).into_any(),
        Value::Bool(value) => PyBool::new(py, value).to_owned().into_any(),
        Value::String(text) => PyString::new(py, text).into_any(),
        Value::Bytes(bytes) => PyBytes::new(py, bytes).into_any(),
        Value::List(elements) => {
            let objects: Vec<_> = elements
                .map(|element| to_object(py, element))
                .collect::<PyResult<_>>()?;
            PyList::new(py, objects)?.into_any()
        }
        Value::Vector(bytes) => {
            let elements: Vec<f64> = vector_elements(bytes).map(shortest).collect();
            PyList::new(py, elements)?.into_any()
        }
    })
}

fn shortest(value: f32) -> f64 {
    if !value.is_finite() {
        return f64::from(value);
    }
    let mut text = Vec::with_capacity(16);
    encode(&mut text, Value::Float32(value), Scalar::Float32);
    // The text is a decimal, because it was just written.
    std::str::from_utf8(&text)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(f64::from(value))
}
