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

/// The answer to a read: a row for each entity, a column for each feature, in request order.
///
/// Every value has a status (`fscore.Status`). A value exists only if its status is PRESENT, or if
/// the feature has a default: it replaces values that are NULL, `NOT_FOUND` or EXPIRED.
///
/// `table["age"]` is a column, `table[0]` a row as a dict and `table[2:5]` a list of such rows.
/// Iteration yields the rows, `len` counts them, and `"age" in table` asks for a feature. A table
/// never changes. It needs no client, and pickles with everything that it says. Tables are equal if
/// all of that is equal; their floats are compared bit by bit, so NaN equals NaN.
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

    /// Types of the features, in order, spelled as in the registry.
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

    /// The version that the service's pointer named in a snapshot read; else None.
    #[getter]
    fn pointer(&self) -> Option<i64> {
        self.inner.pointer()
    }

    /// Fingerprints of schemas that packed rows had and the plan does not know.
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

    /// Status codes, of shape (rows, features).
    #[getter]
    fn statuses<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<u8>>> {
        PyArray1::from_slice(py, self.inner.statuses()).reshape(self.shape())
    }

    /// Event time of each value, datetime64[ms] of shape (rows, features); `NaT` if unknown.
    #[getter]
    fn event_times<'py>(
        &self,
        py: Python<'py>,
    ) -> PyResult<Bound<'py, PyArray2<Datetime<Milliseconds>>>> {
        columns::event_times(py, &self.inner)
    }

    /// Stored values that could not be served: (row, feature or None, reason), the first 32.
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

    /// Return how many values have each status; the index is the status code.
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

    /// Return a row-major matrix of shape (rows, columns): the input of a model.
    ///
    /// Features have one column each, in order; a vector has one for each of its dimensions.
    /// `dtype` is float64 or float32; the default is float32 if every feature is a Float32 or a
    /// vector, else float64. Int64 and Timestamp (epoch ms) become floats, exact to 2**53 in
    /// float64; Bool becomes 0 or 1. Missing values are NaN.
    ///
    /// The array is the caller's own. If `out` is given, it is filled and returned instead: a
    /// contiguous array of float64 or float32 and of the matrix's shape, such as a slice of the
    /// rows of a larger one.
    ///
    /// Raises `TypeError`, which names the features, if some are strings, bytes or lists, and
    /// `InvalidArgument` if `out` does not fit; it is unchanged then.
    #[pyo3(signature = (dtype=None, *, out=None))]
    fn to_numpy<'py>(
        &self,
        py: Python<'py>,
        dtype: Option<&Bound<'py, PyAny>>,
        out: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        matrix::to_numpy(py, &self.inner, dtype, out)
    }

    /// Return the values of one feature, an array of length rows.
    ///
    /// Its dtype is int64, float64, float32, bool, datetime64[ms] or object; a vector has shape
    /// (rows, dimension) and float32. `missing` says what stands for missing values:
    ///
    /// - `"raise"`, the default: NaN, `NaT` or None; Int64 and Bool, which have nothing of the kind,
    ///   raise `MissingValues`.
    /// - `"mask"`: the result is a masked array whose mask is true there. Under the mask are 0,
    ///   False, NaN, `NaT` or None.
    /// - Any other value: that value, such as 0. A Timestamp may be a datetime with a zone, a
    ///   datetime64, or epoch milliseconds. None and `NaT` stand for what the type has anyway.
    ///
    /// Raises `FeatureNotFound`, which is a `KeyError`, if the name is unknown, `InvalidArgument` if
    /// it is not a str, and `InvalidValue` if `missing` is not of the feature's type.
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

    /// Return one dict for each row, from feature name to value; None if it is missing.
    ///
    /// Values are int, float, bool, str, bytes and lists; timestamps are epoch milliseconds. With
    /// `keys` the join keys come first. With `statuses` the dict ends with the name of each
    /// feature's status, such as "`NOT_FOUND`", as `<feature>__status`. Raises `InvalidArgument` if a
    /// feature has one of these names.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_dicts<'py>(
        &self,
        py: Python<'py>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        rows::to_dicts(py, &self.inner, keys, statuses)
    }

    /// Return a `pyarrow.Table` of typed columns; missing values are null.
    ///
    /// With `keys` the join keys are its first columns. With `statuses` it has in addition a
    /// column of names like PRESENT for each feature, behind all features: `<feature>__status`, a
    /// dictionary of int8. Every value is copied once.
    ///
    /// The types are int64, double, float, bool, string, binary, timestamp[ms, UTC], lists of
    /// these, and fixed-size lists of float for vectors. They follow from the features alone, so
    /// the tables of one prepared set can be concatenated.
    ///
    /// Raises `InvalidArgument` if two columns would have the same name, `RequestTooLarge` if a column
    /// has 2 GiB of text or more, and `ConfigError` if pyarrow is not installed.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_arrow<'py>(
        slf: &Bound<'py, Self>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        frames::made(slf, intern!(slf.py(), "to_arrow"), keys, statuses)
    }

    /// Return the JSON document of all rows, as `POST /v1/features` answers it.
    ///
    /// With `timestamps` it has event times too. `as_of`, in epoch milliseconds, is included if it
    /// is given.
    #[pyo3(signature = (*, timestamps=false, as_of=None))]
    fn to_json<'py>(
        &self,
        py: Python<'py>,
        timestamps: bool,
        as_of: Option<i64>,
    ) -> Bound<'py, PyBytes> {
        rows::to_json(py, &self.inner, timestamps, as_of)
    }

    /// Return the JSON document of the first row, as `GET /v1/features` answers it.
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

    /// Return a `pandas.DataFrame`; `keys` and `statuses` are those of `to_arrow`.
    ///
    /// Columns follow from the features, whether values are missing or not:
    ///
    /// - Int64 and Bool are pandas' `Int64` and `boolean`, with NA.
    /// - Float64 and Float32 are float64 and float32, with NaN.
    /// - Timestamp is datetime64[ms, UTC], with `NaT`.
    /// - String is pandas' own type of text, with what that has for missing values: `str`, and
    ///   `object` before pandas 3.
    /// - Bytes, lists and vectors are `object`, with None. A vector is an array of float32; in a
    ///   list, timestamps are epoch milliseconds.
    /// - Join keys are int64 or text, statuses are categories.
    ///
    /// pyarrow is not needed. Raises `InvalidArgument` if two columns would have the same name, and
    /// `ConfigError` if pandas is not installed.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_pandas<'py>(
        slf: &Bound<'py, Self>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        frames::made(slf, intern!(slf.py(), "to_pandas"), keys, statuses)
    }

    /// Return a `polars.DataFrame` with the columns of `to_arrow`; pyarrow is not needed.
    ///
    /// Vectors become `Array` and statuses `Categorical`. Raises `InvalidArgument` if two columns
    /// would have the same name, and `ConfigError` if Polars is not installed.
    #[pyo3(signature = (*, keys=false, statuses=false))]
    fn to_polars<'py>(
        slf: &Bound<'py, Self>,
        keys: bool,
        statuses: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        frames::made(slf, intern!(slf.py(), "to_polars"), keys, statuses)
    }

    /// Return the matrix of `to_numpy` as a `torch.Tensor` on the CPU, which is the caller's.
    ///
    /// `dtype` is float64 or float32, of torch or `NumPy`; the default is that of `to_numpy`.
    /// Raises `TypeError` like `to_numpy`, and `ConfigError` if torch is not installed.
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

    /// The values of a join key.
    fn _key<'py>(&self, py: Python<'py>, index: usize) -> PyResult<Bound<'py, PyAny>> {
        frames::key(py, &self.inner, index)
    }

    /// The join keys of the rows, as the caller gave them: name to values.
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

    /// Return a table in HTML of at most 20 rows and columns, which notebooks show.
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
