//! Results: columns, matrix, dicts, JSON, and the protocols of Arrow, `NumPy` and `DLPack`.

mod arrow;
mod columns;
mod dlpack;
mod frames;
mod matrix;
mod rows;
mod selection;

use fscore_core::table::Table;
use numpy::datetime::{Datetime, units::Milliseconds};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyList, PyTuple};

use selection::Selection;

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
        columns::event_times(py, &self.inner)
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
    #[pyo3(signature = (dtype=None, *, out=None))]
    fn to_numpy<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        matrix::to_numpy(py, &self.inner, dtype, out)
    }

    /// One feature: an array of length rows, or of shape (rows, dimension) for a vector.
    fn column<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        columns::column(py, &self.inner, name)
    }

    /// One dict for each row: feature to value, or to None if there is none.
    fn to_dicts<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        rows::to_dicts(py, &self.inner)
    }

    /// A `pyarrow.Table`: a typed column for each feature, null if there is no value.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_arrow<'py>(
        slf: &Bound<'py, Self>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        frames::made(slf, intern!(slf.py(), "to_arrow"), keys, statuses)
    }

    /// The JSON document of many entities, as `POST /v1/features` answers.
    #[pyo3(signature = (*, timestamps=false, as_of=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        timestamps: bool,
        as_of: Option<i64>,
    ) -> Bound<'py, PyBytes> {
        rows::to_json(py, &self.inner, timestamps, as_of)
    }

    /// The JSON document of one entity, the first row, as `GET /v1/features` answers.
    #[pyo3(signature = (*, as_of=None))]
    fn to_json_one<'py>(
        &self,
        py: Python<'py>,
        as_of: Option<i64>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        rows::to_json_one(py, &self.inner, as_of)
    }

    // Protocols

    /// A capsule with the schema of the features: Arrow's `PyCapsule` interface.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        arrow::schema_capsule(py, &self.inner)
    }

    /// A capsule with a stream of one record batch: Arrow's `PyCapsule` interface.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        arrow::stream_capsule(py, &self.inner, Selection::default(), requested_schema)
    }

    /// The same with join keys and statuses, for `fscore.interop.frames`.
    #[pyo3(signature = (requested_schema, *, keys, statuses))]
    fn _arrow_stream<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<&Bound<'py, PyAny>>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let selection = Selection { keys, statuses };
        arrow::stream_capsule(py, &self.inner, selection, requested_schema)
    }

    /// The matrix of `to_numpy`, or a view of it that cannot be written to.
    #[pyo3(signature = (dtype=None, copy=None))]
    fn __array__<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        matrix::array(slf, dtype, copy)
    }

    /// A capsule with the matrix: the `DLPack` protocol.
    #[pyo3(signature = (*, stream=None, max_version=None, dl_device=None, copy=None))]
    fn __dlpack__<'py>(
        slf: &Bound<'py, Self>,
        stream: Option<&Bound<'py, PyAny>>,
        max_version: Option<(u32, u32)>,
        dl_device: Option<(i32, i32)>,
        copy: Option<bool>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let asked = dlpack::Asked {
            stream,
            max_version,
            device: dl_device,
            copy,
        };
        dlpack::capsule(slf, &asked)
    }

    /// The device of the matrix: the processor.
    #[expect(clippy::unused_self, reason = "it is a method of the protocol")]
    fn __dlpack_device__(&self) -> (i32, i32) {
        dlpack::DEVICE
    }

    /// A `pandas.DataFrame`.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_pandas<'py>(
        slf: &Bound<'py, Self>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        frames::made(slf, intern!(slf.py(), "to_pandas"), keys, statuses)
    }

    /// A `polars.DataFrame`.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_polars<'py>(
        slf: &Bound<'py, Self>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        frames::made(slf, intern!(slf.py(), "to_polars"), keys, statuses)
    }

    /// A `torch.Tensor` with the matrix.
    #[pyo3(signature = (dtype=None))]
    fn to_torch<'py>(
        slf: &Bound<'py, Self>,
        dtype: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        frames::tensor(slf, dtype)
    }

    /// Name, kind and index of the columns of a frame.
    #[pyo3(signature = (*, keys, statuses))]
    fn _columns(
        &self,
        py: Python<'_>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Vec<(String, &'static str, usize)>> {
        frames::columns(py, &self.inner, Selection { keys, statuses })
    }

    /// The values of an `Int64` or `Bool` feature; 0 or False if there is none.
    fn _plain<'py>(&self, py: Python<'py>, index: usize) -> Bound<'py, PyAny> {
        frames::plain(py, &self.inner, index)
    }

    /// Which rows have no value of a feature.
    fn _missing<'py>(&self, py: Python<'py>, index: usize) -> Bound<'py, PyArray1<bool>> {
        frames::missing(py, &self.inner, index)
    }

    /// The values of a join key.
    fn _key<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        frames::key(py, &self.inner, index)
    }
}
