//! The state that the connections of a worker share: learned selections, counters and request ids.

use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;

use fscore_core::cluster::SlotMap;
use fscore_core::expression::InputColumn;
use fscore_core::http::{self, Answer, Head, Method, Named, ReadQuery, Selections, Trace};
use fscore_core::json;
use fscore_core::keys::KeyColumns;
use fscore_core::plan::ReadPlan as CoreReadPlan;
use fscore_core::read::{Read, ReadOptions};

use super::api_keys::{ApiKeys, Holder};
use super::connection::HotConnection;
use super::counters::RouteCounters;
use super::listeners::Listeners;
use super::trace::Traces;
use super::wire::Wire;
use crate::connection::Connection;
use crate::job::Job;
use crate::plan::ReadPlan;

/// Answers plain reads of a worker before ASGI.
///
/// It answers only selections that the application has read before, under the same definitions and
/// versions. It leaves other selections, and everything that is not answered with 200 and JSON, to
/// the application.
#[pyclass(frozen, module = "fscore._fscore")]
pub(crate) struct HotReads {
    limits: RouteLimits,
    get: Py<RouteCounters>,
    post: Py<RouteCounters>,
    clock: MonotonicClock,
    traces: Py<Traces>,
    listeners: Listeners,
    store: PyOnceLock<Store>,
    inner: Mutex<WorkerState>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(super) struct RouteLimits {
    /// The target of the route, without a query.
    pub(super) path: Vec<u8>,
    /// The default deadline in seconds, which a request can only shorten.
    pub(super) timeout: f64,
    pub(super) max_requests: f64,
    pub(super) max_header_bytes: usize,
    pub(super) max_body_bytes: usize,
    pub(super) max_rows: usize,
    pub(super) max_values: usize,
    /// The most features of all learned selections together.
    pub(super) max_learned: usize,
}

/// The parts of a client that it reads by.
struct Store {
    /// Says what is followed, and when to look again.
    core: Py<PyAny>,
    /// Looks again.
    following: Py<PyAny>,
    /// Has the connection.
    node: Py<PyAny>,
}

struct WorkerState {
    stopped: bool,
    /// The state that the client followed when the selections were learned.
    followed: Option<Py<PyAny>>,
    selections: Selections<LearnedSelection>,
    /// The API keys, one of which each request needs; `None` if requests need no key.
    api_keys: Option<Arc<http::ApiKeys>>,
    /// The node's link that was used last, and its connection.
    link: Option<(Py<PyAny>, Py<Connection>)>,
    /// The fields of every answer, each with its line end.
    fields: Vec<u8>,
    ids: Ids,
    answer: Answer,
}

#[derive(Clone)]
struct LearnedSelection {
    plan: Arc<CoreReadPlan>,
    version: i64,
    /// The views that it reads.
    views: Arc<[String]>,
    service: Option<Arc<str>>,
}

/// A read that can be sent.
pub(super) struct Planned {
    pub(super) job: Job,
    pub(super) as_of_ms: Option<i64>,
    pub(super) timestamps: bool,
    pub(super) service: Option<Arc<str>>,
    pub(super) rows: usize,
    /// The sender's key, if requests need one.
    pub(super) holder: Option<Holder>,
}

/// A connection to the server, and the link that owns its transport.
pub(super) struct Lane {
    pub(super) link: Py<PyAny>,
    pub(super) core: Py<Connection>,
    /// When what was learned gets out of date.
    pub(super) current_until: f64,
    /// The API keys, one of which each request needs; `None` if requests need no key.
    pub(super) api_keys: Option<Arc<http::ApiKeys>>,
}

#[pymethods]
impl HotReads {
    #[new]
    #[pyo3(signature = (get, post, now, id_prefix, traces, listeners, **limits))]
    fn new(
        get: Py<RouteCounters>,
        post: Py<RouteCounters>,
        now: f64,
        id_prefix: Vec<u8>,
        traces: Py<Traces>,
        listeners: Listeners,
        limits: Option<Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        let limits: RouteLimits = match limits {
            Some(limits) => limits.extract()?,
            None => return Err(pyo3::exceptions::PyTypeError::new_err("limits are missing")),
        };
        let inner = WorkerState {
            stopped: false,
            followed: None,
            selections: Selections::new(limits.max_learned),
            api_keys: None,
            link: None,
            fields: Vec::new(),
            ids: Ids {
                prefix: id_prefix,
                next: 1,
            },
            answer: Answer::default(),
        };
        Ok(Self {
            limits,
            get,
            post,
            clock: MonotonicClock {
                origin: Instant::now(),
                at: now,
            },
            traces,
            listeners,
            store: PyOnceLock::new(),
            inner: Mutex::new(inner),
        })
    }

