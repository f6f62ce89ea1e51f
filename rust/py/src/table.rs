//! Results: columns, matrix, dicts, JSON.

use fscore_core::convert::{nearest_f32, nearest_f64};
use fscore_core::json;
use fscore_core::table::{NO_TIME, Table};
use fscore_core::types::{DataType, Scalar};
use fscore_core::value::{ArenaSpan, Value, vector_elements};
use numpy::datetime::{Datetime, units::Milliseconds};
use numpy::{Element, PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use crate::value::to_object;

/// The answer to a read: rows in the order of the keys, features in the order of the service.
#[pyclass(frozen, module = "fscore")]
#[derive(Debug)]
pub(crate) struct FeatureTable {
    inner: Table,
}

/// The table as a Python object.
pub(crate) fn to_python(py: Python<'_>, table: Table) -> PyResult<Py<PyAny>> {
    Ok(Py::new(py, FeatureTable { inner: table })?.into_any())
}

/// The integer that `NumPy` stores for `NaT`.
const NOT_A_TIME: i64 = i64::MIN;

#[pymethods]
impl FeatureTable {
    /// Names of the features, in order.
    #[getter]
    fn features<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(
            py,
            self.inner
                .plan()
                .features()
                .iter()
                .map(|feature| feature.name.as_str()),
        )
    }

    /// Types of the features, in order.
    #[getter]
    fn types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let types = self.inner.plan().features().iter();
        PyTuple::new(py, types.map(|feature| feature.data_type.to_string()))
    }

    /// Number of rows and of features.
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.inner.rows(), self.inner.columns())
    }

    /// The version of the data that was read.
    #[getter]
    fn version(&self) -> i64 {
        self.inner.version()
    }

    /// The pointer to the version at the time of a snapshot that read it, or None.
    #[getter]
    fn pointer(&self) -> Option<i64> {
        self.inner.pointer()
    }

    /// Fingerprints of packed rows whose schema the plan does not have; their values are INVALID.
    #[getter]
    fn unknown_schemas(&self) -> &[u32] {
        self.inner.unknown_schemas()
    }

    /// Whether every value is PRESENT.
    #[getter]
    fn all_present(&self) -> bool {
        self.inner.all_present()
    }

    /// How many values are INVALID.
    #[getter]
    fn invalid(&self) -> usize {
        self.inner.invalid()
    }

    /// Status codes: uint8 of shape (rows, features).
    #[getter]
    fn statuses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        PyArray1::from_slice(py, self.inner.statuses()).reshape(self.shape())
    }

    /// Event times: datetime64[ms] of shape (rows, features), `NaT` if there is none.
    #[getter]
    fn event_times<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Bound<'py, PyArray2<Datetime<Milliseconds>>>> {
        // NumPy's NaT is the same smallest integer.
        const { assert!(NO_TIME == NOT_A_TIME) };
        let times: Vec<Datetime<Milliseconds>> = (0..self.inner.rows())
            .flat_map(|row| {
                (0..self.inner.columns())
                    .map(move |column| self.inner.event_time(row, column).into())
            })
            .collect();
        PyArray1::from_vec(py, times).reshape(self.shape())
    }

    /// The first stored values that could not be served: (row, feature or None, reason).
    #[getter]
    fn problems(&self) -> Vec<(u32, Option<&str>, &str)> {
        let features = self.inner.plan().features();
        self.inner
            .problems()
            .iter()
            .map(|problem| {
                let feature = problem
                    .feature
                    .map(|index| features[index as usize].name.as_str());
                (problem.row, feature, problem.reason.as_str())
            })
            .collect()
    }

    /// The number of values with each status, indexed by its code.
    fn count_statuses(&self) -> [usize; 6] {
        let mut counts = [0; 6];
        for &status in self.inner.statuses() {
            counts[usize::from(status)] += 1;
        }
        counts
    }

    fn __len__(&self) -> usize {
        self.inner.rows()
    }

    fn __repr__(&self) -> String {
        let (rows, columns) = self.shape();
        let counts = self.count_statuses();
        let mut others = String::new();
        for (status, count) in fscore_core::types::Status::ALL.iter().zip(counts).skip(1) {
            if count > 0 {
                others = format!("{others}, {count} {}", status.name());
            }
        }
        format!(
            "<FeatureTable {rows} rows x {columns} features, {} PRESENT{others}>",
            counts[0]
        )
    }

    /// A row-major matrix of shape (rows, width); see `fscore._fscore.pyi`.
    #[pyo3(signature = (dtype=None))]
    fn to_numpy<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let features = self.inner.plan().features();
        let refused: Vec<_> = features
            .iter()
            .filter(|feature| width(feature.data_type).is_none())
            .map(|feature| format!("{} ({})", feature.name, feature.data_type))
            .collect();
        if !refused.is_empty() {
            return Err(PyTypeError::new_err(format!(
                "a matrix holds numbers, booleans, timestamps and vectors, not {}; leave these out \
                 of the service, or use column(), to_arrow() or to_dicts()",
                refused.join(", ")
            )));
        }
        let narrow = match dtype {
            None => features.iter().all(|feature| {
                matches!(
                    feature.data_type,
                    DataType::Scalar(Scalar::Float32) | DataType::Vector(_)
                )
            }),
            Some(dtype) => is_float32(dtype)?,
        };
        if narrow {
            return self.matrix(py, nearest_f32, |value| value);
        }
        if features.iter().all(|feature| {
            matches!(
                feature.data_type,
                DataType::Scalar(Scalar::Float64 | Scalar::Float32)
            )
        }) {
            // The cells are the matrix, NaN included.
            let cells: &[f64] = bytemuck::cast_slice(self.inner.cells());
            return Ok(PyArray1::from_slice(py, cells)
                .reshape(self.shape())?
                .into_any());
        }
        self.matrix(py, |value| value, f64::from)
    }

    /// One feature: an array of length rows, or of shape (rows, dimension) for a vector.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let index = self.index(name)?;
        let rows = self.inner.rows();
        let cells = (0..rows).map(|row| self.inner.cells()[row * self.inner.columns() + index]);
        Ok(match self.inner.data_type(index) {
            DataType::Scalar(Scalar::Int64) => {
                PyArray1::from_iter(py, cells.map(u64::cast_signed)).into_any()
            }
            DataType::Scalar(Scalar::Float64) => {
                PyArray1::from_iter(py, cells.map(f64::from_bits)).into_any()
            }
            DataType::Scalar(Scalar::Float32) => {
                PyArray1::from_iter(py, cells.map(|cell| nearest_f32(f64::from_bits(cell))))
                    .into_any()
            }
            DataType::Scalar(Scalar::Bool) => {
                PyArray1::from_iter(py, cells.map(|cell| cell != 0)).into_any()
            }
            DataType::Scalar(Scalar::Timestamp(_)) => {
                let times = (0..rows).map(|row| match self.inner.value(row, index) {
                    Some(Value::Integer(ms)) => Datetime::<Milliseconds>::from(ms),
                    _ => NOT_A_TIME.into(),
                });
                PyArray1::from_iter(py, times).into_any()
            }
            DataType::Vector(dimension) => {
                let mut elements = Vec::with_capacity(rows * dimension as usize);
                for row in 0..rows {
                    push_vector(
                        &mut elements,
                        dimension,
                        self.inner.value(row, index).as_ref(),
                        |value| value,
                    );
                }
                PyArray1::from_vec(py, elements)
                    .reshape((rows, dimension as usize))?
                    .into_any()
            }
            DataType::Scalar(Scalar::String | Scalar::Bytes) | DataType::List(_) => {
                let objects = (0..rows)
                    .map(|row| self.object(py, row, index).map(Bound::unbind))
                    .collect::<PyResult<Vec<_>>>()?;
                PyArray1::from_vec(py, objects).into_any()
            }
        })
    }

    /// One dict for each row: feature to value, or to None if there is none.
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let names: Vec<_> = self
            .inner
            .plan()
            .features()
            .iter()
            .map(|feature| PyString::intern(py, &feature.name))
            .collect();
        let rows = PyList::empty(py);
        for row in 0..self.inner.rows() {
            let dict = PyDict::new(py);
            for (column, name) in names.iter().enumerate() {
                dict.set_item(name, self.object(py, row, column)?)?;
            }
            rows.append(dict)?;
        }
        Ok(rows)
    }

    /// A `pyarrow.Table`: a typed column for each feature, null if there is no value.
    fn to_arrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        py.import(intern!(py, "fscore.interop.arrow"))?
            .call_method1(intern!(py, "table"), (slf,))
    }

    /// The JSON document of many entities, as `POST /v1/features` answers.
    #[pyo3(signature = (*, timestamps=false, as_of=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        timestamps: bool,
        as_of: Option<i64>,
    ) -> Bound<'py, PyBytes> {
        let mut out = Vec::new();
        json::render_many(&self.inner, timestamps, &mut out);
        if let Some(as_of_ms) = as_of {
            json::add_as_of(&mut out, as_of_ms);
        }
        PyBytes::new(py, &out)
    }

    /// The JSON document of one entity, the first row, as `GET /v1/features` answers.
    #[pyo3(signature = (*, as_of=None))]
    fn to_json_one<'py>(
        &self,
        py: Python<'py>,
        as_of: Option<i64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        if self.inner.rows() == 0 {
            return Err(PyValueError::new_err("the table has no rows"));
        }
        let mut out = Vec::with_capacity(64 + 24 * self.inner.columns());
        json::render_one(&self.inner, &mut out);
        if let Some(as_of_ms) = as_of {
            json::add_as_of(&mut out, as_of_ms);
        }
        Ok(PyBytes::new(py, &out))
    }

    /// Arrow buffers of a feature of fixed width: eight bytes a row, and a byte a row that is 1 if
    /// there is a value. Booleans have one byte a row, Float32s four.
    fn _arrow_fixed<'py>(
        &self,
        py: Python<'py>,
        index: usize,
    ) -> (Bound<'py, PyBytes>, Bound<'py, PyBytes>) {
        let mut values = Vec::with_capacity(8 * self.inner.rows());
        let mut valid = Vec::with_capacity(self.inner.rows());
        for row in 0..self.inner.rows() {
            let value = self.inner.value(row, index);
            valid.push(u8::from(value.is_some()));
            let cell = self.inner.cells()[row * self.inner.columns() + index];
            match self.inner.data_type(index) {
                DataType::Scalar(Scalar::Bool) => values.push(u8::from(cell != 0)),
                DataType::Scalar(Scalar::Float32) => {
                    values.extend_from_slice(&(nearest_f32(f64::from_bits(cell))).to_le_bytes());
                }
                _ => values.extend_from_slice(&cell.to_le_bytes()),
            }
        }
        (PyBytes::new(py, &values), PyBytes::new(py, &valid))
    }

    /// Arrow buffers of a `String`, `Bytes` or vector feature: int32 offsets, the bytes, and a
    /// byte a row that is 1 if there is a value.
    fn _arrow_variable<'py>(
        &self,
        py: Python<'py>,
        index: usize,
    ) -> PyResult<(
        Bound<'py, PyBytes>,
        Bound<'py, PyBytes>,
        Bound<'py, PyBytes>,
    )> {
        let fixed = match self.inner.data_type(index) {
            DataType::Vector(dimension) => 4 * dimension as usize,
            _ => 0,
        };
        let mut offsets = vec![0_u8; 4];
        let mut bytes = Vec::new();
        let mut valid = Vec::with_capacity(self.inner.rows());
        for row in 0..self.inner.rows() {
            let there = self.inner.value(row, index).is_some();
            valid.push(u8::from(there));
            if there {
                let cell = self.inner.cells()[row * self.inner.columns() + index];
                bytes.extend_from_slice(ArenaSpan::of(cell).slice(self.inner.arena()));
            } else {
                bytes.resize(bytes.len() + fixed, 0);
            }
            let end = i32::try_from(bytes.len()).map_err(|_| {
                PyValueError::new_err("a column has more than 2 GiB of text; read fewer rows")
            })?;
            offsets.extend_from_slice(&end.to_le_bytes());
        }
        Ok((
            PyBytes::new(py, &offsets),
            PyBytes::new(py, &bytes),
            PyBytes::new(py, &valid),
        ))
    }
}

