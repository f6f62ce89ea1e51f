//! The senders of requests, for both paths that answer requests.

use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyBytes;

use fscore_core::http::{self, ApiKey, Credentials, Denied, Refusal, Scope};

/// Return the SHA-256 of an API key; None if `key` does not have the form of an API key.
#[pyfunction]
pub(crate) fn api_key_hash<'py>(py: Python<'py>, key: &[u8]) -> Option<Bound<'py, PyBytes>> {
    http::api_key_hash(key).map(|hash| PyBytes::new(py, &hash))
}

/// The API keys that a server knows.
///
/// Each has a name, its SHA-256, the time at which it expires (epoch milliseconds, or None), and
/// the services and views that it may read (None for everything).
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct ApiKeys {
    pub(super) inner: Arc<http::ApiKeys>,
}

/// A key's name, SHA-256, expiry, and the services and views that it may read.
type Entry = (
    String,
    [u8; 32],
    Option<i64>,
    Option<(Vec<String>, Vec<String>)>,
);

#[pymethods]
impl ApiKeys {
    #[new]
    fn new(keys: Vec<Entry>) -> Self {
        let key = |(name, sha256, expires_ms, scope): Entry| ApiKey {
            name,
            sha256,
            expires_ms,
            scope: scope.map(|(services, views)| Scope { services, views }),
        };
        Self {
            inner: Arc::new(http::ApiKeys::new(keys.into_iter().map(key).collect())),
        }
    }

    /// Return who sends a request with these headers, whose names are in lower case.
    #[expect(clippy::needless_pass_by_value, reason = "as Python hands it over")]
    fn authenticate(&self, headers: Vec<(PyBackedBytes, PyBackedBytes)>, now_ms: i64) -> Caller {
        let headers = headers.iter().map(|(name, value)| (&**name, &**value));
        let found = self
            .inner
            .authenticate(&Credentials::among(headers), now_ms);
        let (index, refusal) = match found {
            Ok(index) => (Some(index), None),
            Err(Refusal::Expired(index)) => (Some(index), Some("expired")),
            Err(Refusal::Missing) => (None, Some("missing")),
            Err(Refusal::Several) => (None, Some("several")),
            Err(Refusal::Malformed) => (None, Some("malformed")),
            Err(Refusal::Unknown) => (None, Some("unknown")),
        };
        let key = index.map(|index| Holder {
            keys: Arc::clone(&self.inner),
            index,
        });
        Caller { key, refusal }
    }
}

/// The sender's key.
pub(super) struct Holder {
    keys: Arc<http::ApiKeys>,
    index: usize,
}

impl Holder {
    /// The key of a plain request; `None` if it has no valid one.
    pub(super) fn of(
        keys: Arc<http::ApiKeys>,
        credentials: &Credentials<'_>,
        now_ms: i64,
    ) -> Option<Self> {
        if credentials.are_both() {
            return None;
        }
        let index = keys.authenticate(credentials, now_ms).ok()?;
        Some(Self { keys, index })
    }

    pub(super) fn key(&self) -> &ApiKey {
        self.keys.key(self.index)
    }
}

/// The sender of a request, by its API key; or the reason to refuse the request.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct Caller {
    key: Option<Holder>,
    refusal: Option<&'static str>,
}

#[pymethods]
impl Caller {
    /// `missing`, `several`, `malformed`, `unknown` or `expired`; None if the key is valid.
    #[getter]
    fn refusal(&self) -> Option<&'static str> {
        self.refusal
    }

    /// The name of the caller's key, which may have expired; None if the key is not known.
    #[getter]
    fn name(&self) -> Option<&str> {
        self.key.as_ref().map(|holder| &*holder.key().name)
    }

    /// Whether the key may read only some services and views.
    #[getter]
    fn scoped(&self) -> bool {
        self.key
            .as_ref()
            .is_none_or(|holder| holder.key().scope.is_some())
    }

    /// Return whether the caller may read this service, whatever views it has.
    fn has_service(&self, service: &str) -> bool {
        self.allowed(|key| key.has_service(service))
    }

    /// Return whether the caller may read this view.
    fn has_view(&self, view: &str) -> bool {
        self.allowed(|key| key.has_view(view))
    }

    /// Return what the caller may not read of a service with these views, or of the views.
    ///
    /// It is the kind, `service` or `view`, and the name; None if the caller may read everything.
    #[expect(clippy::needless_pass_by_value, reason = "as Python hands it over")]
    fn denied(
        &self,
        service: Option<&str>,
        views: Vec<String>,
    ) -> PyResult<Option<(&'static str, String)>> {
        let Some(holder) = self.key.as_ref().filter(|_| self.refusal.is_none()) else {
            return Err(PyValueError::new_err("the request is not authenticated"));
        };
        Ok(match holder.key().may_read(service, &views) {
            Ok(()) => None,
            Err(Denied::Service(name)) => Some(("service", name.to_owned())),
            Err(Denied::View(name)) => Some(("view", name.to_owned())),
        })
    }

    fn __repr__(&self) -> String {
        format!("<Caller {:?}>", self.name().or(self.refusal))
    }
}

impl Caller {
    fn allowed(&self, question: impl Fn(&ApiKey) -> bool) -> bool {
        let holder = self.key.as_ref().filter(|_| self.refusal.is_none());
        holder.is_some_and(|holder| question(holder.key()))
    }
}