    /// Learns a selection that `client` was just asked for, and its plan.
    #[expect(
        clippy::needless_pass_by_value,
        clippy::too_many_arguments,
        reason = "as Python hands it over"
    )]
    fn learn(
        &self,
        client: &Bound<'_, PyAny>,
        service: Option<&str>,
        features: Option<Vec<String>>,
        join_keys: Vec<String>,
        plan: &Bound<'_, ReadPlan>,
        version: i64,
        views: Vec<String>,
    ) -> PyResult<()> {
        let py = client.py();
        let store = self.store.get_or_try_init(py, || -> PyResult<_> {
            Ok(Store {
                core: client.getattr(intern!(py, "core"))?.unbind(),
                following: client.getattr(intern!(py, "following"))?.unbind(),
                node: client
                    .getattr(intern!(py, "driver"))?
                    .getattr(intern!(py, "node"))?
                    .unbind(),
            })
        })?;
        if !store.core.is(&client.getattr(intern!(py, "core"))?) {
            return Ok(());
        }
        let followed = store.core.bind(py).getattr(intern!(py, "followed"))?;
        let named = Named::new(service, features.as_deref(), &join_keys);
        let plan = Arc::clone(&plan.get().inner);
        let mut inner = self.lock();
        if !inner.follows(&followed) {
            inner.selections.clear();
            inner.followed = Some(followed.unbind());
        }
        if inner.selections.find(named).is_none() {
            let weight = plan.features().len();
            let views = views.into();
            let learned = LearnedSelection {
                plan,
                version,
                views,
                service: service.map(Arc::from),
            };
            inner.selections.insert(named, learned, weight);
        }
        Ok(())
    }

    /// From now on answers only requests with one of these keys, within its scope.
    fn set_api_keys(&self, keys: &ApiKeys) {
        self.lock().api_keys = Some(Arc::clone(&keys.inner));
    }

    /// Sets the fields that every answer has before its own.
    fn set_fields(&self, fields: Vec<(Vec<u8>, Vec<u8>)>) {
        let mut rendered = Vec::new();
        for (name, value) in fields {
            for part in [&name, &b": "[..], &value, b"\r\n"] {
                rendered.extend_from_slice(part);
            }
        }
        self.lock().fields = rendered;
    }

    /// From now on leaves everything to the application.
    fn stop(&self) {
        self.lock().stopped = true;
    }

    /// The connection object for `protocol`. `transport` sends its answers.
    fn connect(
        slf: &Bound<'_, Self>,
        protocol: Py<PyAny>,
        transport: &Bound<'_, PyAny>,
    ) -> PyResult<HotConnection> {
        let wire = Wire::of(transport)?;
        Ok(HotConnection::new(slf.clone().unbind(), protocol, wire))
    }
}

impl HotReads {
    pub(super) fn limits(&self) -> &RouteLimits {
        &self.limits
    }

    pub(super) fn counters(&self, method: Method) -> &RouteCounters {
        match method {
            Method::Get => self.get.get(),
            Method::Post => self.post.get(),
        }
    }

    /// The trace that a request is part of.
    pub(super) fn trace(&self, head: &Head<'_>) -> Option<Trace> {
        self.traces.get().of(head.traceparent, true)
    }

