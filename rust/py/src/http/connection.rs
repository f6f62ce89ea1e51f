//! One HTTP connection, and the request that is being answered on it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use fscore_core::http::{AnswerHead, Method, Trace, is_request_id, timeout_ms};
use fscore_core::json;
use fscore_core::table::Table;

use super::api_keys::Holder;
use super::listeners::{Over, Spanned};
use super::reads::{HotReads, Planned};
use super::wire::Wire;
use crate::connection::Retry;
use crate::errors::Fault;
use crate::job::Answer;

/// Answers requests of one HTTP connection before ASGI, one at a time.
///
/// All received bytes come here first. Requests that are not answered here go to the protocol's
/// HTTP parser, and `free` is unset until the application has answered all of them.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct HotConnection {
    reads: Py<HotReads>,
    state: Mutex<State>,
}

struct State {
    turn: Turn,
    /// The caller has not read all that was written.
    stalled: bool,
    /// The next answer is the connection's last.
    last: bool,
    /// Whether the protocol is told of the next request that is taken.
    watched: bool,
    pending: Option<PendingRead>,
    /// When the last answer was written; 0 if none was.
    answered_at: f64,
    /// The writer; `None` after the connection is lost.
    peer: Option<Peer>,
}

/// What to do with received bytes.
#[derive(Clone, Copy)]
enum Next {
    /// Look at them here, and answer them if possible.
    Take,
    /// Keep them until the request before them is answered.
    Keep,
    /// Give them to the parser.
    Parse,
}

/// The recipient of the bytes that are received next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// They are read here.
    Free,
    /// The parser, which has a request that is not answered yet.
    Parser,
    /// They wait for the answer to the current request. `holding` says whether there are any.
    Behind { holding: bool },
}

struct Peer {
    protocol: Py<PyAny>,
    wire: Wire,
}

/// A request that is being answered.
struct PendingRead {
    data: Py<PyBytes>,
    method: Method,
    id: Vec<u8>,
    started: f64,
    /// When the definitions that it is read by get out of date.
    current_until: f64,
    as_of_ms: Option<i64>,
    timestamps: bool,
    holder: Option<Holder>,
    trace: Option<Trace>,
    service: Option<Arc<str>>,
    rows: usize,
}

#[pymethods]
impl HotConnection {
    /// Takes received bytes: begins to answer them, or has the protocol keep or parse them.
    fn received(slf: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let this = slf.get();
        let mut next = this.lock().next();
        if let Next::Take = next {
            next = this.begin(slf, data)?;
        }
        if let Next::Take = next
            && !std::mem::take(&mut this.lock().watched)
        {
            return Ok(());
        }
        let py = slf.py();
        let Some(protocol) = this.protocol(py) else {
            return Ok(());
        };
        match next {
            Next::Take => protocol.call_method0(py, intern!(py, "begun"))?,
            Next::Keep => protocol.call_method1(py, intern!(py, "keep"), (data,))?,
            Next::Parse => protocol.call_method1(py, intern!(py, "parse"), (data,))?,
        };
        Ok(())
    }

    /// Whether the parser has no request that is not answered yet.
    #[getter]
    fn free(&self) -> bool {
        self.lock().turn != Turn::Parser
    }

    #[setter]
    fn set_free(&self, free: bool) {
        let mut state = self.lock();
        state.turn = if free { Turn::Free } else { Turn::Parser };
    }

    /// Whether the caller has not read all that was written.
    #[getter]
    fn stalled(&self) -> bool {
        self.lock().stalled
    }

    #[setter]
    fn set_stalled(&self, stalled: bool) {
        self.lock().stalled = stalled;
    }

    /// Whether a request is being answered.
    #[getter]
    fn busy(&self) -> bool {
        matches!(self.lock().turn, Turn::Behind { .. })
    }

    /// Has the protocol's `begun` called when the next request is taken.
    fn watch(&self) {
        self.lock().watched = true;
    }

    /// When the last answer was written, in seconds of the monotonic clock; 0 if none was.
    #[getter]
    fn answered_at(&self) -> f64 {
        self.lock().answered_at
    }

