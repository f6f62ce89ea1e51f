//! Results: columns, matrix, dicts, JSON, and the protocols of Arrow, `NumPy` and `DLPack`.

mod access;
mod arrow;
mod columns;
mod dlpack;
mod frames;
mod matrix;
pub(crate) mod pickle;
mod rows;
mod selection;
mod show;

use fscore_core::table::Table;
use numpy::datetime::{Datetime, units::Milliseconds};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict, PyList, PyTuple};

use access::Missing;
use selection::Selection;

/// The answer to a read: rows in the order of the keys, features in the order of the service.
#[pyclass(frozen, module = "fscore")]
#[derive(Debug, PartialEq)]
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
                .features()
                .iter()
                .map(|feature| feature.name.as_str()),
        )
    }

    /// Types of the features, in order.
    #[getter]
    fn types<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let types = self.inner.features().iter();
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
        let features = self.inner.features();
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
    #[pyo3(
        signature = (name, *, missing=Missing::Raise),
        text_signature = "($self, name, *, missing='raise')"
    )]
    #[expect(
        clippy::needless_pass_by_value,
        reason = "arguments of a Python method are owned"
    )]
    fn column<'py>(
        &self,
        py: Python<'py>,
        name: &Bound<'py, PyAny>,
        missing: Missing<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        access::column(py, &self.inner, name, &missing)
    }

    /// One dict for each row: feature to value, or to None if there is none.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_dicts<'py>(
        &self,
        py: Python<'py>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        rows::to_dicts(py, &self.inner, keys, statuses)
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

    /// The join keys as the caller gave them: name to a list of values.
    #[getter]
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        access::keys(py, self.inner.keys(), usize::MAX)
    }

    /// A column for a feature's name, a dict for a row's number, a list of dicts for a slice.
    fn __getitem__<'py>(
        slf: &Bound<'py, Self>,
        item: &Bound<'py, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        access::item(slf.py(), &slf.get().inner, item)
    }

    /// The rows, as the dicts of `to_dicts`, each made when it is asked for.
    fn __iter__(slf: Bound<'_, Self>) -> rows::Rows {
        rows::Rows::new(slf.py(), slf.unbind())
    }

    /// Whether there is a feature of this name.
    fn __contains__(&self, item: &Bound<'_, PyAny>) -> bool {
        let name = item.extract::<&str>();
        name.is_ok_and(|name| access::position(&self.inner, name).is_some())
    }

    /// Whether everything that the tables say is equal.
    fn __eq__(&self, other: &Self) -> bool {
        self == other
    }

    fn __reduce__<'py>(&self, py: Python<'py>) -> PyResult<pickle::Reduced<'py>> {
        pickle::reduce(py, &self.inner)
    }

    /// The table itself, for nothing changes it.
    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// The table itself, for nothing changes it.
    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    /// A summary, and the first rows and columns.
    fn __repr__<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        show::shown(slf.as_any(), "text")
    }

    /// The same as a table in HTML, for notebooks.
    fn _repr_html_<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        show::shown(slf.as_any(), "html")
    }

    /// The keys and the cells of the first rows and columns, for `fscore.interop.display`.
    fn _head<'py>(
        &self,
        py: Python<'py>,
        rows: usize,
        columns: usize,
    ) -> PyResult<show::Head<'py>> {
        show::head(py, &self.inner, rows, columns)
    }
}