    pub(super) fn listeners(&self) -> &Listeners {
        &self.listeners
    }

    /// The time in seconds of the node's clock.
    pub(super) fn now(&self) -> f64 {
        self.clock.at + self.clock.origin.elapsed().as_secs_f64()
    }

    /// The head of `data`, if that is exactly one whole request for this route.
    pub(super) fn head<'a>(&self, data: &'a [u8]) -> Option<Head<'a>> {
        let head = Head::scan(data)?;
        let limits = &self.limits;
        let whole = head.length + head.body_length == data.len();
        let fits =
            head.length <= limits.max_header_bytes && head.body_length <= limits.max_body_bytes;
        (whole && fits && head.path == limits.path).then_some(head)
    }

    /// The connection to read by, if there is one, and what was learned is current.
    ///
    /// There is none if the last look at the definitions is out of date, as it is when the process
    /// goes on after it was stopped: the application looks before it reads.
    pub(super) fn lane(&self, py: Python<'_>, now: f64) -> PyResult<Option<Lane>> {
        let Some(Store {
            core,
            following,
            node,
        }) = self.store.get(py)
        else {
            return Ok(None);
        };
        let core = core.bind(py);
        let current_until: f64 = core.getattr(intern!(py, "current_until"))?.extract()?;
        if now > current_until {
            return Ok(None);
        }
        let poll_at: f64 = core.getattr(intern!(py, "poll_at"))?.extract()?;
        if now >= poll_at {
            following.call_method0(py, intern!(py, "follow_soon"))?;
        }
        let followed = core.getattr(intern!(py, "followed"))?;
        let link = node.bind(py).getattr(intern!(py, "link"))?;
        if link.is_none() {
            return Ok(None);
        }
        let api_keys = {
            let inner = self.lock();
            if inner.stopped || !inner.follows(&followed) {
                return Ok(None);
            }
            if let Some((known, core)) = &inner.link
                && known.is(&link)
            {
                return Ok(Some(Lane {
                    link: link.unbind(),
                    core: core.clone_ref(py),
                    current_until,
                    api_keys: inner.api_keys.clone(),
                }));
            }
            inner.api_keys.clone()
        };
        let core: Py<Connection> = link.getattr(intern!(py, "core"))?.extract()?;
        let link = link.unbind();
        self.lock().link = Some((link.clone_ref(py), core.clone_ref(py)));
        Ok(Some(Lane {
            link,
            core,
            current_until,
            api_keys,
        }))
    }

    /// The read for a request, if its selection was learned and its sender may read it.
    pub(super) fn plan(
        &self,
        head: &Head<'_>,
        body: &[u8],
        api_keys: Option<Arc<http::ApiKeys>>,
    ) -> Option<Planned> {
        // This comes first, so that no body is parsed for a sender who may not read.
        let holder = match api_keys {
            None => None,
            Some(keys) => Some(Holder::of(keys, &head.credentials, now_ms())?),
        };
        let planned = match head.method {
            Method::Get => self.plan_one(head.query, holder.as_ref()),
            Method::Post if head.query.is_empty() => self.plan_many(body, holder.as_ref()),
            Method::Post => None,
        };
        planned.map(|planned| Planned { holder, ..planned })
    }

    fn plan_one(&self, query: &[u8], holder: Option<&Holder>) -> Option<Planned> {
        let query = ReadQuery::parse(query).ok()?;
        let learned = self.learned(Named::from(&query))?;
        learned.may_be_read(holder, query.service.as_deref())?;
        let plan = &learned.plan;
        let keys = query.key_columns(plan.join_keys()).ok()?;
        let inputs = query.input_columns(plan.request()).ok()?;
        let read = WantedRead {
            keys,
            inputs,
            version: query.version,
            partial: query.partial,
            consistency: query.consistency.as_deref(),
            as_of_ms: query.as_of_ms,
            timestamps: false,
        };
        self.read(learned, read)
    }

    fn plan_many(&self, body: &[u8], holder: Option<&Holder>) -> Option<Planned> {
        let request = json::parse_read_request(body, self.limits.max_rows).ok()?;
        let learned = self.learned(Named::from(&request))?;
        learned.may_be_read(holder, request.service.as_deref())?;
        let wanted = learned.plan.request();
        let inputs = match &request.inputs {
            Some(inputs) => inputs.columns(wanted, request.keys.rows()).ok()?,
            None if wanted.is_empty() => Vec::new(),
            None => return None,
        };
        let read = WantedRead {
            keys: request.keys,
            inputs,
            version: request.version,
            partial: request.partial,
            consistency: request.consistency.as_deref(),
            as_of_ms: request.as_of_ms,
            timestamps: request.timestamps,
        };
        self.read(learned, read)
    }

    fn learned(&self, named: Named<'_>) -> Option<LearnedSelection> {
        self.lock().selections.find(named).cloned()
    }

    fn read(&self, learned: LearnedSelection, wanted: WantedRead<'_>) -> Option<Planned> {
        let LearnedSelection {
            plan,
            version,
            service,
            ..
        } = learned;
        // A snapshot may have to be read twice.
        if wanted.consistency == Some("snapshot") {
            return None;
        }
        let rows = wanted.keys.rows();
        if rows > self.limits.max_rows || rows * plan.features().len() > self.limits.max_values {
            return None;
        }
        let asked = ReadOptions::plain(
            wanted.version.unwrap_or(version),
            wanted.as_of_ms.unwrap_or_else(now_ms),
        );
        let read = Read::new(
            &plan,
            wanted.keys,
            wanted.inputs,
            asked,
            &SlotMap::Standalone,
        );
        let (read, mut parts) = read.ok()?;
        // A standalone server is one node, and so one part.
        let (_, part) = parts.pop()?;
        Some(Planned {
            job: Job::read(read, part, wanted.partial != Some(false)),
            as_of_ms: wanted.as_of_ms,
            timestamps: wanted.timestamps,
            service,
            rows,
            holder: None,
        })
    }

    /// An id that no other request has.
    pub(super) fn next_id(&self) -> Vec<u8> {
        self.lock().ids.next()
    }

    /// Renders an answer: `use_it` gets the answer, and the fields of its head.
    pub(super) fn render<T>(&self, use_it: impl FnOnce(&mut Answer, &[u8]) -> T) -> T {
        let mut inner = self.lock();
        let WorkerState { answer, fields, .. } = &mut *inner;
        use_it(answer, fields)
    }

    fn lock(&self) -> MutexGuard<'_, WorkerState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LearnedSelection {
    fn may_be_read(&self, holder: Option<&Holder>, service: Option<&str>) -> Option<()> {
        holder.map_or(Some(()), |holder| {
            holder.key().may_read(service, &self.views).ok()
        })
    }
}

impl WorkerState {
    fn follows(&self, followed: &Bound<'_, PyAny>) -> bool {
        self.followed
            .as_ref()
            .is_some_and(|known| known.is(followed))
    }
}

/// The content of a request beside names.
struct WantedRead<'a> {
    keys: KeyColumns,
    inputs: Vec<InputColumn>,
    version: Option<i64>,
    partial: Option<bool>,
    consistency: Option<&'a str>,
    as_of_ms: Option<i64>,
    timestamps: bool,
}

/// Ids that no other source repeats: random bits, then a counter.
struct Ids {
    prefix: Vec<u8>,
    next: u64,
}

impl Ids {
    fn next(&mut self) -> Vec<u8> {
        const DIGITS: usize = 16;
        let mut id = Vec::with_capacity(self.prefix.len() + 1 + DIGITS);
        id.extend_from_slice(&self.prefix);
        // Writing into memory does not fail.
        let _ = write!(id, "-{:x}", self.next);
        self.next += 1;
        id
    }
}

/// Python's monotonic clock: it has the same origin and the same pace.
struct MonotonicClock {
    origin: Instant,
    at: f64,
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}