    /// Makes the current answer, or the next one, the connection's last.
    fn end(&self) {
        self.lock().last = true;
    }

    /// The connection is lost. Nothing more is written.
    fn lost(&self) {
        let peer = self.lock().peer.take();
        drop(peer);
    }

    /// The request that was handed over goes to the parser.
    fn released(&self) {
        self.lock().turn = Turn::Parser;
    }

    fn __repr__(&self) -> String {
        format!("<HotConnection {:?}>", self.lock().turn)
    }
}

impl HotConnection {
    pub(super) fn new(reads: Py<HotReads>, protocol: Py<PyAny>, wire: Wire) -> Self {
        Self {
            reads,
            state: Mutex::new(State {
                turn: Turn::Free,
                stalled: false,
                last: false,
                watched: true,
                pending: None,
                answered_at: 0.0,
                peer: Some(Peer { protocol, wire }),
            }),
        }
    }

    /// Begins to answer the received bytes, if they are a whole request that can be answered here.
    fn begin(&self, this: &Bound<'_, Self>, data: &Bound<'_, PyBytes>) -> PyResult<Next> {
        let py = this.py();
        let reads = self.reads.get();
        let Some(head) = reads.head(data.as_bytes()) else {
            return Ok(Next::Parse);
        };
        let limits = reads.limits();
        let json = |accept: &[u8]| accept == b"*/*" || accept == b"application/json";
        if !head.accept.is_none_or(json)
            || head
                .content_type
                .is_some_and(|given| given != b"application/json")
        {
            return Ok(Next::Parse);
        }
        let timeout = match head.timeout_ms {
            None => limits.timeout,
            Some(digits) => match timeout_ms(digits) {
                None => return Ok(Next::Parse),
                Some(ms) => limits.timeout.min(f64::from(ms) / 1000.0),
            },
        };
        let now = reads.now();
        let Some(lane) = reads.lane(py, now)? else {
            return Ok(Next::Parse);
        };
        let counters = reads.counters(head.method);
        if counters.in_flight(py) + 1.0 > limits.max_requests {
            return Ok(Next::Parse);
        }
        let body = &data.as_bytes()[head.length..];
        let Some(planned) = reads.plan(&head, body, lane.api_keys) else {
            return Ok(Next::Parse);
        };
        let Planned {
            job,
            as_of_ms,
            timestamps,
            service,
            rows,
            holder,
        } = planned;
        let deadline = now + timeout;
        let retry = Retry::new(1, true, deadline);
        let core = lane.core.get();
        let Some(wake) = core.submit_hot(this.clone().unbind(), job, retry, deadline, now) else {
            return Ok(Next::Parse);
        };
        counters.started(py);
        let id = match head.request_id {
            Some(given) if is_request_id(given) => given.to_owned(),
            _ => reads.next_id(),
        };
        {
            let mut state = self.lock();
            state.turn = Turn::Behind { holding: false };
            state.pending = Some(PendingRead {
                data: data.clone().unbind(),
                method: head.method,
                id,
                started: now,
                current_until: lane.current_until,
                as_of_ms,
                timestamps,
                trace: reads.trace(&head),
                service,
                rows,
                holder,
            });
        }
        if wake {
            lane.link
                .call_method1(py, intern!(py, "submitted"), (deadline,))?;
        }
        Ok(Next::Take)
    }

    /// The reply to the request came, or will not come.
    pub(crate) fn settle(&self, py: Python<'_>, result: Result<Answer, Fault>) {
        let Some(pending) = self.lock().pending.take() else {
            return;
        };
        let done = match result {
            Ok(Answer::Table(table)) if table.unknown_schemas().is_empty() => {
                let now = self.reads.get().now();
                if now > pending.current_until {
                    // The process may have been stopped before the read was sent.
                    self.hand_over(py, &pending, None)
                } else {
                    self.answer(py, &pending, table, now)
                }
            }
            Ok(_) => self.hand_over(py, &pending, None),
            Err(fault) => {
                let error = PyErr::from(fault);
                self.hand_over(py, &pending, Some(error))
            }
        };
        if let Err(error) = done {
            // An error on one connection must not reach the others.
            error.write_unraisable(py, None);
        }
    }

