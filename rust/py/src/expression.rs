//! On-request features over columns from Python.

use std::fmt::Display;

use fscore_core::convert::nearest_f32;
use fscore_core::expression::{
    Computed, ComputedColumn, Expression, Input, InputColumn, Inputs, RequestTime, Tree,
};
use fscore_core::types::{DataType, Scalar, Status};
use fscore_core::value::view;
use numpy::datetime::{Datetime, units::Milliseconds};
use numpy::{PyArray1, PyReadonlyArray1};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::array;
use crate::errors;
use crate::input::extract;
use crate::value::{encode_object, to_object};

/// An expression compiled for columns and request inputs of known types.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct CompiledExpression {
    computed: Computed,
    features: Vec<(String, DataType)>,
    request: Vec<(String, DataType)>,
}

/// Values, and which of them are null, or None.
type Brought<'py> = (Bound<'py, PyAny>, Option<PyReadonlyArray1<'py, bool>>);

#[pymethods]
impl CompiledExpression {
    #[new]
    #[pyo3(signature = (tree, features, request, data_type = None, default = None))]
    fn new(
        tree: &str,
        features: Vec<(String, String)>,
        request: Vec<(String, String)>,
        data_type: Option<&str>,
        default: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let tree = parse(tree)?;
        let features = parse_types(features)?;
        let request = parse_types(request)?;
        let data_type = match data_type {
            Some(spelling) => spelling.parse().map_err(|error| invalid(&error))?,
            None => Expression::compile(&tree, &features, &request)
                .map_err(|error| invalid(&error))?
                .data_type(),
        };
        let mut text = Vec::new();
        if let Some(default) = default {
            encode_object(&mut text, data_type, default)
                .map_err(|reason| PyValueError::new_err(format!("the default {reason}")))?;
        }
        let default = default.map(|_| text.as_slice());
        let computed = Computed::new(&tree, &features, &request, data_type, default);
        Ok(Self {
            computed: computed.map_err(|error| invalid(&error))?,
            features,
            request,
        })
    }

    /// The type of its values.
    #[getter]
    fn data_type(&self) -> String {
        self.computed.data_type().to_string()
    }

    /// The values and statuses of `rows` rows; see `fscore/_fscore.pyi`.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments of a Python method are owned"
    )]
    fn evaluate<'py>(
        &self,
        py: Python<'py>,
        rows: usize,
        features: Vec<Brought<'py>>,
        request: Vec<Brought<'py>>,
        now: Bound<'py, PyAny>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyArray1<u8>>)> {
        let features = columns(&self.features, &features, rows)?;
        let request = columns(&self.request, &request, rows)?;
        let times = match array::elements::<i64>(&now) {
            Some(times) => times.as_array().to_vec(),
            None => vec![now.extract()?],
        };
        let now = match times[..] {
            [now] => RequestTime::One(now),
            _ if times.len() == rows => RequestTime::Each(&times),
            _ => {
                let message = format!("now has {} timestamps for {rows} rows", times.len());
                return Err(errors::invalid_value(py, &message, Some("now"), None));
            }
        };
        let result = py.detach(|| {
            let features: Vec<Input<'_>> = features.iter().map(InputColumn::as_input).collect();
            let request: Vec<Input<'_>> = request.iter().map(InputColumn::as_input).collect();
            self.computed.evaluate(&Inputs {
                rows,
                columns: &features,
                request: &request,
                now,
            })
        });
        let values = to_array(py, &self.computed, &result)?;
        Ok((values, PyArray1::from_vec(py, result.statuses)))
    }
}

/// The text of a tree's JSON as people write expressions; `ValueError` if it is not valid.
#[pyfunction]
pub(crate) fn format_expression(tree: &str) -> PyResult<String> {
    parse(tree).map(|tree| tree.to_string())
}

fn parse(tree: &str) -> PyResult<Tree> {
    Tree::from_json(tree.as_bytes()).map_err(|error| invalid(&error))
}

fn parse_types(spelled: Vec<(String, String)>) -> PyResult<Vec<(String, DataType)>> {
    spelled
        .into_iter()
        .map(|(name, spelling)| match spelling.parse() {
            Ok(data_type) => Ok((name, data_type)),
            Err(error) => Err(PyValueError::new_err(format!("{name}: {error}"))),
        })
        .collect()
}

fn invalid(error: &impl Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

fn columns(
    types: &[(String, DataType)],
    brought: &[Brought<'_>],
    rows: usize,
) -> PyResult<Vec<InputColumn>> {
    if brought.len() != types.len() {
        let message = format!("{} columns are needed, not {}", types.len(), brought.len());
        return Err(PyValueError::new_err(message));
    }
    types
        .iter()
        .zip(brought)
        .map(|((name, data_type), (values, nulls))| {
            let nulls = nulls.as_ref().map(|nulls| nulls.as_array().to_vec());
            extract(name, *data_type, values, nulls.as_deref(), rows)
        })
        .collect()
}

fn to_array<'py>(
    py: Python<'py>,
    computed: &Computed,
    column: &ComputedColumn,
) -> PyResult<Bound<'py, PyAny>> {
    let data_type = computed.data_type();
    let cells = column.cells.iter().copied();
    let served = column
        .statuses
        .iter()
        .map(|&status| match Status::from_code(status) {
            Status::Present => true,
            Status::Null | Status::NotFound | Status::Expired => computed.has_default(),
            Status::Invalid | Status::Unavailable => false,
        });
    Ok(match data_type {
        DataType::Scalar(Scalar::Int64) => {
            PyArray1::from_iter(py, cells.map(u64::cast_signed)).into_any()
        }
        DataType::Scalar(Scalar::Float64) => {
            PyArray1::from_iter(py, cells.map(f64::from_bits)).into_any()
        }
        DataType::Scalar(Scalar::Float32) => {
            PyArray1::from_iter(py, cells.map(|cell| nearest_f32(f64::from_bits(cell)))).into_any()
        }
        DataType::Scalar(Scalar::Bool) => {
            PyArray1::from_iter(py, cells.map(|cell| cell != 0)).into_any()
        }
        DataType::Scalar(Scalar::Timestamp(_)) => {
            // NumPy's NaT is the smallest integer.
            let times = cells.zip(served).map(|(cell, served)| {
                Datetime::<Milliseconds>::from(if served { cell.cast_signed() } else { i64::MIN })
            });
            PyArray1::from_iter(py, times).into_any()
        }
        _ => {
            let objects = cells.zip(served).map(|(cell, served)| {
                if !served {
                    return Ok(py.None());
                }
                to_object(py, view(data_type, cell, &column.arena)).map(Bound::unbind)
            });
            PyArray1::from_vec(py, objects.collect::<PyResult<Vec<_>>>()?).into_any()
        }
    })
}
