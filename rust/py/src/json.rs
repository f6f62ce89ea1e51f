//! The body of a read request.

use fscore_core::json;
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::errors;
use crate::keys::KeyColumns;

/// A parsed and validated read request.
#[pyclass(frozen, get_all, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct ReadRequest {
    /// The feature service, or None.
    service: Option<String>,
    /// The names of the requested features, or None for all of the service.
    features: Option<Py<PyList>>,
    /// The join keys.
    entities: Py<KeyColumns>,
    /// How many rows the request asks for: the length of its join key columns.
    rows: usize,
    /// `eventual`, `primary`, `snapshot` or None.
    consistency: Option<String>,
    /// Whether the answer is to include event times.
    timestamps: bool,
    /// The pinned version, or None.
    version: Option<i64>,
    /// Whether the caller accepts an answer with gaps; None if it does not say.
    partial: Option<bool>,
    /// The time at which windows end and rows expire, in epoch milliseconds, or None.
    as_of: Option<i64>,
    /// The inputs that the request brings beside its keys, not yet typed, or None.
    inputs: Option<Py<RequestInputs>>,
}

/// Inputs parsed from a request's body; every read takes them as `request`.
///
/// A read converts them to the types that its plan expects. It raises `InvalidRequest`, with the
/// offset in the body, if one does not fit.
#[pyclass(frozen, module = "fscore._fscore")]
#[derive(Debug)]
pub(crate) struct RequestInputs {
    pub(crate) inner: json::RequestInputs,
}

/// Parse the JSON body of a read request, such as `POST /v1/features` takes.
///
/// Raises `MalformedRequest` if the body is not valid JSON (not UTF-8, nested over 32 deep, a name
/// twice, NaN, an integer beyond 64 bits), `InvalidRequest` if it is not a read request, both with
/// the offset in bytes, and `RequestTooLarge` if it has more than `max_rows` rows.
#[pyfunction]
pub(crate) fn parse_read_request(
    py: Python<'_>,
    body: &[u8],
    max_rows: usize,
) -> PyResult<ReadRequest> {
    let request = json::parse_read_request(body, max_rows)
        .map_err(|problem| problem_error(py, &problem, max_rows))?;
    let features = request
        .features
        .map(|features| PyList::new(py, features))
        .transpose()?;
    Ok(ReadRequest {
        service: request.service,
        features: features.map(Bound::unbind),
        rows: request.keys.rows(),
        entities: Py::new(
            py,
            KeyColumns {
                inner: request.keys,
            },
        )?,
        consistency: request.consistency,
        timestamps: request.timestamps,
        version: request.version,
        partial: request.partial,
        as_of: request.as_of_ms,
        inputs: request
            .inputs
            .map(|inner| Py::new(py, RequestInputs { inner }))
            .transpose()?,
    })
}

/// An error in a body that may ask for `max_rows` rows, as an exception.
pub(crate) fn problem_error(py: Python<'_>, problem: &json::BodyProblem, max_rows: usize) -> PyErr {
    let class = match problem.kind {
        json::ProblemKind::Malformed => "MalformedRequest",
        json::ProblemKind::Invalid => "InvalidRequest",
        json::ProblemKind::TooLarge => "RequestTooLarge",
    };
    let message = format!("{} (at byte {})", problem.detail, problem.offset);
    errors::new(py, class, &message, |attributes| match problem.kind {
        json::ProblemKind::TooLarge => attributes.set_item("limit", max_rows),
        _ => attributes.set_item("offset", problem.offset),
    })
}
