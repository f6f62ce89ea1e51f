//! The listeners of requests that are answered before ASGI: the log, and the recorder of traces.

use pyo3::prelude::*;

use fscore_core::http::{Head, Method, Trace as CoreTrace};
use fscore_core::table::Table;

use super::trace::Trace;
use crate::table;

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(super) struct Listeners {
    /// Called with a table that has invalid values, the request's id, and its trace.
    invalid: Py<PyAny>,
    /// Called for each request, if set: with its id, method, seconds, trace and key's name.
    answered: Option<Py<PyAny>>,
    /// Called for each request whose trace is sampled, if set: with the content of its span.
    sampled: Option<Py<PyAny>>,
}

/// A request that is over.
pub(super) struct Over<'a> {
    pub(super) id: &'a [u8],
    pub(super) method: Method,
    pub(super) seconds: f64,
    pub(super) trace: Option<CoreTrace>,
    /// The name of its API key.
    pub(super) key: Option<&'a str>,
}

/// The rest of a span's content.
pub(super) struct Spanned<'a> {
    /// The request as it was received.
    pub(super) request: &'a [u8],
    /// Whether the caller was still there to be answered.
    pub(super) answered: bool,
    /// The service, and the number of rows.
    pub(super) asked: (Option<&'a str>, usize),
}

impl Listeners {
    /// A request was answered with this table.
    pub(super) fn answered(&self, py: Python<'_>, over: &Over<'_>, table: Table) -> PyResult<()> {
        if let Some(answered) = &self.answered {
            let told = (over.id, over.method(), over.seconds, over.trace(), over.key);
            answered.call1(py, told)?;
        }
        if table.invalid() > 0 {
            let table = table::to_python(py, table)?;
            self.invalid.call1(py, (table, over.id, over.trace()))?;
        }
        Ok(())
    }

    /// A request is over. If its trace is sampled, its span is recorded.
    pub(super) fn over<'a>(
        &self,
        py: Python<'_>,
        over: &Over<'_>,
        spanned: impl FnOnce() -> Spanned<'a>,
    ) -> PyResult<()> {
        if let Some(sampled) = &self.sampled
            && over.trace.is_some_and(|trace| trace.sampled)
        {
            let Spanned {
                request,
                answered,
                asked,
            } = spanned();
            let tracestate = Head::scan(request).and_then(|head| head.tracestate);
            let (id, method, seconds) = (over.id, over.method(), over.seconds);
            let told = (
                over.trace(),
                tracestate,
                id,
                method,
                answered,
                seconds,
                asked,
            );
            sampled.call1(py, told)?;
        }
        Ok(())
    }
}

impl Over<'_> {
    fn method(&self) -> &'static str {
        match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }

    fn trace(&self) -> Option<Trace> {
        self.trace.map(|inner| Trace { inner })
    }
}