impl FeatureTable {
    fn index(&self, name: &str) -> PyResult<usize> {
        let features = self.inner.plan().features();
        features
            .iter()
            .position(|feature| feature.name == name)
            .ok_or_else(|| {
                let known: Vec<_> = features
                    .iter()
                    .map(|feature| feature.name.as_str())
                    .collect();
                PyKeyError::new_err(format!(
                    "no feature {name:?}; there are {}",
                    known.join(", ")
                ))
            })
    }

    fn object<'py>(
        &self,
        py: Python<'py>,
        row: usize,
        column: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.inner.value(row, column) {
            Some(value) => to_object(py, value),
            None => Ok(py.None().into_bound(py)),
        }
    }

    fn matrix<'py, T: Element + Copy>(
        &self,
        py: Python<'py>,
        from_f64: impl Fn(f64) -> T,
        from_f32: impl Fn(f32) -> T,
    ) -> PyResult<Bound<'py, PyAny>> {
        let features = self.inner.plan().features();
        let total: usize = features
            .iter()
            .filter_map(|feature| width(feature.data_type))
            .sum();
        let mut out: Vec<T> = Vec::with_capacity(self.inner.rows() * total);
        for row in 0..self.inner.rows() {
            for (column, feature) in features.iter().enumerate() {
                let value = self.inner.value(row, column);
                match (feature.data_type, value) {
                    (DataType::Vector(dimension), value) => {
                        push_vector(&mut out, dimension, value.as_ref(), &from_f32);
                    }
                    (_, Some(Value::Integer(value))) => out.push(from_f64(nearest_f64(value))),
                    (_, Some(Value::Float64(value))) => out.push(from_f64(value)),
                    (_, Some(Value::Float32(value))) => out.push(from_f32(value)),
                    (_, Some(Value::Bool(value))) => out.push(from_f64(f64::from(u8::from(value)))),
                    _ => out.push(from_f64(f64::NAN)),
                }
            }
        }
        Ok(PyArray1::from_vec(py, out)
            .reshape((self.inner.rows(), total))?
            .into_any())
    }
}

fn push_vector<T>(
    out: &mut Vec<T>,
    dimension: u32,
    value: Option<&Value<'_>>,
    convert: impl Fn(f32) -> T,
) {
    match value {
        Some(Value::Vector(bytes)) => out.extend(vector_elements(bytes).map(convert)),
        _ => out.extend((0..dimension).map(|_| convert(f32::NAN))),
    }
}

/// The columns of a matrix that a feature takes; `None` if a matrix cannot hold it.
fn width(data_type: DataType) -> Option<usize> {
    match data_type {
        DataType::Scalar(Scalar::String | Scalar::Bytes) | DataType::List(_) => None,
        DataType::Scalar(_) => Some(1),
        DataType::Vector(dimension) => Some(dimension as usize),
    }
}

fn is_float32(dtype: &Bound<'_, PyAny>) -> PyResult<bool> {
    let name: String = numpy::PyArrayDescr::new(dtype.py(), dtype)?
        .getattr("name")?
        .extract()?;
    match name.as_str() {
        "float32" => Ok(true),
        "float64" => Ok(false),
        other => Err(PyTypeError::new_err(format!(
            "a matrix is float32 or float64, not {other}; convert the array it returns"
        ))),
    }
}