    fn answer(
        &self,
        py: Python<'_>,
        pending: &PendingRead,
        table: Table,
        now: f64,
    ) -> PyResult<()> {
        let reads = self.reads.get();
        let seconds = now - pending.started;
        let (last, holding, peer) = {
            let mut state = self.lock();
            let holding = state.turn == Turn::Behind { holding: true };
            state.turn = Turn::Free;
            state.answered_at = now;
            (
                state.last,
                holding,
                state.peer.as_ref().map(|peer| peer.clone_ref(py)),
            )
        };
        reads.counters(pending.method).answered(py, seconds, &table);
        let over = pending.over(seconds);
        let answered = peer.is_some();
        if let Some(Peer { protocol, wire }) = peer {
            let direct = wire.is_clear(py)?;
            reads
                .render(|answer, fields| {
                    let head = AnswerHead {
                        fields,
                        request_id: &pending.id,
                        close: last,
                    };
                    let body = answer.body(&head);
                    match pending.method {
                        Method::Get => json::render_one(&table, body),
                        Method::Post => json::render_many(&table, pending.timestamps, body),
                    }
                    if let Some(ms) = pending.as_of_ms {
                        json::add_as_of(body, ms);
                    }
                    let bytes = answer.finish(&head);
                    let sent = if direct { wire.send(bytes) } else { 0 };
                    (sent < bytes.len()).then(|| PyBytes::new(py, &bytes[sent..]))
                })
                .map_or(Ok(()), |rest| wire.write(py, rest))?;
            reads.listeners().answered(py, &over, table)?;
            if last {
                protocol.call_method0(py, intern!(py, "ended"))?;
            } else if holding {
                protocol.call_method0(py, intern!(py, "read_on"))?;
            }
        }
        let spanned = || pending.spanned(py, answered);
        reads.listeners().over(py, &over, spanned)
    }

    /// Has the application answer the request: because of `error`, or because one read was not
    /// enough.
    fn hand_over(
        &self,
        py: Python<'_>,
        pending: &PendingRead,
        error: Option<PyErr>,
    ) -> PyResult<()> {
        let reads = self.reads.get();
        let counters = reads.counters(pending.method);
        let seconds = reads.now() - pending.started;
        let Some(protocol) = self.protocol(py) else {
            counters.gone(py, seconds);
            let over = pending.over(seconds);
            let spanned = || pending.spanned(py, false);
            return reads.listeners().over(py, &over, spanned);
        };
        counters.left(py);
        let error = error.map(|error| error.into_value(py));
        let id = PyBytes::new(py, &pending.id);
        let data = pending.data.clone_ref(py);
        let handed = (data, id, seconds, error, pending.asked());
        protocol.call_method1(py, intern!(py, "hand_over"), handed)?;
        Ok(())
    }

    /// The protocol; `None` after the connection is lost.
    fn protocol(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        let state = self.lock();
        let peer = state.peer.as_ref()?;
        Some(peer.protocol.clone_ref(py))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What to do with bytes that are received now.
    fn next(&mut self) -> Next {
        match &mut self.turn {
            Turn::Behind { holding } => {
                *holding = true;
                Next::Keep
            }
            Turn::Parser => Next::Parse,
            Turn::Free if self.stalled || self.last => Next::Parse,
            Turn::Free => Next::Take,
        }
    }
}

impl PendingRead {
    fn over(&self, seconds: f64) -> Over<'_> {
        Over {
            id: &self.id,
            method: self.method,
            seconds,
            trace: self.trace,
            key: self.holder.as_ref().map(|holder| &*holder.key().name),
        }
    }

    fn asked(&self) -> (Option<&str>, usize) {
        (self.service.as_deref(), self.rows)
    }

    fn spanned(&self, py: Python<'_>, answered: bool) -> Spanned<'_> {
        Spanned {
            request: self.data.as_bytes(py),
            answered,
            asked: self.asked(),
        }
    }
}

impl Peer {
    fn clone_ref(&self, py: Python<'_>) -> Self {
        Self {
            protocol: self.protocol.clone_ref(py),
            wire: self.wire.clone_ref(py),
        }
    }
}
